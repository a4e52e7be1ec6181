"""The group commit through the service, on PostgreSQL: what a poisoned batch does, and what a full queue answers.

A lock that the test holds on one run keeps the only lane busy, so that what is asked meanwhile is one batch.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from libs.contracts import runs
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.runs import RunKind, SetStates, StateProposal, StatesSet
from libs.runtime import faults
from libs.runtime.bus import Bus
from libs.runtime.failures import is_outage
from services.runs.app import Runs
from tests.support.cut import cut_before
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Client, bus_on, ledger_on, register_flow

QUEUE = 6


@pytest.fixture(scope="module")
async def ledger(stack: Stack) -> AsyncIterator[Runs]:
    """One lane, and a queue that is soon full."""
    async with ledger_on(stack, commit_lanes=1, commit_queue=QUEUE) as service:
        yield service


@pytest.fixture(scope="module")
async def bus(stack: Stack, ledger: Runs) -> AsyncIterator[Bus]:
    async with bus_on(stack) as bus:
        yield bus


async def test_a_command_that_postgresql_cannot_write_hurts_only_itself(
    stack: Stack, ledger: Runs, bus: Bus
) -> None:
    client = Client(bus, (flow := await register_flow(stack.admin_pool)).tenant_id)
    held, poisoned, *neighbours = [await client.start(flow) for _ in range(QUEUE)]

    async with unwritable(stack, poisoned):
        async with locked(stack, held):
            first = asyncio.create_task(succeed(client, held))
            await waiting_for_the_lock(stack)
            others = [
                asyncio.create_task(succeed(client, run_id))
                for run_id in (neighbours[0], poisoned, *neighbours[1:])
            ]
            await eventually(lambda: ledger.commit.queued == len(others))
            before = ledger.commit.batches
        answers = await asyncio.gather(*others)
        await first

    bad = answers.pop(1)
    assert isinstance(bad, Refused)
    assert bad.code is Code.INTERNAL
    assert {type(answer) for answer in answers} == {StatesSet}
    # The held one's, and one transaction for each neighbour: they had been one batch, which was rolled back.
    assert ledger.commit.batches - before == 1 + len(neighbours)
    rows = await stack.admin_pool.fetch(
        """
        SELECT r.id, r.state, count(h.id) AS states, max(h.version) = r.version AS agree
        FROM runs.flow_run r JOIN runs.flow_run_state h ON h.flow_run_id = r.id
        WHERE r.flow_id = $1 GROUP BY r.id
        """,
        flow.id,
    )
    assert {(row["id"], row["state"], row["states"], row["agree"]) for row in rows} == {
        (poisoned, "Running", 3, True),
        *((run_id, "Success", 4, True) for run_id in (held, *neighbours)),
    }


@pytest.mark.parametrize("error", ["disk_full", "read_only_sql_transaction"])
async def test_who_asks_while_postgresql_takes_no_writes_is_told_to_try_again(
    stack: Stack, ledger: Runs, bus: Bus, error: str
) -> None:
    client = Client(bus, (flow := await register_flow(stack.admin_pool)).tenant_id)
    run_id = await client.start(flow)

    async with unwritable(stack, run_id, error=error):
        refused = await succeed(client, run_id)

    assert isinstance(refused, Refused)
    assert refused.code is Code.UNAVAILABLE
    assert isinstance(await succeed(client, run_id), StatesSet)


async def test_who_finds_the_queue_full_is_told_to_try_again_and_nobody_else_is_hurt(
    stack: Stack, ledger: Runs, bus: Bus
) -> None:
    client = Client(bus, (flow := await register_flow(stack.admin_pool)).tenant_id)
    held, late, *queued = [await client.start(flow) for _ in range(QUEUE + 2)]

    async with locked(stack, held):
        first = asyncio.create_task(succeed(client, held))
        await waiting_for_the_lock(stack)
        others = [asyncio.create_task(succeed(client, run_id)) for run_id in queued]
        await eventually(lambda: ledger.commit.queued == QUEUE)

        refused = await succeed(client, late)  # answered while nothing moves

        assert ledger.commit.queued == QUEUE
    assert isinstance(refused, Refused)
    assert (refused.code, refused.fields) == (Code.BUSY, {"service": "runs"})
    assert {type(answer) for answer in await asyncio.gather(first, *others)} == {StatesSet}
    assert isinstance(await succeed(client, late), StatesSet)


async def test_what_waits_for_a_commit_that_fails_is_decided_on_what_is_committed(
    stack: Stack, bus: Bus
) -> None:
    client = Client(bus, (flow := await register_flow(stack.admin_pool)).tenant_id)
    async with ledger_on(stack, commit_lanes=2) as two_lanes:
        run_id = await client.start(flow)
        ask = runs.GetOrCreateTaskRun(
            tenant_id=flow.tenant_id, flow_run_id=run_id, task_id=flow.task_ids[0], map_index=3
        )

        async def both(ledger: Runs) -> list[Any]:
            """A state of the run and a child of it, in one transaction."""
            answers = await asyncio.gather(
                ledger.commit.submit(ending(client, run_id)),
                ledger.commit.submit(ask),
                return_exceptions=True,
            )
            return list(answers)

        async with before_the_first_commit(stack) as held:
            lost = asyncio.create_task(both(two_lanes))
            pid = await held
            kept = asyncio.create_task(both(two_lanes))
            await waiting_for_the_lock(stack)
            await stack.admin_pool.execute("SELECT pg_terminate_backend($1)", pid)
            answers = await kept
        failures = await lost

    assert [is_outage(failure) for failure in failures] == [True, True]
    states, child = answers
    assert [type(outcome) for outcome in states.outcomes] == [runs.StateApplied]
    assert isinstance(child, runs.TaskRunInfo)
    rows = await stack.admin_pool.fetch(
        """
        SELECT version, state FROM runs.flow_run_state WHERE flow_run_id = $1
        UNION ALL SELECT version, state FROM runs.task_run WHERE flow_run_id = $1 AND map_index = 3
        """,
        run_id,
    )
    assert sorted(map(tuple, rows)) == [
        (0, "Pending"), (1, "Scheduled"), (2, "Submitted"), (3, "Running"), (4, "Success"),
    ]  # fmt: skip


async def test_a_connection_that_hangs_is_replaced_and_nobody_is_told_of_an_outage(
    stack: Stack, bus: Bus
) -> None:
    client = Client(bus, (flow := await register_flow(stack.admin_pool)).tenant_id)
    run_ids = [await client.start(flow) for _ in range(4)]
    async with (
        cut_before(stack.postgres_url("runs")) as way,
        ledger_on(stack, postgres_url=way.url, commit_lanes=2) as behind,
    ):
        # As long as a busy machine may take to open another connection.
        behind.commit._opening = 2.0
        assert way.hang() > 0

        # Without the bound each would hang for the 30 s of a command, and its rollback for as long again.
        async with asyncio.timeout(25):
            answers = await asyncio.gather(
                *(behind.commit.submit(ending(client, run_id)) for run_id in run_ids)
            )
        way.cut()  # what else hangs, so that the ledger stops at once
        way.mend()

    outcomes = [answer.outcomes for answer in answers if isinstance(answer, StatesSet)]
    assert [[type(outcome) for outcome in each] for each in outcomes] == [[runs.StateApplied]] * 4


async def test_what_was_committed_is_not_applied_again_because_telling_of_it_failed(
    stack: Stack, ledger: Runs, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(bus, (flow := await register_flow(stack.admin_pool)).tenant_id)
    held = await client.start(flow)

    def fail(_tenant_id: UUID) -> None:
        raise ZeroDivisionError

    async with locked(stack, held):
        first = asyncio.create_task(succeed(client, held))
        await waiting_for_the_lock(stack)
        created = [asyncio.create_task(client.create(flow)) for _ in range(2)]
        await eventually(lambda: ledger.commit.queued == 2 * len(created))  # each weighs two
        monkeypatch.setattr(ledger.dispatch, "due", fail)
    answers = await asyncio.gather(*created)
    await first

    rows = await stack.admin_pool.fetch("SELECT id FROM runs.flow_run WHERE flow_id = $1", flow.id)
    assert {row["id"] for row in rows} == {held, *answers}


async def succeed(client: Client, run_id: UUID) -> StatesSet | Refused:
    """Report the run's end in a request of its own; the whole request's answer."""
    return await client.bus.call(runs.SET_STATES, ending(client, run_id))


def ending(client: Client, run_id: UUID) -> SetStates:
    """The report that the run has succeeded."""
    proposal = StateProposal(run_kind=RunKind.FLOW_RUN, run_id=run_id, state={"type": "Success"})
    return SetStates(tenant_id=client.tenant_id, proposals=[proposal])


@asynccontextmanager
async def locked(stack: Stack, run_id: UUID) -> AsyncIterator[None]:
    """Nobody else writes the run meanwhile."""
    async with stack.admin_pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM runs.flow_run WHERE id = $1 FOR UPDATE", run_id)
        yield


@asynccontextmanager
async def unwritable(
    stack: Stack, run_id: UUID, *, error: str = "raise_exception"
) -> AsyncIterator[None]:
    """PostgreSQL fails with this error at every state of the run."""
    await stack.admin_pool.execute(
        f"""
        CREATE FUNCTION runs.poison() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'this run is poison' USING ERRCODE = '{error}'; END $$;
        CREATE TRIGGER poison BEFORE UPDATE ON runs.flow_run
        FOR EACH ROW WHEN (new.id = '{run_id}') EXECUTE FUNCTION runs.poison()
        """
    )
    try:
        yield
    finally:
        await stack.admin_pool.execute("DROP FUNCTION runs.poison CASCADE")


@asynccontextmanager
async def before_the_first_commit(stack: Stack) -> AsyncIterator["asyncio.Future[int]"]:
    """The next transaction that wants to commit waits for the body's end; gives the id of its server process."""
    held: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    go_on = asyncio.Event()

    async def hold() -> None:
        if held.done():
            return
        # By what it has written: a relay that has deleted its events may be about to commit as well.
        pids = await stack.admin_pool.fetch(
            """
            SELECT pid FROM pg_locks
            WHERE relation = 'runs.flow_run'::regclass AND mode = 'RowExclusiveLock'
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """
        )
        held.set_result(*(row["pid"] for row in pids))
        await go_on.wait()

    faults.arm(faults.Point.RUNS_BEFORE_COMMIT, hold)
    try:
        yield held
    finally:
        faults.disarm()
        go_on.set()


async def waiting_for_the_lock(stack: Stack) -> None:
    """Return when the ledger's transaction hangs on the held run."""

    async def hangs() -> Any:
        return await stack.admin_pool.fetchval(
            """
            SELECT count(*) FROM pg_stat_activity
            WHERE application_name = 'headwater-runs' AND wait_event_type = 'Lock'
              AND wait_event IN ('transactionid', 'tuple') AND datname = current_database()
            """
        )

    await eventually(hangs)
