"""Small tasks that no caller waits for. When one fails, the only effect is that something is slower."""

import asyncio
from collections.abc import Awaitable

import structlog


class Background:
    """Runs such work; a failure is logged as `event`."""

    def __init__(self, log: structlog.typing.FilteringBoundLogger, event: str) -> None:
        self._log = log
        self._event = event
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, work: Awaitable[None]) -> None:
        """Start it."""
        task = asyncio.create_task(self._attempt(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, *, within: float | None = None) -> None:
        """Wait for the running tasks, for at most this many seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within)

    async def _attempt(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            self._log.warning(self._event, error=str(error), kind=type(error).__name__)
