"""Processes that stop as a laptop's lid or a full machine stops them, and wake up believing that no time has passed."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil


@contextmanager
def paused(*pids: int | None) -> Iterator[None]:
    """SIGSTOP to them and to their children; SIGCONT at the end, whatever happened."""
    processes = [psutil.Process(pid) for pid in pids if pid is not None]
    assert processes, "there is nothing to pause"
    family = [each for one in processes for each in (one, *one.children(recursive=True))]
    try:
        for each in family:
            os.kill(each.pid, signal.SIGSTOP)
        for each in family:
            _wait_until_stopped(each)
        yield
    finally:
        for each in family:
            with suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGCONT)


def _wait_until_stopped(process: psutil.Process) -> None:
    """The signal is only sent: on a busy machine its process can answer for some time yet."""
    deadline = time.monotonic() + 10
    with suppress(psutil.NoSuchProcess):
        while process.status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}:
            assert time.monotonic() < deadline, f"{process} did not stop within 10 s"
            time.sleep(0.001)


async def passes(seconds: float) -> None:
    """An outage takes its time: nothing tells when it has lasted long enough, so it is waited for."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Future()
