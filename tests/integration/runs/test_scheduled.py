"""Work from the scheduler and events of the registry: instants once for ever, archived and deleted flows."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

from libs.contracts import registry, runs, subjects
from libs.contracts.base import Message
from libs.runtime.bus import Bus
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.runs.app import Runs
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Client, Flow, register_flow

# Well after the end of the suite, at whose beginning it is read.
LATER = utc_now().replace(microsecond=0) + timedelta(days=1)


def instants(count: int, *, first: datetime = LATER) -> list[runs.ScheduledInstant]:
    return [
        runs.ScheduledInstant(start_time=first + timedelta(hours=n), schedule_hash="h")
        for n in range(count)
    ]


async def work(bus: Bus, body: Message, subject: str) -> None:
    await bus.publish_work(subject, body, key=str(new_id()))


async def create(bus: Bus, flow: Flow, wanted: list[runs.ScheduledInstant]) -> None:
    await work(
        bus,
        runs.CreateScheduled(tenant_id=flow.tenant_id, flow_id=flow.id, instants=wanted),
        subjects.WORK_CREATE_SCHEDULED.at(flow_id=flow.id),
    )


async def pending(stack: Stack, flow: Flow) -> list[datetime]:
    rows = await stack.admin_pool.fetch(
        """
        SELECT scheduled_start_time FROM runs.flow_run WHERE flow_id = $1 AND auto_scheduled AND state = 'Scheduled'
        ORDER BY 1
        """,
        flow.id,
    )
    return [row[0] for row in rows]


async def settled(ledger: Runs, bus: Bus) -> None:
    """Until the work queue is empty and acknowledged."""

    async def empty() -> bool:
        info = await bus.js.stream_info("WORK")
        return info.state.messages == 0

    assert await eventually(empty)


async def test_an_instant_of_a_schedule_happens_once_whoever_asks_how_often(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    flow = await register_flow(stack.admin_pool, tasks=2)

    await asyncio.gather(*(create(bus, flow, instants(5)) for _ in range(10)))
    await settled(ledger, bus)

    assert await pending(stack, flow) == [LATER + timedelta(hours=n) for n in range(5)]
    task_runs = await stack.admin_pool.fetchval(
        "SELECT count(*) FROM runs.task_run t JOIN runs.flow_run r ON r.id = t.flow_run_id WHERE r.flow_id = $1",
        flow.id,
    )
    assert task_runs == 10


async def test_nothing_is_made_for_the_past_or_for_a_schedule_that_is_off(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    flow = await register_flow(stack.admin_pool)
    paused = await register_flow(stack.admin_pool, is_schedule_active=False)
    archived = await register_flow(stack.admin_pool, archived=True)

    await create(bus, flow, instants(2, first=utc_now() - timedelta(minutes=30)))
    await create(bus, paused, instants(2))
    await create(bus, archived, instants(2))
    await settled(ledger, bus)

    assert len(await pending(stack, flow)) == 1
    assert await pending(stack, paused) == []
    assert await pending(stack, archived) == []


async def test_clearing_deletes_what_is_pending_and_keeps_what_is_named_or_has_started(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    await create(bus, flow, instants(4))
    await settled(ledger, bus)
    ad_hoc = await client.create(flow)
    started = await stack.admin_pool.fetchval(
        "SELECT id FROM runs.flow_run WHERE flow_id = $1 AND scheduled_start_time = $2",
        flow.id,
        LATER,
    )
    await client.set(started, "Submitted")

    await work(
        bus,
        runs.ClearScheduled(
            tenant_id=flow.tenant_id, flow_id=flow.id, keep=[(LATER + timedelta(hours=2), "h")]
        ),
        subjects.WORK_CLEAR_SCHEDULED.at(flow_id=flow.id),
    )
    await settled(ledger, bus)

    assert await pending(stack, flow) == [LATER + timedelta(hours=2)]
    left = await stack.admin_pool.fetch("SELECT id FROM runs.flow_run WHERE flow_id = $1", flow.id)
    assert {ad_hoc, started} <= {row["id"] for row in left}
    orphans = await stack.admin_pool.fetchval(
        "SELECT count(*) FROM runs.flow_run_state s WHERE NOT EXISTS "
        "(SELECT FROM runs.flow_run r WHERE r.id = s.flow_run_id)"
    )
    assert orphans == 0


async def test_a_new_version_takes_over_the_instants_of_the_archived_one(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    old = await register_flow(stack.admin_pool)
    await create(bus, old, instants(3))
    await settled(ledger, bus)
    new = await register_flow(
        stack.admin_pool, tenant_id=old.tenant_id, group_id=old.group_id, version=2
    )
    await archive(stack, old)

    await create(bus, new, instants(3))  # before the event of the archiving has arrived
    await settled(ledger, bus)

    assert await pending(stack, old) == []
    assert len(await pending(stack, new)) == 3


async def test_archiving_deletes_pending_runs_and_cancels_ad_hoc_ones_with_a_message(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    await create(bus, flow, instants(3))
    await settled(ledger, bus)
    waiting, running, begun = (
        await client.create(flow),
        await client.start(flow),
        await client.start(flow),
    )
    # As Core does for a task's long retry, and Lazarus for a dead run.
    await client.set(begun, "Scheduled")
    await archive(stack, flow)

    await ledger.handlers.on_flow_archived(event(flow))
    await ledger.handlers.on_flow_archived(event(flow))  # a redelivery changes nothing more

    rows = await stack.admin_pool.fetch(
        "SELECT id, state, state_message, version FROM runs.flow_run WHERE flow_id = $1 ORDER BY id",
        flow.id,
    )
    assert [tuple(row) for row in rows] == [
        (waiting, "Cancelled", f"Flow {flow.id} was archived.", 2),
        (running, "Running", None, 3),
        (begun, "Scheduled", None, 4),
    ]
    assert await ledger.duties.sweep() == 0


async def test_an_archiving_that_was_taken_back_touches_nothing(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    flow = await register_flow(stack.admin_pool)
    run_id = await Client(bus, flow.tenant_id).create(flow)

    await ledger.handlers.on_flow_archived(event(flow))

    assert await state_of(stack, run_id) == "Scheduled"


async def test_the_sweep_does_what_a_lost_event_would_have_done(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    archived = await register_flow(stack.admin_pool)
    deleted = await register_flow(stack.admin_pool)
    waiting = await Client(bus, archived.tenant_id).create(archived)
    gone = await Client(bus, deleted.tenant_id).create(deleted)
    await archive(stack, archived)
    await stack.admin_pool.execute("DELETE FROM registry.flow WHERE id = $1", deleted.id)

    touched = await ledger.duties.sweep()

    assert touched == 2
    assert await state_of(stack, waiting) == "Cancelled"
    assert await state_of(stack, gone) is None
    assert await ledger.duties.sweep() == 0


async def test_a_deleted_flow_takes_its_runs_with_it_and_a_living_one_does_not(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    flow = await register_flow(stack.admin_pool, tasks=2)
    client = Client(bus, flow.tenant_id)
    run_ids = [await client.start(flow) for _ in range(3)]

    await ledger.handlers.on_flow_deleted(
        registry.FlowDeleted.model_validate(event(flow).model_dump())
    )
    kept = [await state_of(stack, run_id) for run_id in run_ids]
    await stack.admin_pool.execute("DELETE FROM registry.flow WHERE id = $1", flow.id)
    await ledger.handlers.on_flow_deleted(
        registry.FlowDeleted.model_validate(event(flow).model_dump())
    )

    assert kept == ["Running"] * 3
    assert [await state_of(stack, run_id) for run_id in run_ids] == [None] * 3
    left = await stack.admin_pool.fetchval(
        "SELECT count(*) FROM runs.flow_run_state WHERE flow_run_id = ANY($1::uuid[])", run_ids
    )
    assert left == 0


def event(flow: Flow) -> registry.FlowArchived:
    return registry.FlowArchived(
        event_id=new_id(),
        at=utc_now(),
        tenant_id=flow.tenant_id,
        flow_id=flow.id,
        flow_group_id=flow.group_id,
    )


async def archive(stack: Stack, flow: Flow) -> None:
    await stack.admin_pool.execute(
        "UPDATE registry.flow SET archived = true WHERE id = $1", flow.id
    )


async def state_of(stack: Stack, run_id: UUID) -> str | None:
    state: str | None = await stack.admin_pool.fetchval(
        "SELECT state FROM runs.flow_run WHERE id = $1", run_id
    )
    return state
