"""Runs of archived and deleted flows: from the moment the registry has committed it, nothing of them is handed out.

The ledger's loops stand still and no event is sent: what is seen here is what an agent sees before either has acted.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.runs import StateApplied
from libs.runtime.bus import Bus
from libs.runtime.clock import utc_now
from libs.runtime.database import statement
from services.runs.app import Runs
from services.runs.dispatch import leases
from tests.support.engines import Stack
from tests.support.ledger import Client, Flow, tenant_with_flow
from tests.support.raw_agent import raw_agent

MANY = tuple(f"label {n}" for n in range(9))
"""So many that the queue looks through the label sets that wait."""
CLAIM = statement(leases.__file__, "claim")
WITHDRAWALS = {
    "archived": "UPDATE registry.flow SET archived = true WHERE id = $1",
    "deleted": "DELETE FROM registry.flow WHERE id = $1",
}


@pytest.fixture
async def flow(stack: Stack, ledger: Runs) -> Flow:
    return await tenant_with_flow(stack.admin_pool)


async def withdraw(stack: Stack, flow: Flow, how: str) -> None:
    """What the registry commits before it answers."""
    await stack.admin_pool.execute(WITHDRAWALS[how], flow.id)


async def claimed(stack: Stack, flow: Flow, *labels: str) -> list[UUID]:
    """What a native agent gets at once."""
    async with raw_agent(stack.nats_url, flow.tenant_id, *labels) as agent:
        return [run.flow_run_id for run in await agent.take(capacity=9)]


async def due_sets(ledger: Runs, flow: Flow) -> int:
    """How many label sets dispatch would have agents woken for."""
    horizon = timedelta(minutes=1)
    return len(await ledger.dispatch.leases.look([flow.tenant_id], horizon=horizon))


@pytest.mark.parametrize("how", WITHDRAWALS)
@pytest.mark.parametrize("labels", [(), ("a",), (*MANY, "a")], ids=["none", "few", "many"])
async def test_no_run_of_a_withdrawn_flow_is_offered_or_claimed(
    stack: Stack, bus: Bus, ledger: Runs, flow: Flow, *, labels: tuple[str, ...], how: str
) -> None:
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow, labels=["a"] if labels else [])
    before = (await client.queue(*labels), await due_sets(ledger, flow))

    await withdraw(stack, flow, how)

    assert before == ([run_id], 1)
    assert await client.queue(*labels) == []
    assert await due_sets(ledger, flow) == 0
    assert await claimed(stack, flow, *labels) == []


@pytest.mark.parametrize("how", WITHDRAWALS)
async def test_a_run_that_was_planned_ahead_is_not_offered_when_its_time_comes(
    stack: Stack, bus: Bus, ledger: Runs, flow: Flow, how: str
) -> None:
    client = Client(bus, flow.tenant_id)
    start = utc_now() + timedelta(seconds=30)
    run_id = await client.create(flow, scheduled_start_time=start)
    before = (await client.queue(before=start), await due_sets(ledger, flow))

    await withdraw(stack, flow, how)

    assert before == ([run_id], 1)
    assert await client.queue(before=start) == []
    assert await due_sets(ledger, flow) == 0


@pytest.mark.parametrize("how", WITHDRAWALS)
async def test_an_agent_that_was_offered_a_run_before_cannot_submit_it_after(
    stack: Stack, bus: Bus, flow: Flow, how: str
) -> None:
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)

    await withdraw(stack, flow, how)

    assert await client.set(run_id, "Submitted") == Refused(
        code=Code.FLOW_WITHDRAWN, fields={"id": str(run_id), "flow_id": str(flow.id)}
    )


async def test_a_run_that_lazarus_put_back_before_it_began_is_not_offered(
    stack: Stack, bus: Bus, flow: Flow
) -> None:
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)
    await client.set(run_id, "Submitted")
    await withdraw(stack, flow, "archived")

    await client.set(run_id, "Scheduled")

    assert await client.queue() == []
    assert await claimed(stack, flow) == []


async def test_runs_of_other_flows_are_offered_past_those_of_an_archived_one(
    stack: Stack, bus: Bus, flow: Flow
) -> None:
    client = Client(bus, flow.tenant_id)
    other = await tenant_with_flow(stack.admin_pool)
    for _ in range(30):
        await client.create(flow)
    run_id = await Client(bus, other.tenant_id).create(other)
    await stack.admin_pool.execute(
        "UPDATE runs.flow_run SET tenant_id = $2 WHERE id = $1", run_id, flow.tenant_id
    )

    await withdraw(stack, flow, "archived")

    assert await client.queue(limit=1) == [run_id]
    assert await claimed(stack, flow) == [run_id]


@pytest.mark.parametrize("state", ["Paused", "Resume", "Retrying"])
async def test_what_no_queue_offers_any_more_is_cancelled_whatever_it_waits_for(
    stack: Stack, bus: Bus, ledger: Runs, flow: Flow, state: str
) -> None:
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)
    await client.set(run_id, {"type": state, "start_time": utc_now().isoformat()})
    await withdraw(stack, flow, "archived")

    await ledger.duties.sweep()

    found = await stack.admin_pool.fetchval("SELECT state FROM runs.flow_run WHERE id = $1", run_id)
    assert found == "Cancelled"


@pytest.mark.parametrize("state", ["Scheduled", "Resume", "Queued"])
async def test_archiving_ends_no_work_that_has_begun(
    stack: Stack, bus: Bus, flow: Flow, state: str
) -> None:
    client = Client(bus, flow.tenant_id)
    run_id = await client.start(flow)
    await client.set(run_id, {"type": state, "start_time": utc_now().isoformat()})

    await withdraw(stack, flow, "archived")

    assert await client.queue() == [run_id]
    assert isinstance(await client.set(run_id, "Submitted"), StateApplied)


async def test_a_run_that_has_begun_goes_to_a_native_agent_too(
    stack: Stack, bus: Bus, flow: Flow
) -> None:
    client = Client(bus, flow.tenant_id)
    run_id = await client.start(flow)
    await client.set(run_id, "Scheduled")

    await withdraw(stack, flow, "archived")

    assert await claimed(stack, flow) == [run_id]


@pytest.mark.parametrize(("how", "offered"), [("archived", True), ("deleted", False)])
async def test_a_long_retry_is_offered_while_its_flow_is_there(
    stack: Stack, bus: Bus, ledger: Runs, flow: Flow, how: str, *, offered: bool
) -> None:
    client = Client(bus, flow.tenant_id)
    run_id = await client.start(flow)
    task_run = await client.task_run(run_id, flow.task_ids[0])
    past = (utc_now() - timedelta(minutes=1)).isoformat()
    await client.set_task(task_run.id, {"type": "Retrying", "start_time": past})

    await withdraw(stack, flow, how)

    assert await client.queue() == ([run_id] if offered else [])
    assert await due_sets(ledger, flow) == int(offered)
    assert await claimed(stack, flow) == ([run_id] if offered else [])


@asynccontextmanager
async def in_the_registry(stack: Stack) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """The registry's connection, in a transaction that has not ended."""
    connection = await asyncpg.connect(stack.postgres_url("registry"))
    try:
        yield connection
    finally:
        await connection.close()


async def test_nothing_is_handed_out_while_the_registry_is_about_to_archive(
    stack: Stack, bus: Bus, ledger: Runs, flow: Flow
) -> None:
    """Whoever asks before the archiving has committed does not wait for it, and gets nothing that outlives it."""
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)
    async with in_the_registry(stack) as registry:
        archiving = registry.transaction()
        await archiving.start()
        await registry.execute(WITHDRAWALS["archived"], flow.id)

        native = await claimed(stack, flow)
        stock = await client.set(run_id, "Submitted")
        await archiving.rollback()

    assert native == []
    assert isinstance(stock, Refused)
    assert await client.queue() == [run_id]
    assert await claimed(stack, flow) == [run_id]


async def test_archiving_waits_for_a_claim_that_is_being_committed(
    stack: Stack, bus: Bus, ledger: Runs, flow: Flow
) -> None:
    client = Client(bus, flow.tenant_id)
    await client.create(flow)
    ledger_connection = await asyncpg.connect(stack.postgres_url("runs"))
    try:
        claiming = ledger_connection.transaction()
        await claiming.start()
        found = await ledger_connection.fetch(CLAIM, flow.tenant_id, ["[]"], 9)
        async with in_the_registry(stack) as registry:
            await registry.execute("SET lock_timeout = '200ms'")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await registry.execute(WITHDRAWALS["archived"], flow.id)
            await claiming.commit()
            await registry.execute(WITHDRAWALS["archived"], flow.id)
    finally:
        await ledger_connection.close()

    assert len(found) == 1
