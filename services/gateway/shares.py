"""Shares: a resource with a total, a limit for each tenant, and turns for those who wait.

One tenant must not delay another. So a pool, a thread, or the memory for large bodies is not first come, first served:
a tenant has at most a part of it, a key at most a part of its tenant's. Waiting tenants are served in turns, and within
a tenant its keys. Waiting is bounded in time and in number.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from types import TracebackType

from libs.runtime import metrics

Owner = tuple[Hashable, Hashable]
"""A tenant and a key of it, or None where there is no key."""

_WAITING_OF_ONE = 1_000


class BusyError(Exception):
    """Nothing was free in time. The text names the resource; it is for the client."""


@dataclass(slots=True)
class _Waiter:
    owner: Owner
    weight: int
    granted: asyncio.Future[None]


@dataclass(slots=True)
class _Tenant:
    """The waiters of one tenant, by key in the order of their turns."""

    by_key: OrderedDict[Hashable, deque[_Waiter]] = field(default_factory=OrderedDict)
    waiting: int = 0


class Shares:
    """Divides `total` units. Not thread-safe: for one event loop."""

    def __init__(
        self,
        name: str,
        total: int,
        *,
        of_tenant: int,
        of_key: int,
        patience: float,
        what: str,
        waiting: int = _WAITING_OF_ONE,
    ) -> None:
        """`patience` in seconds; `what` is waited for, as the refusal says it, by so many of a tenant at most."""
        self._name = name
        self._total = total
        self._of_tenant = min(of_tenant, total)
        self._of_key = min(of_key, self._of_tenant)
        self._patience = patience
        self._what = what
        self._waiting_of_one = waiting
        self._used = 0
        self._used_by: dict[Hashable, int] = {}
        self._waiting: OrderedDict[Hashable, _Tenant] = OrderedDict()

    def of(self, owner: Owner, weight: int = 1) -> "_Share":
        """Use it with `async with`; raises BusyError. A larger amount than allowed is cut to the limit."""
        return _Share(self, owner, self.capped(weight))

    def capped(self, weight: int) -> int:
        """The largest amount for one key."""
        return min(weight, self._of_key)

    async def acquire(self, owner: Owner, weight: int) -> None:
        """Take it now, or when it is this owner's turn."""
        if self.take_now(owner, weight):
            return
        tenant = self._waiting.setdefault(owner[0], _Tenant())
        if tenant.waiting >= self._waiting_of_one:
            raise self._busy()
        waiter = _Waiter(owner, weight, asyncio.get_running_loop().create_future())
        tenant.by_key.setdefault(owner[1], deque()).append(waiter)
        tenant.waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await waiter.granted
        except BaseException as error:
            if waiter.granted.done() and not waiter.granted.cancelled():
                self.release(owner, weight)
            else:
                self._forget(waiter)
                self._serve()
            if isinstance(error, TimeoutError):
                raise self._busy() from None
            raise

    def release(self, owner: Owner, weight: int) -> None:
        """Give it back."""
        self._used -= weight
        for known in (owner[0], owner):
            left = self._used_by[known] - weight
            if left:
                self._used_by[known] = left
            else:
                del self._used_by[known]
        if self._waiting:
            self._serve()

    def take_now(self, owner: Owner, weight: int) -> bool:
        """Take it if it can be had at once, and it is not reserved for a waiter. Each mutation comes this way."""
        used = self._used_by
        of_tenant = used.get(owner[0], 0) + weight
        of_key = used.get(owner, 0) + weight
        if (
            self._used + weight > self._total
            or of_tenant > self._of_tenant
            or of_key > self._of_key
            or (self._waiting and self._next() is not None)
        ):
            return False
        self._used += weight
        used[owner[0]] = of_tenant
        used[owner] = of_key
        return True

    def _may(self, owner: Owner, weight: int) -> bool:
        """Whether the parts of the tenant and of the key are large enough."""
        return (
            self._used_by.get(owner[0], 0) + weight <= self._of_tenant
            and self._used_by.get(owner, 0) + weight <= self._of_key
        )

    def _take(self, owner: Owner, weight: int) -> None:
        self._used += weight
        for known in (owner[0], owner):
            self._used_by[known] = self._used_by.get(known, 0) + weight

    def _serve(self) -> None:
        """Grant in turns as much as possible."""
        while (waiter := self._next()) is not None:
            if self._used + waiter.weight > self._total:
                return  # it is reserved for this one, also if others want less
            self._forget(waiter)
            tenant = self._waiting.get(waiter.owner[0])
            if tenant is not None:
                self._waiting.move_to_end(waiter.owner[0])
                if waiter.owner[1] in tenant.by_key:
                    tenant.by_key.move_to_end(waiter.owner[1])
            self._take(waiter.owner, waiter.weight)
            waiter.granted.set_result(None)

    def _next(self) -> _Waiter | None:
        for tenant in self._waiting.values():
            for waiters in tenant.by_key.values():
                first = waiters[0]
                # A done one has just given up, and removes itself when its task runs.
                if not first.granted.done() and self._may(first.owner, first.weight):
                    return first
        return None

    def _forget(self, waiter: _Waiter) -> None:
        tenant = self._waiting[waiter.owner[0]]
        waiters = tenant.by_key[waiter.owner[1]]
        waiters.remove(waiter)
        tenant.waiting -= 1
        if not waiters:
            del tenant.by_key[waiter.owner[1]]
        if not tenant.by_key:
            del self._waiting[waiter.owner[0]]

    def _busy(self) -> BusyError:
        metrics.SHARES_REFUSED.labels(self._name).inc()
        return BusyError(f"Too many requests of this tenant wait for {self._what}; try again soon.")


class _Share:
    """One acquisition; an object instead of a generator, because it is on the path of every read."""

    __slots__ = ("_owner", "_shares", "_weight")

    def __init__(self, shares: Shares, owner: Owner, weight: int) -> None:
        self._shares = shares
        self._owner = owner
        self._weight = weight

    async def __aenter__(self) -> None:
        if not self._shares.take_now(self._owner, self._weight):
            await self._shares.acquire(self._owner, self._weight)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shares.release(self._owner, self._weight)
