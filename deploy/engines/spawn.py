"""Start a program through `launch`, and find and end programs that an earlier Headwater left running."""

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import psutil

from deploy.engines import launch
from deploy.engines.account import Account
from deploy.engines.errors import explain_os_error
from deploy.engines.folder import write_private


async def spawn(
    command: Sequence[str],
    *,
    account: Account | None,
    death_signal: signal.Signals,
    cwd: Path,
    log: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Process:
    """Start `command` as a child that dies with us; its output goes to the end of `log`."""
    try:
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        raise explain_os_error(error, path=log, wanted="write") from None
    try:
        return await asyncio.create_subprocess_exec(
            *dying_with_us(command, death_signal=death_signal, account=account),
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env=_environment() | dict(environment),
            # Ctrl-C at the terminal is for Headwater, which stops its services before its engines.
            start_new_session=True,
        )
    finally:
        os.close(output)


def dying_with_us(
    command: Sequence[str], *, death_signal: signal.Signals, account: Account | None = None
) -> list[str]:
    """The command line that runs `command` so that the kernel ends it when we die, even by kill -9.

    Give it a pipe as standard input and never write to it (see `launch`).
    """
    drop = [] if account is None else ["--uid", str(account.uid), "--gid", str(account.gid)]
    return [
        # -I -S: no site, no environment, no imports: 10 ms instead of 100.
        *(sys.executable, "-I", "-S", launch.__file__),
        *("--parent", str(os.getpid()), "--death-signal", death_signal.name, *drop, "--"),
        *command,
    ]


def _environment() -> dict[str, str]:
    """PG* and locale variables of the user must not change the engines' behaviour."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


def remember(pid_file: Path, pid: int) -> None:
    """Note a running engine, so that a later Headwater finds it if we cannot end it."""
    write_private(pid_file, json.dumps({"pid": pid}))


def end_orphan(
    pid_file: Path, store: Path, stop_signals: Sequence[tuple[signal.Signals, float]]
) -> bool:
    """End the engine of a pid file, ours or PostgreSQL's own, if it uses `store`; returns whether there was one.

    A pid alone proves nothing, because pids are reused: the process must have `store` on its command line.
    """
    ended = False
    for pid in {_noted(pid_file), postmaster_pid(store)} - {None, os.getpid()}:
        assert pid is not None  # noqa: S101 - for the type checker
        process = _process_on(store, pid)
        if process is not None:
            ended = True
            _end(process, stop_signals)
    pid_file.unlink(missing_ok=True)
    return ended


def postmaster_pid(store: Path) -> int | None:
    """The process that PostgreSQL's lock file names, running or not."""
    try:
        return int((store / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _noted(pid_file: Path) -> int | None:
    try:
        return int(json.loads(pid_file.read_text())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _process_on(store: Path, pid: int) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        words = process.cmdline()
    except psutil.Error:
        return None
    return process if any(str(store) in word for word in words) else None


def _end(process: psutil.Process, stop_signals: Sequence[tuple[signal.Signals, float]]) -> None:
    for number, patience in stop_signals:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not is_alive(process):
                return
            time.sleep(0.02)


def is_alive(process: psutil.Process) -> bool:
    """Whether it is alive: a dead orphan stays a zombie if a container's first process does not reap it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
