"""The deadlines of requests on NATS."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

_LATE = 0.05  # seconds that a request may last longer than its time


class Deadlines:
    """`late` is called with the token of each request when its time is over, answered or not.

    One timer for all. Nearly all requests are answered at once, and to make and cancel a timer for each costs more than
    the rest of it. Deadlines and tokens stand one after the other, in a queue for each tenth of a second of patience:
    objects for the pairs would be work for the garbage collector.
    """

    def __init__(self, late: Callable[[str], None]) -> None:
        self._late = late
        self._queues: dict[float, deque[Any]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def add(self, loop: asyncio.AbstractEventLoop, seconds: float, token: str) -> None:
        """The request has so many seconds from now."""
        deadline = loop.time() + seconds
        queue = self._queues.get(patience := round(seconds, 1))
        if queue is None:
            queue = self._queues[patience] = deque()
        queue.append(deadline)
        queue.append(token)
        if self._timer is None or deadline + _LATE < self._due:
            self._look_at(loop, deadline)

    def _look_at(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = max(deadline, loop.time() + _LATE)
        self._timer = loop.call_at(self._due, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for patience, queue in list(self._queues.items()):
            while queue and queue[0] <= now:
                queue.popleft()
                self._late(queue.popleft())
            if not queue:
                del self._queues[patience]
        if self._queues:
            self._look_at(loop, min(queue[0] for queue in self._queues.values()))
