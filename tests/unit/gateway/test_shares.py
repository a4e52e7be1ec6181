"""Shares are kept to, given back, and waited for by turns."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from services.gateway.fair_queue import Owner
from services.gateway.shares import Account, BusyError, Shares

LONG = 60.0  # seconds; more than a test waits


def shares(
    total: int = 4, *, of_tenant: int = 3, of_key: int = 2, patience: float = LONG
) -> Shares:
    return Shares(
        "test", total, of_tenant=of_tenant, of_key=of_key, patience=patience, what="a place"
    )


async def settled() -> None:
    """Let every task go as far as it can."""
    for _ in range(5):
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)


def is_unused(shares: Shares) -> bool:
    """Whether nothing is in use, nobody waits, and nothing is kept of anybody."""
    return shares._used == 0 and not (
        shares._waiting.tenants or shares._accounts or shares._tenants
    )


class Holder:
    """Takes a share, tells so, and gives it back when it is told to."""

    def __init__(self, of: Shares, owner: Owner, weight: int = 1) -> None:
        self.has = False
        self._done = asyncio.Event()
        self.task = asyncio.ensure_future(self._hold(of, owner, weight))

    async def _hold(self, of: Shares, owner: Owner, weight: int) -> None:
        async with of.of(owner, weight):
            self.has = True
            await self._done.wait()

    async def give_back(self) -> None:
        self._done.set()
        await self.task


async def test_a_tenant_and_a_key_have_their_part_and_others_the_rest() -> None:
    given = shares()

    held = [
        Holder(given, owner)
        for owner in [("a", 1), ("a", 1), ("a", 1), ("a", 2), ("a", 2), ("b", 1), ("c", 1)]
    ]
    await settled()

    assert [holder.has for holder in held] == [True, True, False, True, False, True, False]
    for holder in held:
        await holder.give_back()
    assert is_unused(given)


async def test_who_waits_is_served_by_turns_of_tenants_and_of_keys() -> None:
    given = shares(1, of_tenant=1, of_key=1)
    order: list[str] = []

    async def use(name: str, owner: Owner) -> None:
        async with given.of(owner):
            order.append(name)
            await settled()

    owners: list[tuple[str, Owner]] = [
        ("a1 first", ("a", 1)),
        ("a1 second", ("a", 1)),
        ("a1 third", ("a", 1)),
        ("a2", ("a", 2)),
        ("b first", ("b", 1)),
        ("b second", ("b", 1)),
    ]
    await asyncio.gather(*(use(name, owner) for name, owner in owners))

    assert order == ["a1 first", "a1 second", "b first", "a2", "b second", "a1 third"]


async def test_what_is_large_is_not_passed_by_for_ever() -> None:
    given = shares(10, of_tenant=10, of_key=10)
    small = Holder(given, ("a", 1), 4)
    large = Holder(given, ("b", 1), 8)
    late = Holder(given, ("a", 1), 4)
    await settled()
    assert (small.has, large.has, late.has) == (True, False, False)

    await small.give_back()
    await settled()

    assert (large.has, late.has) == (True, False)
    await large.give_back()
    await late.give_back()


async def test_more_than_one_may_have_is_taken_as_that() -> None:
    given = shares(10, of_tenant=6, of_key=5)

    async with given.of(("a", 1), 1_000):
        assert given._used == 5


async def test_waiting_ends_in_a_sentence_and_leaves_nothing_behind() -> None:
    given = shares(1, patience=0.05)

    async with AsyncExitStack() as held:
        await held.enter_async_context(given.of(("a", 1)))
        with pytest.raises(BusyError, match="of this tenant wait for a place; try again soon"):
            async with given.of(("b", 1)):
                pass

    assert is_unused(given)


async def test_so_many_wait_and_no_more() -> None:
    given = Shares("test", 1, of_tenant=1, of_key=1, patience=LONG, what="a place", waiting=2)
    held = [Holder(given, ("a", key)) for key in range(3)]
    await settled()

    with pytest.raises(BusyError):
        await given.of(("a", 9)).take()

    for holder in held:
        await holder.give_back()


@pytest.mark.parametrize("granted_meanwhile", [False, True])
async def test_who_stops_waiting_gives_the_place_to_the_next(granted_meanwhile: bool) -> None:
    given = shares(1)
    first, second, third = (Holder(given, (tenant, 1)) for tenant in "abc")
    await settled()

    if granted_meanwhile:
        first._done.set()
        await first.task
    second.task.cancel()
    await asyncio.gather(second.task, return_exceptions=True)
    if not granted_meanwhile:
        await first.give_back()
    await settled()

    assert third.has
    await third.give_back()
    assert is_unused(given)


def test_a_key_and_a_tenant_have_so_many_requests_unfinished() -> None:
    given = Shares(
        "test", 9, of_tenant=9, of_key=9, patience=LONG, what="a place",
        present_of_tenant=3, present_of_key=2,
    )  # fmt: skip
    first = given.enter(("a", 1))
    entered = [first, given.enter(("a", 1))]
    with pytest.raises(BusyError, match="unfinished"):
        given.enter(("a", 1))
    entered.append(given.enter(("a", 2)))
    with pytest.raises(BusyError, match="unfinished"):
        given.enter(("a", 3))
    entered.append(given.enter(("b", 1)))

    given.leave(first)
    entered[0] = given.enter(("a", 3))

    for account in entered:
        given.leave(account)
    assert is_unused(given)


async def test_requests_of_a_key_share_what_it_may_use() -> None:
    given = shares(4, of_tenant=3, of_key=2)
    requests = [given.enter(("a", 1)) for _ in range(3)]

    assert [given.take_now(account, 1) for account in requests] == [True, True, False]
    others = given.enter(("a", 2))
    assert [given.take_now(others, 1) for _ in range(2)] == [True, False]

    for account in (*requests[:2], others):
        given.release(account, 1)
    for account in (*requests, others):
        given.leave(account)
    assert is_unused(given)


async def test_a_request_that_has_entered_uses_a_unit_and_waits_for_it() -> None:
    given = shares(1)
    first, second = given.enter(("a", 1)), given.enter(("b", 1))
    order: list[Account] = []

    async def use(account: Account) -> None:
        async with given.using(account):
            order.append(account)
            await settled()

    await asyncio.gather(use(first), use(second))

    assert order == [first, second]
    for account in order:
        given.leave(account)
    assert is_unused(given)


async def test_who_stops_waiting_is_not_present_any_more() -> None:
    given = shares(1)
    async with given.of(("a", 1)):
        waiting = Holder(given, ("b", 1))
        await settled()
        assert given._tenants["b"].present == 1

        waiting.task.cancel()
        await asyncio.gather(waiting.task, return_exceptions=True)

        assert "b" not in given._tenants
    assert is_unused(given)
