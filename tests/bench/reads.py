"""How fast the read path is: `python -m tests.bench.reads [--runs 1000000] [--seconds 20]`.

Makes a database of its own on the embedded engine, or uses the one that HEADWATER_BENCH_POSTGRES_URL names, made by an
earlier call with --keep. Prints, for the shapes of the web UI and the agents, the time from text to bytes; hand-written
SQL and plain Strawberry resolvers with data loaders beside the compiled statement; and what fifty open dashboards cost.
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
import psutil

from deploy.migrate import with_database
from tests.bench.reads_resolvers import ResolverSchema
from tests.integration.gateway.reads.asking import Asker, asking
from tests.integration.gateway.reads.scale import BUSY_TENANT, Scale, make_runs
from tests.integration.gateway.reads.shapes import RUNS_WITH_COUNTS, Shape, shapes
from tests.support.engines import postgres_for_tests

# What somebody who knows the schema would write for 200 runs with flow, project and task-run counts.
BY_HAND = """
    SELECT json_agg(row_to_json(o))::text FROM (
        SELECT r.id, r.name, r.state, r.scheduled_start_time, r.start_time, r.end_time,
            json_build_object('id', f.id, 'name', f.name, 'project', json_build_object('id', p.id, 'name', p.name))
                AS flow,
            json_build_object('aggregate', json_build_object('count', c.count)) AS task_runs_aggregate
        FROM (
            SELECT * FROM runs.flow_run WHERE tenant_id = $1 ORDER BY scheduled_start_time DESC LIMIT 200
        ) r
        JOIN registry.flow f ON f.id = r.flow_id AND f.tenant_id = $1
        JOIN registry.project p ON p.id = f.project_id AND p.tenant_id = $1
        CROSS JOIN LATERAL (
            SELECT count(*) FROM runs.task_run t WHERE t.flow_run_id = r.id AND t.tenant_id = $1
        ) c
        ORDER BY r.scheduled_start_time DESC
    ) o
"""
_DASHBOARDS = 50
_OPERATIONS_A_MINUTE = 139  # of one open dashboard (ui-client.md 1.10)
_SUMMARIES_A_MINUTE = 17


async def main(runs: int, seconds: float, *, keep: bool) -> None:
    """Make or take the database, then measure."""
    async with _database(runs, keep=keep) as url:
        owner = await asyncpg.connect(url)
        made = await owner.fetchrow("SELECT now, runs FROM public.scale")
        if made is None:
            message = "the database has no scale; make one with --keep"
            raise SystemExit(message)
        counts = await owner.fetch(
            r"SELECT regexp_replace(relname, '_(w\d+|default)$', '') AS name, sum(reltuples)::bigint AS rows"
            " FROM pg_class WHERE relkind = 'r' AND relnamespace = 'runs'::regnamespace"
            " GROUP BY 1 HAVING sum(reltuples) > 1000 ORDER BY 1"
        )
        print("rows:", ", ".join(f"{row['name']} {row['rows']:,}" for row in counts))
        load = os.getloadavg()[0]
        print(f"load average before: {load:.1f} on {os.cpu_count()} cores\n")
        async with asking(url) as asker:
            await _shapes(asker, made["now"], made["runs"])
            await _beside(asker, owner, url)
            backend = psutil.Process(await owner.fetchval("SELECT pg_backend_pid()"))
            postmaster = psutil.Process(backend.ppid())
            await _dashboards(asker, made["now"], made["runs"], seconds, postmaster=postmaster)
        await owner.close()


@asynccontextmanager
async def _database(runs: int, *, keep: bool) -> AsyncIterator[str]:
    given = os.environ.get("HEADWATER_BENCH_POSTGRES_URL")
    if given:
        yield given
        return
    async with postgres_for_tests() as postgres:
        url = with_database(postgres.owner_url, "headwater_bench")
        owner = await asyncpg.connect(postgres.owner_url)
        await owner.execute(f"CREATE DATABASE headwater_bench TEMPLATE {postgres.template}")
        await owner.close()
        connection = await asyncpg.connect(url)
        began = time.perf_counter()
        now = await connection.fetchval("SELECT date_trunc('second', now())")
        await make_runs(connection, Scale(runs=runs), now=now)
        await connection.execute("CREATE TABLE public.scale AS SELECT $1::timestamptz AS now, $2::int AS runs".replace(
            "$1", f"'{now}'").replace("$2", str(runs)))  # fmt: skip
        await connection.close()
        print(f"made in {time.perf_counter() - began:.0f} s")
        yield url
        if keep:
            print(f"HEADWATER_BENCH_POSTGRES_URL={url}  (until Ctrl-C)", flush=True)
            await asyncio.Event().wait()


async def _timed(what: Callable[[], Awaitable[object]], *, times: int = 30) -> tuple[float, float]:
    """Median and 95th percentile in milliseconds, after a warm-up."""
    for _ in range(7):  # PostgreSQL may choose a generic plan from the sixth execution on
        await what()
    found = []
    for _ in range(times):
        began = time.perf_counter()
        await what()
        found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found), statistics.quantiles(found, n=20)[18]


async def _shapes(asker: Asker, now: datetime, runs: int) -> None:
    print(f"{'shape':48}{'median ms':>10}{'p95 ms':>9}{'bytes':>10}")
    for shape in shapes(now, runs):
        size = len(await _bytes(asker, shape))
        median, late = await _timed(lambda shape=shape: _bytes(asker, shape))  # type: ignore[misc]  # bound now
        print(f"{shape.name:48}{median:10.2f}{late:9.2f}{size:10,}", flush=True)


async def _bytes(asker: Asker, shape: Shape) -> bytes:
    plan = asker.path.recall(shape.text, None, shape.variables)
    if plan is None:
        await asker.data(shape.text, shape.variables, tenant=BUSY_TENANT)
        plan = asker.path.recall(shape.text, None, shape.variables)
        if plan is None:
            message = f"{shape.name} is not remembered"
            raise RuntimeError(message)
    return plan.render(await asker.reader.execute(plan, BUSY_TENANT))


async def _beside(asker: Asker, owner: "asyncpg.Connection[asyncpg.Record]", url: str) -> None:
    """200 runs with flow, project and task-run counts, three ways, alternating so that other load hits all alike."""
    shape = Shape("", RUNS_WITH_COUNTS, {}, "")
    resolvers = await ResolverSchema.connect(url)
    compiled, by_hand, resolved = [], [], []
    for _ in range(5):
        compiled.append((await _timed(lambda: _bytes(asker, shape), times=10))[0])
        by_hand.append((await _timed(lambda: owner.fetchval(BY_HAND, BUSY_TENANT), times=10))[0])
        resolved.append(
            (await _timed(lambda: resolvers.run(RUNS_WITH_COUNTS, BUSY_TENANT), times=3))[0]
        )
    await resolvers.close()
    theirs = statistics.median(by_hand)
    print("\n200 runs with flow, project and task-run counts")
    for name, values in (
        ("compiled, text to bytes", compiled),
        ("hand-written SQL", by_hand),
        ("Strawberry resolvers and data loaders", resolved),
    ):
        value = statistics.median(values)
        print(f"  {name:40}{value:8.2f} ms{value / theirs:8.2f} x")


async def _dashboards(
    asker: Asker, now: datetime, runs: int, seconds: float, *, postmaster: psutil.Process
) -> None:
    """Fifty open dashboards: the summary and other shapes at their pace, and the CPU time that they take."""
    known = {shape.name: shape for shape in shapes(now, runs)}
    summary = known["the dashboard's summary"]
    others = [
        known[name]
        for name in (
            "a day's timeline", "runs in progress", "upcoming runs", "failures since yesterday",
            "what went on since yesterday", "flows with their last runs", "the newest version of a flow",
        )
    ]  # fmt: skip
    for shape in (summary, *others):
        await _bytes(asker, shape)
    pace = _DASHBOARDS * _OPERATIONS_A_MINUTE / 60
    before, began, done = _cpu_seconds(postmaster), time.perf_counter(), 0
    tasks: set[asyncio.Task[bytes]] = set()
    while (passed := time.perf_counter() - began) < seconds:
        while done < passed * pace:
            every = _OPERATIONS_A_MINUTE // _SUMMARIES_A_MINUTE
            shape = summary if done % every == 0 else others[done % len(others)]
            task = asyncio.create_task(_bytes(asker, shape))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            done += 1
        await asyncio.sleep(0.005)
    await asyncio.gather(*tasks)
    passed = time.perf_counter() - began
    used = _cpu_seconds(postmaster) - before
    print(f"\n{_DASHBOARDS} dashboards: {done / passed:.0f} operations/s of {pace:.0f} asked for,"
          f" {used / passed:.2f} cores for read path and PostgreSQL")  # fmt: skip


def _cpu_seconds(postmaster: psutil.Process) -> float:
    """CPU time of this process and of PostgreSQL; that of a connection that ends is missed, and none ends meanwhile."""
    total = 0.0
    for process in (psutil.Process(), postmaster, *postmaster.children()):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument(
        "--keep", action="store_true", help="leave the database up, for other calls"
    )
    arguments = parser.parse_args()
    asyncio.run(main(arguments.runs, arguments.seconds, keep=arguments.keep))
