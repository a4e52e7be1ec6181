"""Archiving: what it stops, what it keeps, and what the rest of the system is told."""

import asyncio

import asyncpg
import pytest

from libs.contracts import registry as contracts
from libs.contracts.base import Applied
from libs.runtime.ids import new_id
from tests.integration.registry.office import Office
from tests.support.serialized_flows import a_flow, a_schedule


async def test_a_flow_is_archived_and_unarchived(office: Office) -> None:
    made = await office.register(a_flow())

    assert await office.on_flow(contracts.ARCHIVE_FLOW, made.id) == Applied(id=made.id)
    archived = await office.flow(made.id)
    assert await office.on_flow(contracts.UNARCHIVE_FLOW, made.id) == Applied(id=made.id)
    unarchived = await office.flow(made.id)

    assert (archived["archived"], unarchived["archived"]) == (True, False)
    assert archived["archived_at"] is not None
    assert unarchived["archived_at"] is None
    assert await office.told(made.id) == {"registered": 1, "archived": 1, "unarchived": 1}


async def test_archiving_twice_is_archiving_once(office: Office) -> None:
    made = await office.register(a_flow())
    await office.on_flow(contracts.ARCHIVE_FLOW, made.id)
    before = await office.flow(made.id)

    again = await office.on_flow(contracts.ARCHIVE_FLOW, made.id)

    assert again.success is True
    assert await office.flow(made.id) == before
    assert (await office.told(made.id))["archived"] == 1


async def test_twenty_archivings_at_once_are_told_once(office: Office) -> None:
    made = await office.register(a_flow())

    await asyncio.gather(*(office.on_flow(contracts.ARCHIVE_FLOW, made.id) for _ in range(20)))

    assert (await office.told(made.id))["archived"] == 1


@pytest.mark.parametrize("rpc", [contracts.ARCHIVE_FLOW, contracts.UNARCHIVE_FLOW])
async def test_an_unknown_flow_is_no_success(office: Office, rpc: object) -> None:
    stranger = await Office.open(office.stack, office.service)
    theirs = await stranger.register(a_flow())

    for flow_id in (new_id(), theirs.id):
        answer = await office.on_flow(rpc, flow_id)  # type: ignore[arg-type] # one of two rpcs
        assert answer == Applied(success=False)
    assert (await office.flow(theirs.id))["archived"] is False


async def test_an_archived_schedule_is_as_it_was_when_it_comes_back(office: Office) -> None:
    made = await office.register(a_flow(schedule=a_schedule()), set_schedule_active=True)

    await office.on_flow(contracts.ARCHIVE_FLOW, made.id)
    await office.on_flow(contracts.UNARCHIVE_FLOW, made.id)

    assert (await office.flow(made.id))["is_schedule_active"] is True


async def test_versions_run_side_by_side_until_the_next_registration(office: Office) -> None:
    first = await office.register(a_flow())
    second = await office.register(a_flow())
    await office.on_flow(contracts.UNARCHIVE_FLOW, first.id)

    side_by_side = await office.versions(first.flow_group_id)
    third = await office.register(a_flow())

    assert side_by_side == [(1, False), (2, False)]
    assert await office.versions(first.flow_group_id) == [(1, True), (2, True), (3, False)]
    assert (await office.told(first.id))["archived"] == 2
    assert (await office.told(second.id))["archived"] == 1
    assert await office.told(third.id) == {"registered": 1}


async def test_archiving_waits_for_a_run_that_is_being_made(office: Office) -> None:
    """`runs` holds a share lock while it makes a run: whoever is first, the other sees what it did."""
    made = await office.register(a_flow())
    ledger = await asyncpg.connect(office.stack.postgres_url("runs"))
    try:
        making = ledger.transaction()
        await making.start()
        seen = await ledger.fetchval(
            "SELECT archived FROM registry.share_flows($1::uuid[])", [made.id]
        )

        archiving = asyncio.create_task(office.on_flow(contracts.ARCHIVE_FLOW, made.id))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncio.shield(archiving)
        await making.commit()
        await archiving

        later = await ledger.fetchval(
            "SELECT archived FROM registry.share_flows($1::uuid[])", [made.id]
        )
    finally:
        await ledger.close()
    assert (seen, later) == (False, True)
