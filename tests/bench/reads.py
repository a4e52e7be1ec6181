"""How fast the read path is: `python -m tests.bench.reads [--runs 1000000] [--data FOLDER] [--seconds 30]`.

Fills a database of its own on embedded engines: for each flow run five task runs, ten states and ten log lines. That
takes about ten minutes and 12 GB at a million runs, so `--data` keeps it for the next call; else all is removed again.

Prints the time from text to bytes of the shapes of the web UI and the agents, each beside its budget if it has one;
hand-written SQL and plain Strawberry resolvers with data loaders beside the compiled statement; and what fifty open
dashboards cost over HTTP. Times end in the gateway's process; ratios are of the same run.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg
import psutil

from deploy.engines import FOR_TESTS, DataFolder, EmbeddedEngines
from deploy.migrate import migrate
from deploy.provision import provision
from services.gateway.reads.documents import lift
from tests.bench.reads_dashboards import Processes, measure
from tests.bench.reads_resolvers import ResolverSchema
from tests.integration.gateway.reads.asking import Asker, asking
from tests.integration.gateway.reads.scale import BUSY_TENANT, Scale, make_runs
from tests.integration.gateway.reads.shapes import RUNS_WITH_COUNTS, Shape, shapes
from tests.support.engines import PASSWORDS, Stack, make_folder
from tests.support.service_process import gateway_process

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
_MADE = "public.scale"  # exists when the database is whole


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines with the bench's database, and their processes."""

    stack: Stack
    postgres: psutil.Process
    nats: psutil.Process


async def main(runs: int, seconds: float, data: Path | None) -> None:
    """Make or take the database, then measure."""
    folder = data or make_folder()
    try:
        async with _engines(folder) as engines:
            await _make(engines.stack.owner_url, runs)
            await _measure(engines, seconds)
    finally:
        if data is None:
            shutil.rmtree(folder)


async def _measure(engines: Engines, seconds: float) -> None:
    stack = engines.stack
    owner = await asyncpg.connect(stack.owner_url)
    [made] = await owner.fetch(f"SELECT now, runs FROM {_MADE}")
    counts = await owner.fetch(
        r"SELECT regexp_replace(relname, '_(w\d+|default)$', '') AS name, sum(reltuples)::bigint AS rows"
        " FROM pg_class WHERE relkind = 'r' AND relnamespace = 'runs'::regnamespace"
        " GROUP BY 1 HAVING sum(reltuples) > 1000 ORDER BY 1"
    )
    size = await owner.fetchval("SELECT pg_database_size(current_database())")
    print("rows:", ", ".join(f"{row['name']} {row['rows']:,}" for row in counts))
    print(f"{size / 1e9:.1f} GB; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    async with asking(stack.postgres_url("reader")) as asker:
        await _shapes(asker, made["now"], made["runs"])
        await _beside(asker, owner, stack.owner_url)
    await owner.close()
    await provision(stack.nats_url)
    async with gateway_process(stack) as (process, url):
        if process.process is None:
            message = "the gateway did not start"
            raise RuntimeError(message)
        processes = Processes(psutil.Process(process.process.pid), engines.postgres, engines.nats)
        port = int(url.rpartition(":")[2])
        print(f"\n{await measure(port, processes, made['now'], seconds=seconds)}")


@asynccontextmanager
async def _engines(path: Path) -> AsyncIterator[Engines]:
    folder = DataFolder(path)
    folder.claim()
    try:
        async with EmbeddedEngines(folder, FOR_TESTS, tell=print) as engines:
            endpoints = engines.endpoints
            url = endpoints.postgres_url(database="headwater_bench")
            await migrate(url, PASSWORDS)
            children = {child.name(): child for child in psutil.Process().children()}
            async with asyncpg.create_pool(url, min_size=0) as pool:
                stack = Stack(
                    owner_url=url,
                    nats_url=endpoints.nats_url,
                    admin_pool=pool,
                    postgres=None,
                    nats=None,
                )
                yield Engines(stack, children["postgres"], children["nats-server"])
    finally:
        folder.release()


async def _make(url: str, runs: int) -> None:
    """The database, unless an earlier call made it; one that was interrupted is made anew."""
    owner = await asyncpg.connect(url)
    try:
        if await owner.fetchval("SELECT to_regclass($1)", _MADE):
            return
        if await owner.fetchval("SELECT EXISTS (SELECT FROM gateway.tenant)"):
            message = "an earlier call did not finish making this database; remove the folder"
            raise SystemExit(message)
        now: datetime = await owner.fetchval("SELECT date_trunc('second', now())")
        began = time.perf_counter()
        scale = Scale(
            runs=runs, task_runs_per_run=5, states_per_run=5, states_per_task_run=1, logs_per_run=10
        )
        await make_runs(
            url,
            scale,
            now=now,
            tell=lambda text: print(f"{time.perf_counter() - began:7.1f} s  {text}", flush=True),
        )
        await owner.execute(
            f"CREATE TABLE {_MADE} AS SELECT '{now}'::timestamptz AS now, {runs}::int AS runs"
        )
        print(f"made in {time.perf_counter() - began:.0f} s")
    finally:
        await owner.close()


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
    print(f"{'shape':56}{'median ms':>10}{'p95 ms':>9}{'bytes':>10}{'budget ms':>11}")
    for shape in shapes(now, runs):
        size = len(await _bytes(asker, shape))
        median, late = await _timed(lambda shape=shape: _bytes(asker, shape))  # type: ignore[misc]  # bound now
        budget = "" if shape.budget is None else f"{shape.budget:11}"
        print(f"{shape.name:56}{median:10.2f}{late:9.2f}{size:10,}{budget}", flush=True)


async def _bytes(asker: Asker, shape: Shape) -> bytes:
    plan = asker.path.recall(lift(shape.text), None, shape.variables)
    if plan is None:
        await asker.data(shape.text, shape.variables, tenant=BUSY_TENANT)
        plan = asker.path.recall(lift(shape.text), None, shape.variables)
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument(
        "--seconds", type=float, default=30, help="how long the dashboards are open"
    )
    parser.add_argument(
        "--data", type=Path, help="a folder that keeps the database for other calls"
    )
    arguments = parser.parse_args()
    asyncio.run(main(arguments.runs, arguments.seconds, arguments.data))
