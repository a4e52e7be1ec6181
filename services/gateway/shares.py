"""Shares: a resource with a total, a limit for each tenant, and turns for those who wait.

One tenant must not delay another. So a pool, a thread, or the memory for large bodies is not first come, first served:
a tenant has at most a part of it, a key at most a part of its tenant's. Waiting tenants are served in turns, and within
a tenant its keys. Waiting is bounded in time and in number.

Who comes gets an account, and everything is counted in it: who is present (uses or waits), and the units in use. So a
request looks its tenant and key up once, and counts the rest without a look-up.
"""

import asyncio
import sys
from collections.abc import Hashable
from dataclasses import dataclass
from types import TracebackType

from libs.runtime import metrics
from services.gateway.fair_queue import FairQueue, Owner

_WAITING_OF_ONE = 1_000


class BusyError(Exception):
    """Nothing was free in time. The text names the resource; it is for the client."""


class _Tenant:
    """What a tenant has: `present` of it use or wait, `used` units are in use."""

    __slots__ = ("present", "used")

    def __init__(self) -> None:
        self.present = 0
        self.used = 0


class Account:
    """The same of one key, while it has something."""

    __slots__ = ("owner", "present", "tenant", "used")

    def __init__(self, owner: Owner, tenant: _Tenant) -> None:
        self.owner = owner
        self.tenant = tenant
        self.present = 0
        self.used = 0


def lone_account() -> Account:
    """For one who is not counted together with others."""
    return Account((None, None), _Tenant())


@dataclass(slots=True, eq=False)
class _Waiter:
    account: Account
    weight: int
    granted: asyncio.Future[None]


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
        present_of_tenant: int = sys.maxsize,
        present_of_key: int = sys.maxsize,
    ) -> None:
        """`patience` in seconds; `what` is waited for, as the refusal says it, by so many of a tenant at most.

        `present_*`: how many may `enter` at once.
        """
        self._name = name
        self._total = total
        self._of_tenant = min(of_tenant, total)
        self._of_key = min(of_key, self._of_tenant)
        self._patience = patience
        self._what = what
        self._waiting_of_one = waiting
        self._present_of_tenant = present_of_tenant
        self._present_of_key = present_of_key
        self._used = 0
        self._accounts: dict[Owner, Account] = {}
        self._tenants: dict[Hashable, _Tenant] = {}
        self._waiting: FairQueue[_Waiter] = FairQueue()

    def of(self, owner: Owner, weight: int = 1) -> "Share":
        """Use it with `async with`; raises BusyError. A larger amount than allowed is cut to the limit."""
        return Share(self, owner, min(weight, self._of_key))

    def using(self, account: Account) -> "_Use":
        """A unit for one who has entered, as a context; raises BusyError."""
        return _Use(self, account)

    # who is present

    def enter(self, owner: Owner) -> Account:
        """The account of one who comes, until it leaves; BusyError when too many of its tenant or key are present."""
        account = self._accounts.get(owner)
        if account is None:
            account = self._open(owner)
        tenant = account.tenant
        if account.present >= self._present_of_key or tenant.present >= self._present_of_tenant:
            self._close_if_empty(account)
            metrics.SHARES_REFUSED.labels("requests").inc()
            msg = "Too many requests of this tenant are unfinished; try again soon."
            raise BusyError(msg)
        account.present += 1
        tenant.present += 1
        return account

    def leave(self, account: Account) -> None:
        """One who entered has nothing any more: it is answered, or has left."""
        account.present -= 1
        account.tenant.present -= 1
        if not account.present:
            self._close_if_empty(account)

    def _open(self, owner: Owner) -> Account:
        tenant = self._tenants.get(owner[0])
        if tenant is None:
            tenant = self._tenants[owner[0]] = _Tenant()
        account = self._accounts[owner] = Account(owner, tenant)
        return account

    def _close_if_empty(self, account: Account) -> None:
        if not account.present:
            del self._accounts[account.owner]
            if not account.tenant.present:
                del self._tenants[account.owner[0]]

    # what is in use

    def take_now(self, account: Account, weight: int) -> bool:
        """Take it if it can be had at once, and it is not reserved for a waiter. Each mutation comes this way."""
        tenant = account.tenant
        if (
            self._used + weight > self._total
            or tenant.used + weight > self._of_tenant
            or account.used + weight > self._of_key
            or (self._waiting.tenants and self._next() is not None)
        ):
            return False
        self._used += weight
        tenant.used += weight
        account.used += weight
        return True

    async def take(self, account: Account, weight: int) -> None:
        """Take it when it is this account's turn; BusyError when that is not in time."""
        if self._waiting.count_of(account.owner[0]) >= self._waiting_of_one:
            raise self._busy()
        waiter = _Waiter(account, weight, asyncio.get_running_loop().create_future())
        self._waiting.add(account.owner, waiter)
        try:
            async with asyncio.timeout(self._patience):
                await waiter.granted
        except BaseException as error:
            if waiter.granted.done() and not waiter.granted.cancelled():
                self.release(account, weight)
            else:
                self._waiting.remove(account.owner, waiter)
                self._serve()
            if isinstance(error, TimeoutError):
                raise self._busy() from None
            raise

    def release(self, account: Account, weight: int) -> None:
        """Give it back."""
        self._used -= weight
        account.used -= weight
        account.tenant.used -= weight
        if self._waiting.tenants:
            self._serve()

    def _serve(self) -> None:
        """Grant in turns as much as possible."""
        while (waiter := self._next()) is not None:
            account, weight = waiter.account, waiter.weight
            if self._used + weight > self._total:
                return  # it is reserved for this one, also if others want less
            self._waiting.serve(account.owner, waiter)
            self._used += weight
            account.used += weight
            account.tenant.used += weight
            waiter.granted.set_result(None)

    def _next(self) -> _Waiter | None:
        return self._waiting.first(self._may)

    def _may(self, waiter: _Waiter) -> bool:
        """Whether the parts of its tenant and of its key are large enough."""
        account, weight = waiter.account, waiter.weight
        # A done one has just given up, and removes itself when its task runs.
        return (
            not waiter.granted.done()
            and account.used + weight <= self._of_key
            and account.tenant.used + weight <= self._of_tenant
        )

    def _busy(self) -> BusyError:
        metrics.SHARES_REFUSED.labels(self._name).inc()
        return BusyError(f"Too many requests of this tenant wait for {self._what}; try again soon.")


class Share:
    """One acquisition; an object instead of a generator, because it is on the path of every read."""

    __slots__ = ("_account", "_owner", "_shares", "weight")

    def __init__(self, shares: Shares, owner: Owner, weight: int) -> None:
        self._shares = shares
        self._owner = owner
        self._account: Account | None = None
        self.weight = weight

    async def take(self) -> None:
        """Take it, at once or in its turn; BusyError when it cannot be had in time."""
        shares = self._shares
        account = shares.enter(self._owner)
        try:
            if not shares.take_now(account, self.weight):
                await shares.take(account, self.weight)
        except BaseException:
            shares.leave(account)
            raise
        self._account = account

    def give_back(self) -> None:
        """Give back what was taken."""
        account, self._account = self._account, None
        if account is not None:
            self._shares.release(account, self.weight)
            self._shares.leave(account)

    async def __aenter__(self) -> None:
        await self.take()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.give_back()


class _Use:
    """A unit of one who has entered."""

    __slots__ = ("_account", "_shares")

    def __init__(self, shares: Shares, account: Account) -> None:
        self._shares = shares
        self._account = account

    async def __aenter__(self) -> None:
        if not self._shares.take_now(self._account, 1):
            await self._shares.take(self._account, 1)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shares.release(self._account, 1)
