"""A whole Headwater as users run it: `python -m deploy.local run`, a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import STDOUT, Process
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psutil

from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.ports import free_port

# A first start creates the database; the suite shares two cores with what it tests.
START_WITHIN = 240.0
STOP_WITHIN = 60.0

# Between two looks at the API while a test waits: the cores belong to what it waits for.
LOOK = 0.25


class Headwater:
    """All services and engines on a free port, on data of its own.

    `options` are those of `run`; `settings` are HEADWATER_ variables, without the prefix and in lower case.
    """

    def __init__(self, folder: Path, *options: str, **settings: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._options = options
        self._settings = {f"HEADWATER_{name.upper()}": value for name, value in settings.items()}
        self.log = folder / "headwater.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start on the data that is there, and return when the API answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "deploy.local", "run", *self._options),
                env=os.environ
                | {
                    "HEADWATER_DATA": str(self.data),
                    "HEADWATER_HOST": "127.0.0.1",
                    "HEADWATER_PORT": str(self.port),
                }
                | self._settings,
                stdout=output,
                stderr=STDOUT,
                start_new_session=True,
            )
        try:
            await eventually(self._up, timeout=START_WITHIN, pause=LOOK / 5)
        except BaseException:
            await self.stop()
            raise

    async def kill(self) -> None:
        """kill -9 of the server process: no warning, no last words."""
        process = self._running()
        process.kill()
        await process.wait()

    @property
    def pid(self) -> int:
        """The process whose children are all the others."""
        return self._running().pid

    def postgres_url(self, role: str) -> str:
        """The database as a service's role."""
        port = json.loads((self.folder / "data" / "running.json").read_text())["postgres_port"]
        secrets = json.loads((self.folder / "data" / "secrets.json").read_text())
        password = quote(secrets[f"postgres.{role}"], safe="")
        return f"postgresql://headwater_{role}:{password}@127.0.0.1:{port}/headwater"

    def kill_engine(self, name: str) -> None:
        """kill -9 of one engine, `postgres` or `nats-server`; its supervisor is to notice."""
        self.engine(name).kill()

    def engine(self, name: str) -> psutil.Process:
        """One engine's process, `postgres` or `nats-server`."""
        engines = [
            child
            for child in psutil.Process(self._running().pid).children()
            if child.name() == name
        ]
        assert len(engines) == 1, f"{len(engines)} children of Headwater are called {name}"
        return engines[0]

    async def stop(self) -> None:
        """End it politely; make sure that nothing of it is left."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_WITHIN)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    async def _up(self) -> bool:
        process = self._running()
        assert process.returncode is None, (
            f"Headwater ended with {process.returncode}:\n{self.said()}"
        )
        async with Gql(self.url, headers=self.first_key_header()) as api:
            return await api.answers()

    def secret(self, name: str) -> str | None:
        """One of the secrets that Headwater drew for itself; None before it did."""
        secrets = self.data / "secrets.json"
        found: str | None = json.loads(secrets.read_text()).get(name) if secrets.exists() else None
        return found

    def first_key_header(self) -> dict[str, str]:
        """What the first administrator shows; nothing where keys are off."""
        key = self.secret("gateway.first_key")
        return {} if key is None else {"authorization": f"Bearer {key}"}

    def said(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])

    def _running(self) -> Process:
        assert self._process is not None, "Headwater was not started"
        return self._process
