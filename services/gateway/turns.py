"""Turns: how many operations begin in one turn of the event loop, and whose.

The loop is first come, first served: a thousand requests that arrive together, or a batch of a hundred operations, are
all begun before anything else is looked at, and whoever comes next waits for the sum. So a few begin in each turn, and
what waits is served by tenants in turn, and within a tenant by keys. A lone request is begun at once.
"""

import asyncio

from libs.runtime import metrics
from services.gateway.fair_queue import FairQueue, Owner
from services.gateway.shares import BusyError

AT_ONCE = 16
"""Operations begun in a turn: some three milliseconds."""
_WAITING_OF_ONE = 2_000  # operations of a tenant that wait for their turn


class Turns:
    """Not for threads: all of it happens on one event loop."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._begun = 0
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    def is_open(self) -> bool:
        """Begin an operation at once if this turn of the loop has room for it, and nobody waits."""
        if self._begun >= self._at_once or self._waiting.tenants:
            return False
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._next_turn)
        self._begun += 1
        return True

    async def wait(self, owner: Owner) -> None:
        """Wait for a place in a later turn; BusyError when too many of this tenant wait."""
        if self._waiting.count_of(owner[0]) >= _WAITING_OF_ONE:
            metrics.SHARES_REFUSED.labels("turns").inc()
            msg = "Too many operations of this tenant wait for their turn; try again soon."
            raise BusyError(msg)
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(owner, waiter)
        # Whoever is cancelled stays in line, and its turn is passed over.
        await waiter

    def _next_turn(self) -> None:
        self._begun = 0
        while self._waiting.tenants and self._begun < self._at_once:
            waiter = self._waiting.take()
            if not waiter.done():
                waiter.set_result(None)
                self._begun += 1
        if self._begun:
            asyncio.get_running_loop().call_soon(self._next_turn)
