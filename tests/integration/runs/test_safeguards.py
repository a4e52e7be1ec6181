"""Zombies, Lazarus and cancellations that nobody obeys, on the real ledger."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from libs.contracts import heartbeat, runs, subjects
from libs.contracts.runs import StateApplied
from libs.runtime import outbox
from libs.runtime.bus import Bus
from libs.runtime.clock import utc_now
from libs.runtime.database import statement
from libs.runtime.ids import new_id
from services.runs import upkeep
from services.runs.app import Runs
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Client, caught_up, register_flow, running_flow_run


def zombie(client: Client, run_id: UUID, *, version: int) -> heartbeat.FlowRunZombieDetected:
    return heartbeat.FlowRunZombieDetected(
        event_id=new_id(),
        at=utc_now(),
        tenant_id=client.tenant_id,
        flow_run_id=run_id,
        version=version,
        last_seen=utc_now() - timedelta(minutes=2),
    )


async def states(stack: Stack, run_id: UUID) -> tuple[str, list[str]]:
    state = await stack.admin_pool.fetchval("SELECT state FROM runs.flow_run WHERE id = $1", run_id)
    rows = await stack.admin_pool.fetch(
        "SELECT state FROM runs.task_run WHERE flow_run_id = $1 ORDER BY task_id", run_id
    )
    return state, [row["state"] for row in rows]


async def log_lines(stack: Stack, run_id: UUID) -> list[tuple[str, str, UUID | None]]:
    rows = await stack.admin_pool.fetch(
        "SELECT level, message, task_run_id FROM runs.log WHERE flow_run_id = $1 ORDER BY timestamp, sequence",
        run_id,
    )
    return [(row["level"], row["message"], row["task_run_id"]) for row in rows]


async def test_a_zombies_tasks_fail_and_the_run_is_left_to_lazarus(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    flow = await register_flow(stack.admin_pool, tasks=3)
    client = Client(bus, flow.tenant_id)
    run_id = await client.start(flow)
    running, done = [await client.task_run(run_id, t) for t in flow.task_ids[:2]]
    await client.set_task(running.id, "Running")
    await client.set_task(done.id, "Success")
    event = zombie(client, run_id, version=3)
    subject = outbox.subject_of(event)

    for _ in range(3):  # at least once means that it may come again
        await bus.js.publish(subject, event.model_dump_json().encode(), stream="EVENTS")

    async def answered() -> bool:
        return await states(stack, run_id) == ("Running", ["Failed", "Success", "Pending"])

    assert await eventually(answered)
    await caught_up(bus, "EVENTS", "runs__zombies")
    why, when = await log_lines(stack, run_id)
    assert why == (
        "ERROR",
        "No heartbeat detected from the remote task; "
        f"marking the task run {running.id} (task 0) as failed.",
        running.id,
    )
    assert when[1].startswith(
        f"The last heartbeat of this run was received at {event.last_seen:%Y-%m-%d %H:%M:%S} UTC, "
    )


async def test_a_zombies_task_with_retries_left_brings_the_run_back_to_the_queue(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    flow = await register_flow(stack.admin_pool, max_retries=1)
    client = Client(bus, flow.tenant_id)
    run_id = await client.start(flow)
    task = await client.task_run(run_id, flow.task_ids[0])
    await client.set_task(task.id, "Running")

    await ledger.handlers.on_zombie(zombie(client, run_id, version=3))

    assert await states(stack, run_id) == ("Running", ["Retrying"])
    assert await client.queue() == [run_id]


async def test_a_zombie_that_lazarus_may_not_revive_fails(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    flow = await register_flow(stack.admin_pool, settings={"lazarus_enabled": False})
    client = Client(bus, flow.tenant_id)
    run_id = await client.start(flow)

    await ledger.handlers.on_zombie(zombie(client, run_id, version=3))

    assert (await states(stack, run_id))[0] == "Failed"


async def test_a_ping_after_the_silence_spares_the_run(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    flow = await register_flow(stack.admin_pool, settings={"lazarus_enabled": False})
    client = Client(bus, flow.tenant_id)
    run_id = await client.start(flow)
    await stack.admin_pool.execute(
        "INSERT INTO heartbeat.last_seen (flow_run_id, tenant_id, at) VALUES ($1, $2, now())",
        run_id,
        flow.tenant_id,
    )

    await ledger.handlers.on_zombie(zombie(client, run_id, version=3))

    assert (await states(stack, run_id))[0] == "Running"


async def test_lazarus_reschedules_through_the_work_queue_and_counts(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    _, flow, run_id = await running_flow_run(stack, bus)
    proposal = runs.Reschedule(
        tenant_id=flow.tenant_id, flow_run_id=run_id, seen_version=3, attempt=1, limit=10
    )

    for _ in range(3):
        await bus.publish_work(
            subjects.WORK_RESCHEDULE.at(flow_run_id=run_id), proposal, key=str(new_id())
        )

    async def revived() -> bool:
        row = await stack.admin_pool.fetchrow(
            "SELECT state, version, times_resurrected FROM runs.flow_run WHERE id = $1", run_id
        )
        assert row is not None
        return tuple(row) == ("Scheduled", 4, 1)

    assert await eventually(revived)
    await caught_up(bus, "WORK", "runs__work")
    assert await revived()
    assert await log_lines(stack, run_id) == [
        ("INFO", "Rescheduled by a Lazarus process. This is attempt 1.", None)
    ]


async def test_a_cancellation_that_nobody_obeys_ends_at_its_deadline(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    flow = await register_flow(stack.admin_pool, tasks=2)
    client = Client(bus, flow.tenant_id)
    run_id = await client.start(flow)
    await client.cancel(run_id)
    deadline = timedelta(minutes=1)

    early = await upkeep.end_cancellations(
        ledger.database, ledger.commit, deadline=deadline, now=utc_now()
    )
    asked = await stack.admin_pool.execute(
        "UPDATE runs.flow_run SET state_timestamp = state_timestamp - interval '2 minutes' WHERE id = $1",
        run_id,
    )
    late = await ledger.duties.end_cancellations()

    assert (early, asked, late) == (0, "UPDATE 1", 1)
    assert await states(stack, run_id) == ("Cancelled", ["Cancelled", "Cancelled"])
    assert isinstance(await client.set(run_id, "Cancelled"), StateApplied)  # the process, too late


async def _pings_are_heard(stack: Stack, *, since: str = "1 day") -> None:
    await stack.admin_pool.execute(
        "INSERT INTO heartbeat.watch (id, since, at) VALUES (1, now() - $1::text::interval, now())"
        " ON CONFLICT (id) DO UPDATE SET since = excluded.since, at = excluded.at",
        since,
    )


async def _an_hour_passes(stack: Stack, run_id: UUID) -> None:
    for table, key in (("flow_run", "id"), ("task_run", "flow_run_id")):
        await stack.admin_pool.execute(
            f"UPDATE runs.{table} SET state_timestamp = state_timestamp - interval '1 hour' WHERE {key} = $1",
            run_id,
        )


@pytest.mark.parametrize("end", ["Failed", "Success", "TimedOut", "Scheduled", "Pending"])
async def test_a_task_run_ends_with_its_flow_runs_silence_however_that_ended(
    stack: Stack, bus: Bus, ledger: Runs, end: str
) -> None:
    flow = await register_flow(stack.admin_pool, tasks=3, max_retries=1)
    client = Client(bus, flow.tenant_id)
    run_id = await client.start(flow)
    left, done = [await client.task_run(run_id, t) for t in flow.task_ids[:2]]
    await client.set_task(left.id, "Running")
    await client.set_task(done.id, "Success")
    await client.set(run_id, end)
    await _pings_are_heard(stack)

    early = await ledger.duties.end_left_task_runs()
    await _an_hour_passes(stack, run_id)
    ended = [await ledger.duties.end_left_task_runs() for _ in range(2)]

    assert (early, ended) == (0, [1, 0])
    assert await states(stack, run_id) == (end, ["Failed", "Success", "Pending"])
    [(level, message, task_run_id)] = await log_lines(stack, run_id)
    assert (level, task_run_id) == ("ERROR", left.id)
    assert message.startswith("No heartbeat detected from the remote task; marking the task run")


async def test_a_task_run_is_left_running_while_its_process_may_live(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    flow = await register_flow(stack.admin_pool)
    unwatched = await register_flow(stack.admin_pool, settings={"heartbeat_enabled": False})
    runs_left = []
    for of in (flow, unwatched):
        client = Client(bus, of.tenant_id)
        run_id = await client.start(of)
        task = await client.task_run(run_id, of.task_ids[0])
        await client.set_task(task.id, "Running")
        await client.set(run_id, "Failed")
        await _an_hour_passes(stack, run_id)
        runs_left.append(run_id)

    await _pings_are_heard(stack, since="1 minute")
    while_nobody_listened = await ledger.duties.end_left_task_runs()
    await _pings_are_heard(stack)
    await stack.admin_pool.execute(
        "INSERT INTO heartbeat.last_seen (flow_run_id, tenant_id, at) VALUES ($1, $2, now())",
        runs_left[0],
        flow.tenant_id,
    )
    while_it_pings = await ledger.duties.end_left_task_runs()

    assert (while_nobody_listened, while_it_pings) == (0, 0)
    for run_id in runs_left:
        assert await states(stack, run_id) == ("Failed", ["Running"])


async def test_task_runs_that_were_left_are_found_by_the_index_of_those_that_run(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    async with stack.admin_pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        text = statement(upkeep.__file__, "left_task_runs")
        plan = await connection.fetch(f"EXPLAIN {text}", utc_now(), utc_now(), 500)

    assert "task_run_running_idx" in "\n".join(row[0] for row in plan)


async def test_a_success_and_a_service_race_and_the_first_end_stays(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    flow = await register_flow(stack.admin_pool, settings={"lazarus_enabled": False})
    client = Client(bus, flow.tenant_id)
    run_ids = [await client.start(flow) for _ in range(60)]

    await asyncio.gather(
        *(_race(client, ledger, run_id, index) for index, run_id in enumerate(run_ids))
    )

    rows = await stack.admin_pool.fetch(
        """
        SELECT s.flow_run_id, array_agg(s.state ORDER BY s.version) AS states
        FROM runs.flow_run_state s WHERE s.flow_run_id = ANY($1::uuid[]) GROUP BY 1
        """,
        run_ids,
    )
    finished = {"Success", "Failed", "Cancelled"}
    for row in rows:
        ends = [state for state in row["states"] if state in finished]
        assert len(ends) <= 1, row["states"]
        if ends:
            assert row["states"][-1] == ends[0]


async def _race(client: Client, ledger: Runs, run_id: UUID, index: int) -> None:
    give_up = runs.Reschedule(
        tenant_id=client.tenant_id,
        flow_run_id=run_id,
        seen_version=3,
        attempt=11,
        limit=10,
        give_up=True,
    )
    rivals: list[Callable[[], Awaitable[object]]] = [
        lambda: ledger.handlers.on_zombie(zombie(client, run_id, version=3)),
        lambda: ledger.handlers.on_work(give_up),
        lambda: client.cancel(run_id),
    ]
    success = client.set(run_id, "Success")
    await asyncio.gather(success, rivals[index % 3](), rivals[(index + 1) % 3]())
