"""What the run ledger does: `python -m tests.bench.runs [old_runs]`, beside the raw SQL limit of the same run.

The ledger is a process of its own and is asked over NATS, as the gateway does. Everything shares the machine:
PostgreSQL, nats-server, the ledger and this load. The embedded engines run without fsync; name engines of your own with
HEADWATER_TEST_POSTGRES_URL and HEADWATER_TEST_NATS_URL to measure those. `old_runs` finished runs are written first,
to see whether history slows anything down.
"""

import asyncio
import statistics
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import perf_counter
from typing import TypeVar
from uuid import UUID

import asyncpg
import psutil
import uvloop

from libs.contracts import runs, subjects
from libs.contracts.runs import LogBatch, LogLine, RunKind, StateApplied, StateProposal
from libs.runtime.bus import Bus
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from tests.support.engines import Stack, postgres_for_tests, stack_on
from tests.support.eventually import eventually
from tests.support.ledger import Client, Flow, bus_on, register_flow
from tests.support.service_process import ledger_process

T = TypeVar("T")
RUNNING = {
    "type": "Running",
    "message": "Starting task run.",
    "context": {"tags": []},
    "cached_inputs": {},
    "_result": {"type": "NoResultType", "__version__": "1.4.1"},
    "__version__": "1.4.1",
}
SUCCESS = RUNNING | {"type": "Success", "message": "Task run succeeded."}

RAW_SINGLE = """
WITH run AS (
    UPDATE runs.task_run SET version = version + 1, state = 'Running', state_timestamp = now(), serialized_state = $3
    WHERE id = $1 AND version = $2 RETURNING id, tenant_id, version
)
INSERT INTO runs.task_run_state (id, created, tenant_id, task_run_id, timestamp, state, serialized_state, version)
SELECT $4, now(), tenant_id, id, now(), 'Running', $3, version FROM run
"""
RAW_BATCH = """
WITH moved AS (SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS m (id, history_id)), run AS (
    UPDATE runs.task_run t SET version = version + 1, state = 'Running', state_timestamp = now(), serialized_state = $3
    FROM moved m WHERE t.id = m.id RETURNING t.id, t.tenant_id, t.version, m.history_id
)
INSERT INTO runs.task_run_state (id, created, tenant_id, task_run_id, timestamp, state, serialized_state, version)
SELECT history_id, now(), tenant_id, id, now(), 'Running', $3, version FROM run
"""


class Meter:
    """CPU that the ledger and PostgreSQL spent, which other work on the machine does not change."""

    def __init__(self) -> None:
        self._processes: dict[str, int | None] = {}
        self._before: dict[str, float] = {}

    def watch(self, ledger: int, postgres: int | None) -> None:
        """Look at these processes and their children."""
        self._processes = {"ledger": ledger, "postgres": postgres}

    def begin(self) -> None:
        """Forget what was spent before."""
        self._before = {name: self._spent(pid) for name, pid in self._processes.items() if pid}

    def each(self, count: int) -> str:
        """Microseconds of each, for one of so many."""
        spent = {
            name: self._spent(pid) - self._before[name]
            for name, pid in self._processes.items()
            if pid
        }
        return ", ".join(f"{name} {1e6 * cpu / count:,.0f} us" for name, cpu in spent.items())

    @staticmethod
    def _spent(pid: int) -> float:
        root = psutil.Process(pid)
        times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
        return sum(time.user + time.system for time in times)


METER = Meter()


def say(what: str, figure: str, budget: str = "") -> None:
    """One line of the report."""
    print(f"{what:<56}{figure:<56}{budget}")


def parts(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Slices of a size."""
    return [items[start : start + size] for start in range(0, len(items), size)]


async def rate(count: int, work: Awaitable[object]) -> str:
    """How many a second, and what each cost."""
    METER.begin()
    began = perf_counter()
    await work
    seconds = perf_counter() - began
    return f"{count / seconds:,.0f}/s  ({METER.each(count)})"


async def by(callers: int, items: Sequence[T], work: Callable[[T], Awaitable[object]]) -> None:
    """Do the work on every item, so many at a time."""
    left = iter(items)

    async def caller() -> None:
        for item in left:
            await work(item)

    await asyncio.gather(*(caller() for _ in range(callers)))


async def write_old_runs(pool: "asyncpg.Pool[asyncpg.Record]", flow: Flow, count: int) -> None:
    """Finished runs with their histories, by plain SQL."""
    for first in range(0, count, 50_000):
        await pool.execute(
            """
            WITH made AS (
                INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, version, scheduled_start_time,
                    start_time, end_time, state, state_timestamp, serialized_state)
                SELECT gen_random_uuid(), $1, $2, $3, 'old ' || n, 4, t, t, t, 'Success', t, '{"type": "Success"}'
                FROM (SELECT n, now() - n * interval '1 second' AS t FROM generate_series($4::int, $5::int) n) s
                RETURNING id, tenant_id
            )
            INSERT INTO runs.flow_run_state (id, tenant_id, flow_run_id, timestamp, state, serialized_state, version)
            SELECT gen_random_uuid(), tenant_id, made.id, now(), 'Success', '{"type": "Success"}', v
            FROM made, generate_series(1, 4) v
            """,
            flow.tenant_id,
            flow.id,
            flow.group_id,
            first + 1,
            min(first + 50_000, count),
            timeout=600,
        )
    await pool.execute("ANALYZE runs.flow_run", timeout=600)


async def raw_limits(stack: Stack, task_run_ids: Sequence[UUID]) -> None:
    """The same rows and histories by hand: one transition a transaction, and 200 a statement."""
    url = stack.postgres_url("runs")
    async with asyncpg.create_pool(url, min_size=16, max_size=16) as pool:
        state = '{"type": "Running"}'

        async def single(id_: UUID) -> None:
            await pool.execute(RAW_SINGLE, id_, 0, state, new_id())

        async def batch(ids: Sequence[UUID]) -> None:
            await pool.execute(RAW_BATCH, ids, [new_id() for _ in ids], state)

        say("raw SQL, one transition a transaction, 16 connections",
            await rate(len(task_run_ids), by(16, task_run_ids, single)))  # fmt: skip
        many = parts(task_run_ids, 200)
        say("raw SQL, 200 transitions a statement, 2 connections",
            await rate(len(task_run_ids), by(2, many, batch)))  # fmt: skip


async def measure_creation(client: Client, flow: Flow, count: int) -> list[UUID]:
    """Runs with one task each."""
    made: list[UUID] = []

    async def create(_: int) -> None:
        made.append(await client.create(flow))

    figure = await rate(count, by(16, range(count), create))
    say("create_flow_run, 16 callers", figure, ">= 1,000/s over GraphQL")
    return made


async def measure_single(client: Client, run_ids: Sequence[UUID], callers: int) -> None:
    """Scheduled -> Submitted -> Running -> Success, each its own request."""

    async def live(run_id: UUID) -> None:
        for state in ("Submitted", RUNNING, SUCCESS):
            outcome = await client.set(run_id, state)
            assert isinstance(outcome, StateApplied), outcome

    figure = await rate(3 * len(run_ids), by(callers, run_ids, live))
    budget = ">= 1,500/s over GraphQL" if callers == 16 else ""
    say(f"single transitions, {callers} callers", figure, budget)


async def measure_lone(client: Client, flow: Flow) -> None:
    """One command at a time, nobody else there."""
    run_id = await client.start(flow)
    times = []
    for _ in range(300):
        began = perf_counter()
        await client.set(run_id, RUNNING)
        times.append((perf_counter() - began) * 1000)
    p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
    say("a lone transition, p50 / p99", f"{p50:.1f} / {p99:.1f} ms", "p50 <= 5 ms")


async def measure_mapped(client: Client, flow: Flow, children: int) -> list[UUID]:
    """Children of a mapped task: made one by one as Core does, started and finished in batches of 100."""
    run_id = await client.start(flow)
    made: list[UUID] = []

    async def child(index: int) -> None:
        made.append((await client.task_run(run_id, flow.task_ids[0], index)).id)

    began = perf_counter()
    say(f"{children:,} mapped children, get_or_create, 64 callers",
        await rate(children, by(64, range(children), child)))  # fmt: skip
    seconds = perf_counter() - began
    for state in (RUNNING, SUCCESS):
        bodies = [
            runs.SetStates(
                tenant_id=flow.tenant_id,
                proposals=[
                    StateProposal(run_kind=RunKind.TASK_RUN, run_id=id_, state=state) for id_ in part
                ],
            ).model_dump_json().encode()
            for part in parts(made, 100)
        ]  # fmt: skip
        began = perf_counter()
        ask = partial(client.bus.client.request, runs.SET_STATES.subject.template, timeout=30)
        say(f"to {state['type']} in requests of 100, 8 callers",
            await rate(children, by(8, bodies, ask)), ">= 10,000/s")  # fmt: skip
        seconds += perf_counter() - began
    say(f"{children:,} mapped children, made, started and finished", f"{seconds:.1f} s", "< 3 s")
    return made


async def measure_logs(stack: Stack, bus: Bus, tenant_id: UUID, lines: int) -> None:
    """Lines on the stream in messages of 500 until they can be read."""
    run_id, now = new_id(), utc_now()
    subject = subjects.LOG.at(tenant_id=tenant_id, flow_run_id=run_id)
    bodies = [
        LogBatch(
            tenant_id=tenant_id,
            accepted=now,
            lines=[
                LogLine(id=new_id(), flow_run_id=run_id, timestamp=now, message=f"a line of usual length, {n}")
                for n in part
            ],
        ).model_dump_json().encode()
        for part in parts(range(lines), 500)
    ]  # fmt: skip

    async def drained() -> bool:
        return bool(
            lines
            == await stack.admin_pool.fetchval(
                "SELECT lines FROM runs.log_usage WHERE flow_run_id = $1", run_id
            )
        )

    async def write() -> None:
        await by(32, bodies, lambda body: bus.js.publish(subject, body, stream="LOGS"))
        await eventually(drained, timeout=120)

    say(
        "log lines, from the stream to the table",
        await rate(lines, write()),
        ">= 50,000/s",
    )


async def measure_queue(stack: Stack, client: Client, flow: Flow, waiting: int) -> None:
    """One served run behind very many due ones that nobody serves."""
    await stack.admin_pool.execute(
        """
        INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, labels, version,
            scheduled_start_time, state, state_timestamp, state_start_time, serialized_state)
        SELECT gen_random_uuid(), $1, $2, $3, 'late', jsonb_build_array('nobody ' || n % 50), 1,
            '2020-01-01', 'Scheduled', now(), '2020-01-01', '{}'
        FROM generate_series(1, $4::int) n
        """,
        flow.tenant_id,
        flow.id,
        flow.group_id,
        waiting,
        timeout=120,
    )
    await stack.admin_pool.execute("ANALYZE runs.flow_run", timeout=120)
    run_id = await client.create(flow, labels=["served"])
    for kind, labels in (
        ("4 labels", ["served", "a", "b", "c"]),
        ("12 labels", ["served", *"abcdefghijk"]),
    ):
        times = []
        for _ in range(300):
            began = perf_counter()
            found = await client.queue(*labels)
            times.append((perf_counter() - began) * 1000)
            assert found == [run_id]
        p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
        say(
            f"get_runs_in_queue, {waiting:,} unmatched due runs, {kind}",
            f"{p50:.1f} / {p99:.1f} ms",
            "p99 <= 20 ms",
        )


async def main(old_runs: int) -> None:
    """All figures."""
    async with postgres_for_tests() as postgres, stack_on(postgres) as stack:
        flow = await register_flow(stack.admin_pool)
        if old_runs:
            await write_old_runs(stack.admin_pool, flow, old_runs)
        async with ledger_process(stack) as ledger, bus_on(stack) as bus:
            assert ledger.process is not None
            METER.watch(ledger.process.pid, stack.postgres.pid if stack.postgres else None)
            client = Client(bus, flow.tenant_id)
            say(f"--- with {old_runs:,} old runs", "")
            await client.create(flow)
            await stack.admin_pool.execute("ANALYZE")  # autovacuum, which does it elsewhere, is off
            await measure_lone(client, flow)
            made = await measure_creation(client, flow, 3_000)
            await measure_single(client, made[:1_000], 16)
            await measure_single(client, made[1_000:], 64)
            children = await measure_mapped(client, flow, 10_000)
            await raw_limits(stack, await fresh_task_runs(stack, flow, children))
            await measure_logs(stack, bus, flow.tenant_id, 200_000)
            await measure_queue(stack, client, flow, 100_000)


async def fresh_task_runs(stack: Stack, flow: Flow, like: Sequence[UUID]) -> list[UUID]:
    """As many Pending task runs of the same flow run, written by hand."""
    rows = await stack.admin_pool.fetch(
        """
        INSERT INTO runs.task_run (id, tenant_id, flow_run_id, task_id, map_index, state, state_timestamp,
            serialized_state)
        SELECT gen_random_uuid(), t.tenant_id, t.flow_run_id, t.task_id, t.map_index + 1000000, 'Pending', now(), '{}'
        FROM runs.task_run t WHERE t.id = ANY($1::uuid[])
        RETURNING id
        """,
        list(like),
        timeout=120,
    )
    return [row["id"] for row in rows]


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
