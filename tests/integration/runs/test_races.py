"""Races between two replicas of the ledger: one winner, whatever the timing.

HEADWATER_RACE_ROUNDS sets the number of rounds; the default is what a test run can afford. The founding numbers are
1,000 rounds of 200 writers, and 10,000 due runs for 50 claimants.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from uuid import UUID

import pytest

from libs.contracts import heartbeat, runs, subjects
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.runs import RunKind, StateApplied, StateProposal, VersionConflict
from libs.runtime import outbox
from libs.runtime.bus import Bus
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.runs.app import Runs
from tests.support.engines import Stack
from tests.support.ledger import Client, bus_on, caught_up, ledger_on, register_flow

ROUNDS = int(os.environ.get("HEADWATER_RACE_ROUNDS", "10"))
_AT_ONCE = 50
"""Runs that all their rivals end at the same time; as many as the bus answers within its time-out."""

pytestmark = pytest.mark.timeout(300 + ROUNDS * 5)


@pytest.fixture(scope="module")
async def buses(stack: Stack, ledger: Runs) -> AsyncIterator[list[Bus]]:
    """Two clients' connections to two replicas, which share the requests."""
    async with ledger_on(stack), bus_on(stack) as one, bus_on(stack) as other:
        yield [one, other]


async def test_of_200_running_writes_with_one_version_exactly_one_wins_every_round(
    stack: Stack, buses: list[Bus]
) -> None:
    flow = await register_flow(stack.admin_pool, settings={"version_locking_enabled": True})
    clients = [Client(bus, flow.tenant_id) for bus in buses]

    for _ in range(ROUNDS):
        run_id = await clients[0].create(flow)
        await clients[0].set(run_id, "Submitted")

        outcomes = await asyncio.gather(
            *(clients[n % 2].set(run_id, "Running", seen_version=2) for n in range(200))
        )

        winners = [o for o in outcomes if isinstance(o, StateApplied)]
        losers = [o for o in outcomes if isinstance(o, VersionConflict)]
        assert [winner.version for winner in winners] == [3]
        assert len(losers) == 199
        assert {(o.given, o.current, o.state) for o in losers} == {(2, 3, "Running")}


async def test_50_claimants_start_each_due_run_once(stack: Stack, buses: list[Bus]) -> None:
    flow = await register_flow(stack.admin_pool)
    clients = [Client(buses[n % 2], flow.tenant_id) for n in range(50)]
    due = ROUNDS * 10
    todo = iter(range(due))

    async def make(client: Client) -> None:
        for _ in todo:
            await client.create(flow)

    await asyncio.gather(*map(make, clients))
    starts: Counter[UUID] = Counter()

    async def work(client: Client) -> None:
        while offered := await client.queue():
            for run_id in offered:
                outcome = await client.set(run_id, "Submitted")
                if isinstance(outcome, StateApplied):
                    starts[run_id] += 1
                else:
                    assert isinstance(outcome, Refused)
                    assert outcome.code is Code.ALREADY_SUBMITTED

    await asyncio.gather(*map(work, clients))

    assert len(starts) == due
    assert set(starts.values()) == {1}


async def test_a_success_against_every_service_at_once_leaves_the_first_end(
    stack: Stack, buses: list[Bus]
) -> None:
    flow = await register_flow(stack.admin_pool, settings={"lazarus_enabled": False})
    client = Client(buses[0], flow.tenant_id)
    todo = iter(range(ROUNDS * 10))
    run_ids: list[UUID] = []

    async def race() -> None:
        for _ in todo:
            run_id = await client.start(flow)
            await _everybody_ends(buses, client, run_id)
            run_ids.append(run_id)

    await asyncio.gather(*(race() for _ in range(_AT_ONCE)))
    for stream, durable in (("EVENTS", "runs__zombies"), ("WORK", "runs__work")):
        await caught_up(buses[0], stream, durable)

    rows = await stack.admin_pool.fetch(
        """
        SELECT flow_run_id, array_agg(state ORDER BY version) AS states, array_agg(version ORDER BY version) AS versions
        FROM runs.flow_run_state WHERE flow_run_id = ANY($1::uuid[]) GROUP BY 1
        """,
        run_ids,
    )
    assert len(rows) == len(run_ids)
    for row in rows:
        ends = [s for s in row["states"] if s in ("Success", "Failed", "Cancelled")]
        assert ends == row["states"][-1:]
        assert row["versions"] == list(range(1, len(row["versions"]) + 1))


async def test_batches_over_the_same_rows_in_any_order_do_not_deadlock(
    stack: Stack, buses: list[Bus]
) -> None:
    flow = await register_flow(stack.admin_pool, tasks=4)
    client = Client(buses[0], flow.tenant_id)
    run_ids = await asyncio.gather(*(client.start(flow) for _ in range(20)))
    tasks = [
        (await client.task_run(run_id, task_id)).id
        for run_id in run_ids
        for task_id in flow.task_ids
    ]
    before = await _deadlocks(stack)

    async def write(bus: Bus, *, backwards: bool) -> None:
        order = list(reversed(tasks)) if backwards else tasks
        proposals = [_task(task, "Running") for task in order]
        proposals += [_flow(run_id, "Running") for run_id in run_ids]
        proposals += [_task(task, "Success") for task in reversed(order)]
        outcomes = await Client(bus, flow.tenant_id).set_all(proposals)
        assert all(isinstance(outcome, StateApplied) for outcome in outcomes)

    await asyncio.gather(
        *(write(buses[n % 2], backwards=n % 4 < 2) for n in range(12)),
        *(client.task_run(run_id, flow.task_ids[0], n) for run_id in run_ids for n in range(5)),
    )

    assert await _deadlocks(stack) == before


async def test_each_child_is_made_once_however_many_ask_two_replicas_in_any_order(
    stack: Stack, buses: list[Bus]
) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(buses[0], flow.tenant_id)
    run_id, task_id = await client.start(flow), flow.task_ids[0]
    before = await _deadlocks(stack)

    async def ask(bus: Bus, indexes: Iterable[int]) -> list[UUID]:
        asker = Client(bus, flow.tenant_id)
        found = await asyncio.gather(*(asker.task_run(run_id, task_id, n) for n in indexes))
        assert {(info.version, info.state) for info in found} == {(0, "Pending")}
        return [info.id for info in found]

    forwards, backwards, twice = await asyncio.gather(
        ask(buses[0], range(100)),
        ask(buses[1], reversed(range(100))),
        ask(buses[0], [7, 7, 7]),
    )

    assert forwards == backwards[::-1]
    assert len(set(forwards)) == 100
    assert set(twice) == {forwards[7]}
    histories = await stack.admin_pool.fetch(
        "SELECT task_run_id, version FROM runs.task_run_state WHERE task_run_id = ANY($1::uuid[])",
        forwards,
    )
    assert sorted(map(tuple, histories)) == sorted((id_, 0) for id_ in forwards)
    assert await _deadlocks(stack) == before


def _task(run_id: UUID, name: str) -> StateProposal:
    return StateProposal(run_kind=RunKind.TASK_RUN, run_id=run_id, state={"type": name})


def _flow(run_id: UUID, name: str) -> StateProposal:
    return StateProposal(run_kind=RunKind.FLOW_RUN, run_id=run_id, state={"type": name})


async def _everybody_ends(buses: list[Bus], client: Client, run_id: UUID) -> None:
    event = heartbeat.FlowRunZombieDetected(
        event_id=new_id(),
        at=utc_now(),
        tenant_id=client.tenant_id,
        flow_run_id=run_id,
        version=3,
        last_seen=utc_now() - timedelta(minutes=2),
    )
    give_up = runs.Reschedule(
        tenant_id=client.tenant_id,
        flow_run_id=run_id,
        seen_version=3,
        attempt=11,
        limit=10,
        give_up=True,
    )
    await asyncio.gather(
        client.set(run_id, "Success"),
        Client(buses[1], client.tenant_id).cancel(run_id),
        buses[0].js.publish(
            outbox.subject_of(event), event.model_dump_json().encode(), stream="EVENTS"
        ),
        buses[1].publish_work(
            subjects.WORK_RESCHEDULE.at(flow_run_id=run_id), give_up, key=str(new_id())
        ),
    )


async def _deadlocks(stack: Stack) -> int:
    count: int = await stack.admin_pool.fetchval(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    return count
