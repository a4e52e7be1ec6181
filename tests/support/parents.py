"""Processes that run engines and can be killed, so that a test sees what is left."""

import asyncio
import json
import os
import shutil
import sys
import sysconfig
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from deploy.engines.account import Account

ORDINARY_USER = 65_534
"""`nobody`. initdb wants an account that has a name."""

_ORDINARY = Account(name="an ordinary user", uid=ORDINARY_USER, gid=ORDINARY_USER)
_PUBLIC = "/usr/local/bin:/usr/bin"
_START_WITHIN = 60.0  # seconds; initdb on a busy machine
_STOP_WITHIN = 30.0


@cache
def interpreter() -> str:
    """A Python of this version that every account may run: this one, unless it lies in somebody's home."""
    candidates = [sys.executable, shutil.which(f"python3.{sys.version_info[1]}", path=_PUBLIC)]
    for candidate in candidates:
        if candidate and _ORDINARY.can_read(Path(candidate).resolve()):
            return candidate
    pytest.skip("no Python of this version that an ordinary user may run")


def _packages() -> list[str]:
    return [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]


class EngineParent:
    """`tests.support.engine_parent` on a data folder; `said` is what it told of its engines."""

    def __init__(self, path: Path, *, uid: int | None = None) -> None:
        self.said: dict[str, Any] = {}
        self.engines: list[psutil.Process] = []
        self._path = path
        self._uid = uid
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        process = await self._spawn()
        assert process.stdout is not None
        async with asyncio.timeout(_START_WITHIN):
            line = await process.stdout.readline()
        if not line:
            _, complaint = await process.communicate()
            raise AssertionError(complaint.decode())
        self.said = json.loads(line)
        self.engines = [
            psutil.Process(self.said["postgres_pid"]),
            psutil.Process(self.said["nats_pid"]),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._running()
        assert process.stdin is not None
        with suppress(ConnectionError):
            process.stdin.close()
        await self.gone()

    async def refusal(self) -> str:
        """Start it where it must not start; what it complains of. It must end with exit code 1."""
        process = await self._spawn()
        async with asyncio.timeout(_START_WITHIN):
            said, complaint = await process.communicate()
        assert not said, "it started"
        assert process.returncode == 1, complaint.decode()
        return complaint.decode()

    def kill(self) -> None:
        """kill -9."""
        self._running().kill()

    async def gone(self) -> None:
        """Wait until it has ended."""
        async with asyncio.timeout(_STOP_WITHIN):
            await self._running().wait()

    async def _spawn(self) -> Process:
        self._process = await asyncio.create_subprocess_exec(
            *(interpreter(), "-m", "tests.support.engine_parent", str(self._path)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd=Path(__file__).parents[2],
            env=os.environ
            | {
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": os.pathsep.join((".", *_packages())),
            },
            user=self._uid,
            group=self._uid,
            extra_groups=[] if self._uid is not None else None,
        )
        return self._process

    def _running(self) -> Process:
        assert self._process is not None
        return self._process
