"""PostgreSQL's own program `pg_basebackup`."""

import asyncio
import os
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.engines import EngineError
from deploy.engines.postgres import SUPERUSER
from deploy.engines.programs import postgres_binaries

Progress = Callable[[int, int], None]
"""Called with the bytes that are done, and with all of them as far as known."""

_KILOBYTES = re.compile(rb"(\d+)/(\d+) kB")


async def base_backup(
    target: Path, *, port: int, password: str, progress: Progress = lambda _done, _all: None
) -> None:
    """Take a base backup of the server on this port of 127.0.0.1 into the new folder `target`."""
    address = ("--host", "127.0.0.1", "--port", str(port), "--username", SUPERUSER)
    await _run(
        [
            *address,
            *("--no-password", "--pgdata", str(target), "--format", "plain"),
            *("--wal-method", "stream", "--checkpoint", "fast"),
            *("--manifest-checksums", "SHA256", "--progress"),
        ],
        {"PGPASSWORD": password},
        progress,
    )


async def _run(arguments: Sequence[str], variables: dict[str, str], progress: Progress) -> None:
    binary = postgres_binaries(None) / "pg_basebackup"
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        str(binary),
        *arguments,
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
        env=kept | {"LC_ALL": "C"} | variables,
    )
    try:
        assert process.stderr is not None  # noqa: S101 - for the type checker
        said = b""
        while chunk := await process.stderr.read(4096):
            said = (said + chunk)[-4096:]
            if counts := _KILOBYTES.findall(chunk):
                done, whole = counts[-1]
                progress(int(done) << 10, int(whole) << 10)
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code != 0:
        msg = f"pg_basebackup failed: {_last_sentence(said)}"
        raise EngineError(msg)


def _last_sentence(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if "error" in line]
    return lines[-1] if lines else said.decode(errors="replace")[-200:].strip()
