"""A loop: wait, call one verb, count. Jittered start; ticks never overlap; a failure is logged and the loop goes on."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, NamedTuple

from libs.runtime import log, metrics
from libs.runtime.failures import is_outage

_LAST_TICK = 5.0  # seconds; without an answer to its cancellation asyncpg waits for thirty


class Duty(NamedTuple):
    """A duty of a service: a loop that is not started yet."""

    name: str
    interval: timedelta
    tick: Callable[[], Awaitable[Any]]
    start_after: timedelta | None = None


class Loop:
    """Calls `tick` every `interval`, or when poked: at once, but not within `rest` of the one before.

    Tests call the tick themselves.
    """

    def __init__(
        self,
        name: str,
        *,
        interval: timedelta,
        tick: Callable[[], Awaitable[Any]],
        service: str,
        start_after: timedelta | None = None,
        rest: timedelta = timedelta(0),
    ) -> None:
        self.name = name
        self._rest = rest.total_seconds()
        self._interval = interval.total_seconds()
        self._tick = tick
        self._log = log.get(service)
        self._poked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._start_after = (
            start_after.total_seconds()
            if start_after is not None
            else random.uniform(0, min(self._interval, 1.0))  # noqa: S311 - spreads replicas, guards nothing
        )
        self.last_success: float | None = None
        self._service = service
        self._started = 0.0
        self._now: Callable[[], float] = lambda: 0.0
        self.failures = 0

    def start(self) -> None:
        """Begin; the first tick comes after a short random wait, so that replicas do not tick at the same time."""
        self._now = asyncio.get_running_loop().time
        self._started = self._now()
        self._stopping = False
        # Computed when scraped, so that they are true also in a process that is stuck.
        metrics.TICK_AGE.labels(self._service, self.name).set_function(lambda: self.age)
        metrics.LOOP_STALE.labels(self._service, self.name).set_function(lambda: self.is_stale)
        self._task = asyncio.create_task(self._run(), name=f"loop:{self.name}")

    async def stop(self) -> None:
        """Stop between ticks; a tick in progress is cancelled (its transaction rolls back).

        If it hangs all the same, on a server that does not answer, we do not wait: it ends with its connection.
        """
        if self._task is not None:
            self._stopping = True
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_LAST_TICK)
            self._task = None
            for gauge in (metrics.TICK_AGE, metrics.LOOP_STALE):
                # Another replica in this process, as in tests, has done it.
                with suppress(KeyError):
                    gauge.remove(self._service, self.name)

    def poke(self) -> None:
        """Tick soon rather than at the interval."""
        self._poked.set()

    @property
    def has_ended(self) -> bool:
        """True when it was started and ended without `stop`."""
        return self._task is not None and self._task.done() and not self._stopping

    @property
    def is_stale(self) -> bool:
        """True when the last success is more than three intervals (and ten seconds) ago, or three ticks failed."""
        patience = max(3 * self._interval, 10.0)
        if self.last_success is None:
            return self.failures > 2 or self.age > patience + self._start_after
        return self.age > patience

    @property
    def age(self) -> float:
        """Seconds since the last success; since the start where there was none."""
        since = self.last_success if self.last_success is not None else self._started
        return self._now() - since

    async def _run(self) -> None:
        await asyncio.sleep(self._start_after)
        while True:
            self._poked.clear()
            try:
                with metrics.TICK_SECONDS.labels(self._service, self.name).time():
                    await self._tick()
            except Exception as error:
                if self._stopping:
                    return  # the cancellation, as asyncpg reports it after the connection was lost
                self.failures += 1
                metrics.TICK_FAILURES.labels(self._service, self.name).inc()
                self._log.error(
                    "tick_failed",
                    loop=self.name,
                    error=str(error),
                    failures=self.failures,
                    exc_info=not is_outage(error),
                )
            else:
                self.failures = 0
                self.last_success = self._now()
            pause = self._interval * random.uniform(0.9, 1.1)  # noqa: S311 - as above
            if self.failures:
                pause = min(pause, 2.0 ** min(self.failures, 5))
                await asyncio.sleep(pause)  # pokes must not turn a failing tick into a busy loop
                continue
            try:
                async with asyncio.timeout(pause):
                    await asyncio.sleep(self._rest)
                    await self._poked.wait()
            except TimeoutError:
                pass
