"""Processes that stop as a laptop's lid or a full machine stops them, and wake up believing that no time has passed."""

import asyncio
import os
import signal
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
        yield
    finally:
        for each in family:
            with suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGCONT)


async def passes(seconds: float) -> None:
    """An outage takes its time: nothing tells when it has lasted long enough, so it is waited for."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Future()
