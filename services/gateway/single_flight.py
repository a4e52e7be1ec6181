"""One look-up for all who ask the same at the same time.

What is known for a second is stale for every request at once. On 64 connections each of them asked the database again:
64 queries a second for one answer, a fifth of the CPU of a transition when transitions were slow.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Look-ups under way, by what they ask."""

    def __init__(self) -> None:
        self._under_way: dict[K, asyncio.Future[V]] = {}

    async def ask(self, key: K, look_up: Callable[[], Awaitable[V]]) -> V:
        """What the look-up under way answers or raises, or a new one. Who is cancelled leaves it to the others."""
        under_way = self._under_way.get(key)
        if under_way is None:
            under_way = asyncio.ensure_future(look_up())
            self._under_way[key] = under_way
            under_way.add_done_callback(lambda done: self._end(key, done))
        return await asyncio.shield(under_way)

    def forget(self) -> None:
        """Who asks from now on, whatever it is, has a look-up that begins now."""
        self._under_way.clear()

    def _end(self, key: K, done: "asyncio.Future[V]") -> None:
        if self._under_way.get(key) is done:
            del self._under_way[key]
        if not done.cancelled():
            # Nobody may be left to hear of it.
            done.exception()
