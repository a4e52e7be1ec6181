"""Turns: how many operations begin in one turn of the event loop, and whose.

The loop is first come, first served: a thousand requests that arrive together, or a batch of a hundred operations, are
all begun before anything else is looked at, and whoever comes next waits for the sum. So a few begin in each turn, and
what waits is served by tenants in turn, and within a tenant by keys. A lone request is begun at once.

Who has too many requests unfinished is told to ask again: each takes memory, a connection and a place in every queue.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable

from libs.runtime import metrics
from services.gateway.shares import BusyError, Owner

AT_ONCE = 16
"""Operations begun in a turn: some three milliseconds."""
UNFINISHED_OF_TENANT = 4_000
UNFINISHED_OF_KEY = 3_000
"""Requests; a key is shared by all runs of a tenant, and each has one request under way at most times."""
_WAITING_OF_ONE = 2_000  # operations of a tenant that wait for their turn


class Turns:
    """Not for threads: all of it happens on one event loop."""

    def __init__(
        self,
        at_once: int = AT_ONCE,
        *,
        of_tenant: int = UNFINISHED_OF_TENANT,
        of_key: int = UNFINISHED_OF_KEY,
    ) -> None:
        self._at_once = at_once
        self._of_tenant = of_tenant
        self._of_key = of_key
        self._begun = 0
        self._waiting: OrderedDict[Hashable, _Tenant] = OrderedDict()
        self._unfinished: dict[Hashable, int] = {}

    def enter(self, owner: Owner) -> None:
        """A request comes; BusyError when its tenant or key has too many unfinished."""
        unfinished = self._unfinished
        of_tenant, of_key = unfinished.get(owner[0], 0), unfinished.get(owner, 0)
        if of_tenant >= self._of_tenant or of_key >= self._of_key:
            metrics.SHARES_REFUSED.labels("requests").inc()
            msg = "Too many requests of this tenant are unfinished; try again soon."
            raise BusyError(msg)
        unfinished[owner[0]], unfinished[owner] = of_tenant + 1, of_key + 1

    def leave(self, owner: Owner) -> None:
        """A request that entered is answered, or its client has left."""
        for each in (owner[0], owner):
            left = self._unfinished[each] - 1
            if left:
                self._unfinished[each] = left
            else:
                del self._unfinished[each]

    def is_open(self) -> bool:
        """Begin an operation at once if this turn of the loop has room for it, and nobody waits."""
        if self._begun >= self._at_once or self._waiting:
            return False
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._next_turn)
        self._begun += 1
        return True

    async def wait(self, owner: Owner) -> None:
        """Wait for a place in a later turn; BusyError when too many of this tenant wait."""
        tenant = self._waiting.get(owner[0])
        if tenant is None:
            tenant = self._waiting[owner[0]] = _Tenant()
        if tenant.count >= _WAITING_OF_ONE:
            metrics.SHARES_REFUSED.labels("turns").inc()
            msg = "Too many operations of this tenant wait for their turn; try again soon."
            raise BusyError(msg)
        waiter = asyncio.get_running_loop().create_future()
        tenant.add(owner[1], waiter)
        # Whoever is cancelled stays in line, and its turn is passed over.
        await waiter

    def _next_turn(self) -> None:
        self._begun = 0
        while self._waiting and self._begun < self._at_once:
            key, tenant = next(iter(self._waiting.items()))
            waiter = tenant.take()
            if tenant.count:
                self._waiting.move_to_end(key)
            else:
                del self._waiting[key]
            if not waiter.done():
                waiter.set_result(None)
                self._begun += 1
        if self._begun:
            asyncio.get_running_loop().call_soon(self._next_turn)


class _Tenant:
    """Who of one tenant waits, by key in order of their turns."""

    __slots__ = ("_by_key", "count")

    def __init__(self) -> None:
        self._by_key: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()
        self.count = 0

    def add(self, key: Hashable, waiter: "asyncio.Future[None]") -> None:
        self._by_key.setdefault(key, deque()).append(waiter)
        self.count += 1

    def take(self) -> "asyncio.Future[None]":
        """Of the key whose turn it is, who came first."""
        key, waiters = next(iter(self._by_key.items()))
        found = waiters.popleft()
        if waiters:
            self._by_key.move_to_end(key)
        else:
            del self._by_key[key]
        self.count -= 1
        return found
