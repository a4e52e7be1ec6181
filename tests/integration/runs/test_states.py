"""States on the real ledger: versions, histories, claims, cancelling."""

from collections.abc import AsyncIterator

import pytest

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.runs import StateApplied
from libs.runtime.bus import Bus
from tests.support.engines import Stack
from tests.support.ledger import Client, bus_on, ledger_on, register_flow


@pytest.fixture(scope="module")
async def bus(stack: Stack) -> AsyncIterator[Bus]:
    async with ledger_on(stack), bus_on(stack) as bus:
        yield bus


async def test_a_run_goes_from_scheduled_to_success_one_version_a_state(
    stack: Stack, bus: Bus
) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)

    run_id = await client.create(flow)
    outcomes = [await client.set(run_id, state) for state in ("Submitted", "Running", "Success")]

    assert [o.version for o in outcomes if isinstance(o, StateApplied)] == [2, 3, 4]
    history = await stack.admin_pool.fetch(
        "SELECT version, state FROM runs.flow_run_state WHERE flow_run_id = $1 ORDER BY version",
        run_id,
    )
    assert [tuple(row) for row in history] == [
        (1, "Scheduled"),
        (2, "Submitted"),
        (3, "Running"),
        (4, "Success"),
    ]
    row = await stack.admin_pool.fetchrow("SELECT * FROM runs.flow_run WHERE id = $1", run_id)
    assert row is not None
    assert (row["state"], row["version"]) == ("Success", 4)
    assert row["start_time"] is not None
    assert row["end_time"] > row["start_time"]
    assert row["heartbeat"] is not None


async def test_a_run_is_claimed_once(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)

    first = await client.set(run_id, "Submitted")
    second = await client.set(run_id, "Submitted")

    assert isinstance(first, StateApplied)
    assert isinstance(second, Refused)
    assert second.code is Code.ALREADY_SUBMITTED


async def test_cancelling_a_waiting_run_takes_its_task_runs_with_it(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool, tasks=3)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)

    await client.cancel(run_id)

    rows = await stack.admin_pool.fetch(
        "SELECT state, version FROM runs.task_run WHERE flow_run_id = $1", run_id
    )
    assert [tuple(row) for row in rows] == [("Cancelled", 1)] * 3


async def test_due_runs_are_offered_to_agents_whose_labels_cover_theirs(
    stack: Stack, bus: Bus
) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    plain = await client.create(flow)
    labelled = await client.create(flow, labels=["b", "a"])

    assert await client.queue() == [plain]
    assert await client.queue("a") == []
    assert await client.queue("c", "b", "a") == [labelled]
    assert await client.queue(*"abcdefghij") == [labelled]
