"""Concurrency limits on two replicas: never exceeded, never leaked, and who waits is told why."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.contracts import heartbeat, runs
from libs.contracts.base import Applied, Refused
from libs.contracts.errors import Code
from libs.contracts.runs import RunKind, StateApplied, StateProposal
from libs.runtime.bus import Bus
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.runs.app import Runs
from services.runs.ledger import reads
from tests.support.engines import Stack
from tests.support.ledger import Client, Flow, bus_on, ledger_on, register_flow

IN_USE = "SELECT count(*) FROM runs.concurrency_slot WHERE tenant_id = $1"


@pytest.fixture(scope="module")
async def buses(stack: Stack, ledger: Runs) -> AsyncIterator[list[Bus]]:
    """Two clients' connections to two replicas, which share the requests."""
    async with ledger_on(stack), bus_on(stack) as one, bus_on(stack) as other:
        yield [one, other]


async def set_limit(client: Client, name: str, limit: int, *, tag: bool = False) -> UUID:
    kind = RunKind.TASK_RUN if tag else RunKind.FLOW_RUN
    reply = await client.bus.call(
        runs.SET_CONCURRENCY_LIMIT,
        runs.SetConcurrencyLimit(tenant_id=client.tenant_id, run_kind=kind, name=name, limit=limit),
    )
    assert isinstance(reply, Applied), reply
    assert reply.id is not None
    return reply.id


async def delete_limit(client: Client, limit_id: UUID, *, tag: bool = False) -> bool:
    kind = RunKind.TASK_RUN if tag else RunKind.FLOW_RUN
    reply = await client.bus.call(
        runs.DELETE_CONCURRENCY_LIMIT,
        runs.DeleteConcurrencyLimit(tenant_id=client.tenant_id, run_kind=kind, limit_id=limit_id),
    )
    assert isinstance(reply, Applied), reply
    return reply.success


async def limited_flow(
    stack: Stack, bus: Bus, name: str, limit: int, *, tag: bool = False
) -> tuple[Client, Flow, UUID]:
    """A new tenant with a flow and a limit: its client, the flow, and the limit's id."""
    client = Client(bus, new_id())
    flow = await register_flow(stack.admin_pool, tenant_id=client.tenant_id)
    return client, flow, await set_limit(client, name, limit, tag=tag)


async def in_use(stack: Stack, client: Client) -> int:
    used: int = await stack.admin_pool.fetchval(IN_USE, client.tenant_id)
    return used


async def tagged_task_runs(
    stack: Stack, client: Client, count: int, *, tags: Sequence[str] = ("database",)
) -> tuple[UUID, list[UUID]]:
    """A Running flow run, and mapped children of a task that its author tagged."""
    flow = await register_flow(stack.admin_pool, tenant_id=client.tenant_id)
    await stack.admin_pool.execute(
        "UPDATE registry.task SET tags = $2 WHERE flow_id = $1", flow.id, list(tags)
    )
    run_id = await client.start(flow)
    made = await asyncio.gather(
        *(client.task_run(run_id, flow.task_ids[0], index) for index in range(count))
    )
    return run_id, [task_run.id for task_run in made]


def running(*tags: str) -> dict[str, Any]:
    """Running, as Core writes it: with the task's tags in the context."""
    return {"type": "Running", "message": "Starting task run.", "context": {"tags": list(tags)}}


async def most_at_once(stack: Stack, run_ids: Sequence[UUID]) -> int:
    """How many of the task runs were ever Running together, by their histories."""
    most: int = await stack.admin_pool.fetchval(
        """
        WITH step AS (
            SELECT timestamp, (state = 'Running')::int
                - coalesce(lag(state = 'Running') OVER (PARTITION BY task_run_id ORDER BY version), false)::int AS by
            FROM runs.task_run_state WHERE task_run_id = ANY($1::uuid[])
        )
        SELECT max(at_once) FROM (SELECT sum(by) OVER (ORDER BY timestamp, by) AS at_once FROM step) s
        """,
        run_ids,
    )
    return most


async def test_200_tasks_that_start_at_once_never_exceed_a_limit_of_10_and_all_finish(
    stack: Stack, buses: list[Bus]
) -> None:
    clients = [Client(bus, new_tenant) for new_tenant in [new_id()] for bus in buses]
    await set_limit(clients[0], "database", 10, tag=True)
    _, task_run_ids = await tagged_task_runs(stack, clients[0], 200)
    at_work = 0
    highest = 0

    async def work(client: Client, task_run_id: UUID) -> None:
        nonlocal at_work, highest
        while True:
            outcome = await client.set_task(task_run_id, running("database"))
            assert isinstance(outcome, StateApplied), outcome
            if outcome.status == "SUCCESS":
                break
            assert outcome.state == "Queued"
        at_work += 1
        highest = max(highest, at_work)
        await asyncio.sleep(0)
        at_work -= 1
        done = await client.set_task(task_run_id, "Success")
        assert isinstance(done, StateApplied), done

    await asyncio.gather(*(work(clients[n % 2], id_) for n, id_ in enumerate(task_run_ids)))

    assert highest <= 10
    assert await most_at_once(stack, task_run_ids) <= 10
    assert await in_use(stack, clients[0]) == 0
    states = await stack.admin_pool.fetch(
        "SELECT state, count(*) FROM runs.task_run WHERE id = ANY($1::uuid[]) GROUP BY 1",
        task_run_ids,
    )
    assert [tuple(row) for row in states] == [("Success", 200)]


async def test_a_queued_task_keeps_what_it_was_and_says_what_it_waits_for(
    stack: Stack, buses: list[Bus]
) -> None:
    client = Client(buses[0], new_id())
    await set_limit(client, "database", 1, tag=True)
    _, [one, other] = await tagged_task_runs(stack, client, 2)
    await client.set_task(
        other, {"type": "Retrying", "run_count": 2, "start_time": "2026-01-01T00:00:00+00:00"}
    )

    first = await client.set_task(one, running("database"))
    second = await client.set_task(other, running("database"))
    again = await client.set_task(other, running("database"))

    assert isinstance(first, StateApplied)
    assert (first.status, first.message) == ("SUCCESS", None)
    assert isinstance(second, StateApplied)
    sentence = "Waiting for a slot: 1 task runs with the tag 'database' may run at once."
    assert (second.status, second.state, second.message) == ("QUEUED", "Queued", sentence)
    assert again == second  # asking each 30 s leaves no trail
    row = await stack.admin_pool.fetchrow(
        "SELECT state_start_time - now() AS ahead, serialized_state FROM runs.task_run WHERE id = $1",
        other,
    )
    assert row is not None
    assert timedelta(minutes=9) < row["ahead"] <= timedelta(minutes=10)
    assert row["serialized_state"]["state"]["type"] == "Retrying"
    assert row["serialized_state"]["state"]["run_count"] == 2
    assert row["serialized_state"]["message"] == sentence


async def test_a_process_that_still_asks_moves_its_place_in_the_queue_on(
    stack: Stack, buses: list[Bus]
) -> None:
    client = Client(buses[0], new_id())
    await set_limit(client, "database", 0, tag=True)
    _, [task_run_id] = await tagged_task_runs(stack, client, 1)
    before = await client.set_task(task_run_id, running())
    await stack.admin_pool.execute(
        "UPDATE runs.task_run SET state_start_time = now() + interval '4 minutes' WHERE id = $1",
        task_run_id,
    )

    after = await client.set_task(task_run_id, running())

    assert isinstance(before, StateApplied)
    assert isinstance(after, StateApplied)
    assert (after.status, after.version) == ("QUEUED", before.version + 1)
    ahead = await stack.admin_pool.fetchval(
        "SELECT state_start_time - now() FROM runs.task_run WHERE id = $1", task_run_id
    )
    assert ahead > timedelta(minutes=9)


async def test_tags_that_only_the_process_knows_count_too(stack: Stack, buses: list[Bus]) -> None:
    client = Client(buses[0], new_id())
    await set_limit(client, "late tag", 0, tag=True)
    _, [task_run_id] = await tagged_task_runs(stack, client, 1, tags=())

    outcome = await client.set_task(task_run_id, running("late tag"))

    assert isinstance(outcome, StateApplied)
    assert outcome.status == "QUEUED"


@pytest.mark.parametrize("end", ["Success", "Failed", "Retrying", "Looped", "Cached", "Cancelled"])
async def test_every_way_out_of_running_frees_the_slot(
    stack: Stack, buses: list[Bus], end: str
) -> None:
    client = Client(buses[0], new_id())
    await set_limit(client, "database", 1, tag=True)
    _, [one, other] = await tagged_task_runs(stack, client, 2)
    await client.set_task(one, running("database"))

    await client.set_task(one, end)

    assert await in_use(stack, client) == 0
    outcome = await client.set_task(other, running("database"))
    assert isinstance(outcome, StateApplied)
    assert outcome.status == "SUCCESS"


@pytest.mark.parametrize("end", ["Failed", "Cancelled", "Scheduled"])
async def test_the_end_of_a_flow_run_frees_the_slots_of_its_tasks(
    stack: Stack, buses: list[Bus], end: str
) -> None:
    client = Client(buses[0], new_id())
    await set_limit(client, "database", 5, tag=True)
    run_id, task_run_ids = await tagged_task_runs(stack, client, 3)
    for task_run_id in task_run_ids:
        await client.set_task(task_run_id, running())
    assert await in_use(stack, client) == 3

    await client.set(run_id, end)

    assert await in_use(stack, client) == 0


async def test_a_zombie_frees_what_it_held(stack: Stack, buses: list[Bus], ledger: Runs) -> None:
    client = Client(buses[0], new_id())
    await set_limit(client, "database", 1, tag=True)
    run_id, [task_run_id] = await tagged_task_runs(stack, client, 1)
    await client.set_task(task_run_id, running())
    version = await stack.admin_pool.fetchval(
        "SELECT version FROM runs.flow_run WHERE id = $1", run_id
    )

    await ledger.handlers.on_zombie(
        heartbeat.FlowRunZombieDetected(
            event_id=new_id(),
            at=utc_now(),
            tenant_id=client.tenant_id,
            flow_run_id=run_id,
            version=version,
            last_seen=utc_now(),
        )
    )

    assert await in_use(stack, client) == 0


async def test_lazarus_frees_the_slot_of_the_run_that_it_revives(
    stack: Stack, buses: list[Bus], ledger: Runs
) -> None:
    client, flow, _ = await limited_flow(stack, buses[0], "gpu", 1)
    run_id = await client.start(flow, labels=["gpu"])
    assert await in_use(stack, client) == 1

    await ledger.commit.submit(
        runs.Reschedule(
            tenant_id=client.tenant_id, flow_run_id=run_id, seen_version=3, attempt=1, limit=10
        )
    )

    assert await in_use(stack, client) == 0
    assert await client.queue("gpu") == [run_id]


# flow runs


async def test_the_queue_hands_out_no_more_runs_than_there_are_slots(
    stack: Stack, buses: list[Bus]
) -> None:
    client, flow, _ = await limited_flow(stack, buses[0], "gpu", 2)
    limited = [await client.create(flow, labels=["gpu"]) for _ in range(4)]
    other = await client.create(flow, labels=["cpu"])
    both = await client.create(flow, labels=["cpu", "gpu"])

    assert await client.queue("gpu", "cpu") == [*limited[:2], other]
    await client.set(limited[0], "Submitted")
    assert await client.queue("gpu", "cpu") == [limited[1], other]
    await client.set(limited[1], "Submitted")
    assert await client.queue("gpu", "cpu") == [other]
    await client.set(limited[0], "Failed")
    await client.set(limited[1], "Failed")
    assert await client.queue("gpu", "cpu") == [*limited[2:], other]
    assert both not in await client.queue("gpu", "cpu")


async def test_a_claim_beyond_the_limit_is_refused_so_that_no_agent_starts_a_process(
    stack: Stack, buses: list[Bus]
) -> None:
    client, flow, _ = await limited_flow(stack, buses[0], "gpu", 1)
    first, second = [await client.create(flow, labels=["gpu"]) for _ in range(2)]

    one = await client.set(first, "Submitted")
    other = await client.set(second, "Submitted")

    assert isinstance(one, StateApplied)
    assert isinstance(other, Refused)
    assert other.code is Code.LIMIT_FULL
    assert (
        await stack.admin_pool.fetchval("SELECT state FROM runs.flow_run WHERE id = $1", second)
        == "Scheduled"
    )


async def test_a_flow_run_that_was_started_by_hand_waits_in_its_process(
    stack: Stack, buses: list[Bus]
) -> None:
    client, flow, _ = await limited_flow(stack, buses[0], "gpu", 1)
    first, second = [await client.create(flow, labels=["gpu"]) for _ in range(2)]
    await client.set(first, "Running")

    waits = await client.set(second, "Running")
    offered = await client.queue("gpu")
    await client.set(first, "Success")
    runs_now = await client.set(second, "Running")

    assert isinstance(waits, StateApplied)
    assert (waits.status, waits.state) == ("QUEUED", "Queued")
    assert offered == []
    assert isinstance(runs_now, StateApplied)
    assert (runs_now.status, runs_now.state) == ("SUCCESS", "Running")
    document = await stack.admin_pool.fetchval(
        "SELECT serialized_state FROM runs.flow_run_state WHERE flow_run_id = $1 AND state = 'Queued'",
        second,
    )
    assert document["state"]["type"] == "Scheduled"


async def test_a_run_needs_a_slot_of_every_limit_on_its_labels_or_takes_none(
    stack: Stack, buses: list[Bus]
) -> None:
    client, flow, _ = await limited_flow(stack, buses[0], "gpu", 5)
    await set_limit(client, "licence", 0)
    run_id = await client.create(flow, labels=["gpu", "licence"])

    outcome = await client.set(run_id, "Running")

    assert isinstance(outcome, StateApplied)
    assert outcome.status == "QUEUED"
    assert await in_use(stack, client) == 0


async def test_200_flow_runs_claimed_through_two_replicas_never_exceed_the_limit(
    stack: Stack, buses: list[Bus]
) -> None:
    clients = [Client(bus, tenant) for tenant in [new_id()] for bus in buses]
    flow = await register_flow(stack.admin_pool, tenant_id=clients[0].tenant_id)
    await set_limit(clients[0], "gpu", 10)
    run_ids = await asyncio.gather(
        *(clients[n % 2].create(flow, labels=["gpu"]) for n in range(200))
    )

    outcomes = await asyncio.gather(
        *(clients[n % 2].set(run_id, "Submitted") for n, run_id in enumerate(run_ids))
    )

    assert sum(isinstance(o, StateApplied) for o in outcomes) == 10
    assert await in_use(stack, clients[0]) == 10


async def test_limits_and_runs_in_any_order_do_not_deadlock(stack: Stack, buses: list[Bus]) -> None:
    clients = [Client(bus, tenant) for tenant in [new_id()] for bus in buses]
    tags = ["a", "b", "c"]
    for tag in tags:
        await set_limit(clients[0], tag, 100, tag=True)
        await set_limit(clients[0], tag, 100)
    _, task_run_ids = await tagged_task_runs(stack, clients[0], 40, tags=tags)
    before = await deadlocks(stack)

    async def write(index: int) -> None:
        ids = task_run_ids if index % 2 else task_run_ids[::-1]
        for state in ("Running", "Success") * 5:
            await clients[index % 2].set_all(
                [
                    StateProposal(run_kind=RunKind.TASK_RUN, run_id=id_, state={"type": state})
                    for id_ in ids
                ]
            )

    await asyncio.gather(*map(write, range(6)))

    assert await deadlocks(stack) == before
    assert await in_use(stack, clients[0]) == 0


async def deadlocks(stack: Stack) -> int:
    found: int = await stack.admin_pool.fetchval(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    return found


# setting limits


async def test_setting_a_limit_counts_who_is_at_work_already(
    stack: Stack, buses: list[Bus]
) -> None:
    client = Client(buses[0], new_id())
    flow = await register_flow(stack.admin_pool, tenant_id=client.tenant_id)
    at_work = [await client.start(flow, labels=["gpu"]) for _ in range(3)]
    waiting = await client.create(flow, labels=["gpu"])

    await set_limit(client, "gpu", 3)

    assert await in_use(stack, client) == 3
    assert await client.queue("gpu") == []
    goes_on = await client.set(at_work[0], "Running")
    assert isinstance(goes_on, StateApplied)
    assert goes_on.status == "SUCCESS"
    await client.set(at_work[0], "Success")
    assert await client.queue("gpu") == [waiting]


async def test_lowering_raising_and_deleting_a_limit_act_at_once(
    stack: Stack, buses: list[Bus]
) -> None:
    client, flow, limit_id = await limited_flow(stack, buses[0], "gpu", 2)
    run_ids = [await client.create(flow, labels=["gpu"]) for _ in range(4)]
    await client.set(run_ids[0], "Submitted")

    assert await set_limit(client, "gpu", 1) == limit_id
    assert await client.queue("gpu") == []
    assert await set_limit(client, "gpu", 3) == limit_id
    assert await client.queue("gpu") == run_ids[1:3]
    assert await delete_limit(client, limit_id, tag=True) is False
    assert await delete_limit(client, limit_id) is True
    assert await client.queue("gpu") == run_ids[1:]
    assert await in_use(stack, client) == 0
    assert await delete_limit(client, limit_id) is False


@pytest.mark.parametrize(
    ("name", "limit"), [("", 1), ("  ", 1), ("x" * 1001, 1), ("a\x00b", 1), ("a", -1), ("a", 2**31)]
)
async def test_a_limit_that_makes_no_sense_is_refused(
    stack: Stack, buses: list[Bus], name: str, limit: int
) -> None:
    client = Client(buses[0], new_id())

    reply = await client.bus.call(
        runs.SET_CONCURRENCY_LIMIT,
        runs.SetConcurrencyLimit(
            tenant_id=client.tenant_id, run_kind=RunKind.TASK_RUN, name=name, limit=limit
        ),
    )

    assert isinstance(reply, Refused)
    assert reply.code is Code.INVALID


async def test_the_sweep_frees_a_slot_that_nobody_occupies_and_counts_who_has_none(
    stack: Stack, buses: list[Bus], ledger: Runs
) -> None:
    client, flow, limit_id = await limited_flow(stack, buses[0], "gpu", 3)
    finished, at_work = [await client.start(flow, labels=["gpu"]) for _ in range(2)]
    await client.set(finished, "Success")
    await stack.admin_pool.execute(
        "UPDATE runs.concurrency_slot SET run_id = $2, flow_run_id = $2 WHERE run_id = $1",
        at_work,
        finished,
    )

    repaired = await ledger.duties.repair_slots()

    assert repaired == 2
    rows = await stack.admin_pool.fetch(
        "SELECT run_id FROM runs.concurrency_slot WHERE limit_id = $1", limit_id
    )
    assert [row["run_id"] for row in rows] == [at_work]
    assert await ledger.duties.repair_slots() == 0


async def test_a_deleted_run_leaves_no_slot(stack: Stack, buses: list[Bus]) -> None:
    client, flow, _ = await limited_flow(stack, buses[0], "gpu", 1)
    run_id = await client.start(flow, labels=["gpu"])

    await client.bus.call(
        runs.DELETE_FLOW_RUN, runs.DeleteFlowRun(tenant_id=client.tenant_id, flow_run_id=run_id)
    )

    assert await in_use(stack, client) == 0


async def test_a_limit_of_one_tenant_is_none_of_anothers_business(
    stack: Stack, buses: list[Bus]
) -> None:
    ours, theirs = Client(buses[0], new_id()), Client(buses[0], new_id())
    await set_limit(ours, "gpu", 0)
    flow = await register_flow(stack.admin_pool, tenant_id=theirs.tenant_id)

    run_id = await theirs.create(flow, labels=["gpu"])

    assert await theirs.queue("gpu") == [run_id]
    outcome = await theirs.set(run_id, "Submitted")
    assert isinstance(outcome, StateApplied)


async def test_a_late_run_names_the_limit_that_it_waits_for(
    stack: Stack, buses: list[Bus], ledger: Runs
) -> None:
    client, flow, _ = await limited_flow(stack, buses[0], "gpu", 1)
    first, second, third = [await client.create(flow, labels=["gpu"]) for _ in range(3)]
    await client.set(first, "Running")
    await client.set(second, "Running")
    await make_late(stack, client, utc_now() - timedelta(minutes=1))

    await ledger.duties.mark_late()

    reasons = await late_reasons(stack, client)
    assert reasons == {
        second: "limit_full: label gpu, limit 1",
        third: "limit_full: label gpu, limit 1",
    }
    await client.set(first, "Success")
    await ledger.duties.mark_late()
    assert (await late_reasons(stack, client)) == {
        second: "not_claimed",
        third: "no_matching_agent",
    }


async def make_late(stack: Stack, client: Client, due: datetime) -> None:
    await stack.admin_pool.execute(
        """
        UPDATE runs.flow_run SET state_timestamp = $2,
            state_start_time = CASE state WHEN 'Queued' THEN state_start_time ELSE $2 END
        WHERE tenant_id = $1
        """,
        client.tenant_id,
        due,
    )


async def late_reasons(stack: Stack, client: Client) -> dict[UUID, str]:
    rows = await stack.admin_pool.fetch(
        "SELECT id, late_reason FROM runs.flow_run WHERE tenant_id = $1 AND late_reason IS NOT NULL",
        client.tenant_id,
    )
    return {row["id"]: row["late_reason"] for row in rows}


async def test_only_a_tenant_with_limits_is_asked_for_slots(
    stack: Stack, buses: list[Bus], ledger: Runs
) -> None:
    limited, free = Client(buses[0], new_id()), Client(buses[0], new_id())
    await set_limit(limited, "gpu", 1)
    runs_of = {}
    for client in (limited, free):
        flow = await register_flow(stack.admin_pool, tenant_id=client.tenant_id)
        runs_of[client.tenant_id] = await client.start(flow, labels=["gpu"])

    async with ledger.database.transaction() as connection:
        facts = await reads.lock_flow_runs(connection, runs_of.values())

    assert facts[runs_of[limited.tenant_id]].limited is True
    assert facts[runs_of[free.tenant_id]].limited is False
