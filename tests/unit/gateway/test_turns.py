"""In one turn of the event loop a few operations begin, of tenants in turn."""

import asyncio

from services.gateway.fair_queue import Owner
from services.gateway.shares import BusyError
from services.gateway.turns import Turns


async def begun(turns: Turns, owner: Owner, order: list[Owner]) -> None:
    """Begin as the gateway does, and note it."""
    if not turns.is_open():
        await turns.wait(owner)
    order.append(owner)


async def test_a_lone_operation_begins_at_once() -> None:
    turns = Turns(2)

    for _ in range(100):
        assert turns.is_open()
        # The next turn of the loop.
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)


async def test_in_one_turn_of_the_loop_so_many_begin_and_all_do_in_the_end() -> None:
    turns, order = Turns(3), list[Owner]()
    tasks = [asyncio.ensure_future(begun(turns, ("a", 1), order)) for _ in range(10)]
    after_turns: list[int] = []

    while len(order) < 10:
        await asyncio.sleep(0)
        after_turns.append(len(order))

    await asyncio.gather(*tasks)
    assert all(
        later - before <= 3 for before, later in zip([0, *after_turns], after_turns, strict=False)
    )
    assert not turns._waiting.tenants


async def test_who_comes_after_a_flood_of_another_tenant_is_next() -> None:
    turns, order = Turns(2), list[Owner]()
    flood = [asyncio.ensure_future(begun(turns, ("a", 1), order)) for _ in range(1_000)]
    victim = asyncio.ensure_future(begun(turns, ("b", 1), order))

    await asyncio.gather(victim, *flood)

    assert order.index(("b", 1)) < 6


async def test_keys_of_a_tenant_take_turns() -> None:
    turns, order = Turns(2), list[Owner]()
    tasks = [asyncio.ensure_future(begun(turns, ("a", 1), order)) for _ in range(100)]
    tasks.append(asyncio.ensure_future(begun(turns, ("a", 2), order)))

    await asyncio.gather(*tasks)

    assert order.index(("a", 2)) < 6


async def test_who_gave_up_waiting_takes_nobodys_turn() -> None:
    turns, order = Turns(1), list[Owner]()
    assert turns.is_open()
    given_up = [asyncio.ensure_future(begun(turns, ("a", 1), order)) for _ in range(5)]
    stays = asyncio.ensure_future(begun(turns, ("a", 1), order))
    await asyncio.sleep(0)
    # The first was granted its turn already.
    for task in given_up[1:]:
        task.cancel()

    await stays

    assert len(order) == 2
    assert not turns._waiting.tenants


async def test_so_many_of_a_tenant_wait_and_no_more() -> None:
    turns, order = Turns(1), list[Owner]()
    assert turns.is_open()
    waiting = [asyncio.ensure_future(begun(turns, ("a", 1), order)) for _ in range(2_100)]

    found = await asyncio.gather(*waiting, return_exceptions=True)

    assert 0 < sum(isinstance(each, BusyError) for each in found) <= 100
    assert len(order) >= 2_000
