"""How fast counts by bucket are: `python -m tests.bench.buckets [--runs 1000000] [--days 90]`.

Fills a database of its own on embedded engines with flow runs that ended evenly over the days before now, and with one
run of 30,000 mapped children; about two minutes at a million runs. Prints the time from text to bytes of each question
beside its budget, and beside the raw limit: an aggregate over the same rows of the same index, as somebody would write
it by hand. Times end in this process.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import orjson

from deploy.engines import FOR_TESTS, DataFolder, EmbeddedEngines
from deploy.migrate import migrate, role_url
from tests.integration.gateway.reads.asking import Asker, asking
from tests.integration.gateway.reads.world import A_TENANT
from tests.support.engines import PASSWORDS, make_folder

CHILDREN = 30_000
_MAPPED_RUN = "00000000-0000-7000-8000-0000000000aa"
_SEED = f"""
    SET session_replication_role = replica; SET synchronous_commit = off; SET maintenance_work_mem = '512MB';
    INSERT INTO gateway.tenant (id, name, slug) VALUES ('{A_TENANT}', 'a', 'a');
    INSERT INTO registry.project (id, tenant_id, name)
    SELECT md5('p' || n)::uuid, '{A_TENANT}', 'project-' || n FROM generate_series(0, 9) n;
    INSERT INTO registry.flow_group (id, tenant_id, name)
    SELECT md5('g' || n)::uuid, '{A_TENANT}', 'group-' || n FROM generate_series(0, 199) n;
    INSERT INTO registry.flow
        (id, tenant_id, project_id, flow_group_id, name, version, version_group_id, serialized_flow)
    SELECT md5('f' || n)::uuid, '{A_TENANT}', md5('p' || n % 10)::uuid, md5('g' || n)::uuid, 'flow-' || n, 1, n, '{{}}'
    FROM generate_series(0, 199) n;
    INSERT INTO registry.task (id, tenant_id, flow_id, name, slug)
    SELECT md5('t' || n)::uuid, '{A_TENANT}', md5('f0')::uuid, 'task-' || n, 'task-' || n FROM generate_series(0, 2) n;
"""
_RUNS = """
    INSERT INTO runs.flow_run (id, created, updated, tenant_id, flow_id, flow_group_id, name, version,
        scheduled_start_time, start_time, end_time, auto_scheduled, state, state_timestamp, serialized_state)
    SELECT gen_random_uuid(), e - interval '2 minutes', e, '{tenant}', md5('f' || n % 200)::uuid,
        md5('g' || n % 200)::uuid, 'run-' || n, 4, e - interval '2 minutes',
        e - make_interval(secs => 1 + n % 97), e, true,
        CASE WHEN n % 17 = 3 THEN 'Failed' WHEN n % 50 = 7 THEN 'Cancelled' WHEN n % 100 = 11 THEN 'TimedOut'
             WHEN n % 200 = 21 THEN 'TriggerFailed' WHEN n % 40 = 31 THEN 'Skipped' ELSE 'Success' END,
        e, '{{"type": "Success", "__version__": "1.4.1", "message": "All reference tasks succeeded."}}'
    FROM (SELECT n, timestamptz '{now}' - n * interval '{days} days' / {runs} AS e
          FROM generate_series(1, {runs}) n) s
"""
_CHILDREN = f"""
    INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, version, scheduled_start_time, start_time,
        auto_scheduled, state, state_timestamp, serialized_state)
    VALUES ('{_MAPPED_RUN}', '{A_TENANT}', md5('f0')::uuid, md5('g0')::uuid, 'mapped', 3, now(), now(), false,
        'Running', now(), '{{}}');
    INSERT INTO runs.task_run (id, tenant_id, flow_run_id, task_id, map_index, version, start_time, end_time, state,
        state_timestamp, serialized_state)
    SELECT gen_random_uuid(), '{A_TENANT}', '{_MAPPED_RUN}', md5('t' || n % 3)::uuid, n / 3, 3, now(), now(),
        CASE WHEN n % 1000 = 999 THEN 'Failed' ELSE 'Success' END, now(),
        '{{"type": "Success", "__version__": "1.4.1", "message": "Task run succeeded."}}'
    FROM generate_series(0, {CHILDREN - 1}) n;
"""
_BY_STATE = "SELECT date_trunc('{by}', end_time, 'UTC'), state, count(*) FROM runs.flow_run" \
    " WHERE tenant_id = $1 AND end_time >= $2 AND end_time < $3 GROUP BY 1, 2"  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """A field with its arguments, its budget in milliseconds, and the raw SQL beside it."""

    name: str
    field: str
    rows: str
    budget: int | None = None
    raw: str = ""
    window: timedelta = timedelta(days=1)


def questions(days: int) -> list[Question]:
    """What an overview and a flow's page ask."""
    long = timedelta(days=days)
    counts, project = "bucket state count is_more", '{flow: {project: {name: {_eq: "project-3"}}}}'
    one = '{flow: {name: {_eq: "flow-7"}}}'
    return [
        Question("24 h by hour and state", "flow_run_buckets({w})", counts, 150, _BY_STATE.format(by="hour")),
        Question(f"{days} d by day and state", "flow_run_buckets({w}, by: day)", counts, 300,
                 _BY_STATE.format(by="day"), long),
        Question("24 h by hour, one project", f"flow_run_buckets({{w}}, where: {project})", counts, 150),
        Question(f"{days} d by day, one project", f"flow_run_buckets({{w}}, by: day, where: {project})", counts,
                 window=long),
        Question(f"{days} d by day, one flow", f"flow_run_buckets({{w}}, by: day, where: {one})", counts, window=long),
        Question("24 h by hour, failed only",
                 'flow_run_buckets({w}, where: {state: {_in: ["Failed", "TimedOut"]}})', counts, 150),
        Question("24 h due by hour and state", "flow_run_buckets({w}, time: due)", counts, 150),
        Question("24 h by flow", "flow_run_counts_by_flow({w})", "flow_id state count is_more", 150),
        Question(f"{days} d by flow", "flow_run_counts_by_flow({w})", "flow_id state count is_more", 300, window=long),
        Question("24 h durations by hour", "flow_run_durations({w})", "bucket count p50 p95 max", 150),
        Question(f"{days} d durations by day", "flow_run_durations({w}, by: day)", "bucket count p50 p95 max", 300,
                 window=long),
        Question("failed in the last hour, newest 50",
                 'flow_run(where: {state: {_in: ["Failed"]}, end_time: {_gte: "{hour}"}},'
                 " order_by: {end_time: desc}, limit: 50)", "id name", 300),
        Question("mapped summary, 30,000 children", f'mapped_summary(flow_run_id: "{_MAPPED_RUN}")',
                 "task_id children state_counts min_start_time max_end_time first_failed_map_index", 100,
                 "SELECT task_id, state, count(*) FROM runs.task_run WHERE tenant_id = $1"
                 f" AND flow_run_id = '{_MAPPED_RUN}' AND $2 < $3::timestamptz GROUP BY 1, 2"),
    ]  # fmt: skip


async def main(runs: int, days: int) -> None:
    """Fill a database, ask, remove it."""
    folder = make_folder()
    data = DataFolder(folder)
    data.claim()
    try:
        async with EmbeddedEngines(data, FOR_TESTS, tell=print) as engines:
            url = engines.endpoints.postgres_url(database="headwater_bench")
            await migrate(url, PASSWORDS)
            owner = await asyncpg.connect(url)
            now: datetime = await owner.fetchval("SELECT date_trunc('hour', now())")
            began = time.perf_counter()
            await _fill(owner, runs=runs, days=days, now=now)
            print(f"made in {time.perf_counter() - began:.0f} s; load {os.getloadavg()[0]:.1f}")
            reader = role_url(url, role="reader", password=PASSWORDS["reader"])
            async with asking(reader) as asker:
                await _measure(asker, owner, now=now, days=days)
            await owner.close()
    finally:
        data.release()
        shutil.rmtree(folder)


async def _fill(
    owner: "asyncpg.Connection[asyncpg.Record]", *, runs: int, days: int, now: datetime
) -> None:
    """Indexes that are no keys are made after the rows."""
    await owner.execute(_SEED)
    indexes = await owner.fetch(
        "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index"
        " WHERE indrelid = 'runs.flow_run'::regclass AND NOT indisunique"
    )
    for index in indexes:
        await owner.execute(f"DROP INDEX {index['name']}")
    await owner.execute(_RUNS.format(tenant=A_TENANT, now=now, runs=runs, days=days))
    for index in indexes:
        began = time.perf_counter()
        await owner.execute(index["definition"])
        size = await owner.fetchval("SELECT pg_relation_size($1::text::regclass)", index["name"])
        print(
            f"{index['name']}: {time.perf_counter() - began:.1f} s, {size / 1e6:.0f} MB", flush=True
        )
    await owner.execute(_CHILDREN)
    await owner.execute("VACUUM (ANALYZE)")


async def _measure(
    asker: Asker, owner: "asyncpg.Connection[asyncpg.Record]", *, now: datetime, days: int
) -> None:
    await owner.execute("SET max_parallel_workers_per_gather = 0; SET jit = off")
    print(
        f"{'question':40}{'rows':>7}{'median ms':>11}{'p95 ms':>9}{'budget':>8}{'raw SQL ms':>12}"
    )
    for question in questions(days):
        since = now - question.window
        window = f'since: "{since.isoformat()}", until: "{now.isoformat()}"'
        field = question.field.replace("{w}", window).replace(
            "{hour}", (now - timedelta(hours=1)).isoformat()
        )
        text = f"{{ {field} {{ {question.rows} }} }}"
        answer = await asker.data(text)
        rows = len(next(iter(answer.values())))
        median, late = await _timed(lambda text=text: asker.data(text))  # type: ignore[misc]  # bound now
        raw = ""
        if question.raw:
            beside = await _timed(
                lambda sql=question.raw, first=since: owner.fetch(sql, A_TENANT, first, now)  # type: ignore[misc]
            )
            raw = f"{beside[0]:12.1f}"
        print(
            f"{question.name:40}{rows:7}{median:11.1f}{late:9.1f}{question.budget or '':>8}{raw}",
            flush=True,
        )
        if os.environ.get("HEADWATER_BENCH_EXPLAIN"):
            await _explain(asker, owner, text)


async def _explain(asker: Asker, owner: "asyncpg.Connection[asyncpg.Record]", text: str) -> None:
    from services.gateway.reads.documents import lift  # noqa: PLC0415 - only where it is asked for

    plan = asker.path.recall(lift(text), None, None)
    assert plan is not None
    bound = plan.bound[0]
    for row in await owner.fetch(f"EXPLAIN ANALYZE {bound.sql}", A_TENANT, *bound.values):
        print("   ", row[0][:150])


async def _timed(what: Callable[[], Awaitable[Any]], *, times: int = 20) -> tuple[float, float]:
    """Median and 95th percentile in milliseconds, after PostgreSQL may have chosen a generic plan."""
    for _ in range(7):
        await what()
    found = []
    for _ in range(times):
        began = time.perf_counter()
        orjson.dumps(await what(), default=str)
        found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found), statistics.quantiles(found, n=20)[18]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=90)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.runs, arguments.days))
