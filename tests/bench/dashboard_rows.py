"""The rows behind the dashboard's budgets, written by plain SQL into the tenant of a gateway that runs."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from libs.runtime.ids import new_id

CHILDREN = 10_000
LINES = 100_000
TASKS = 3_000
NEEDLE = "needle-50000-found"
LAST_LINE = "the last of all lines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The ids of what the pages show."""

    mapped_run: UUID
    logged_run: UUID
    wide_flow_group: UUID


_FLOWS = """
    INSERT INTO registry.project (id, tenant_id, name)
    SELECT md5('p' || n)::uuid, $1, 'project-' || n FROM generate_series(0, 9) n;
    INSERT INTO registry.flow_group (id, tenant_id, name)
    SELECT md5('g' || n)::uuid, $1, 'group-' || n FROM generate_series(0, 200) n;
    INSERT INTO registry.flow
        (id, tenant_id, project_id, flow_group_id, name, version, version_group_id, serialized_flow)
    SELECT md5('f' || n)::uuid, $1, md5('p' || n % 10)::uuid, md5('g' || n)::uuid, 'flow-' || n, 1, n, '{}'
    FROM generate_series(0, 200) n;
    INSERT INTO registry.task (id, tenant_id, flow_id, name, slug, mapped)
    SELECT md5('t' || n)::uuid, $1, md5('f0')::uuid, 'task-' || n, 'task-' || n, true FROM generate_series(0, 2) n;
    INSERT INTO registry.task (id, tenant_id, flow_id, name, slug)
    SELECT md5('w' || n)::uuid, $1, md5('f200')::uuid, 'wide-' || n, 'wide-' || n
    FROM generate_series(0, $2 - 1) n;
    INSERT INTO registry.edge (id, tenant_id, flow_id, upstream_task_id, downstream_task_id)
    SELECT md5('e' || n || 'x' || k)::uuid, $1, md5('f200')::uuid, md5('w' || (n - 20 - k * 7))::uuid,
        md5('w' || n)::uuid
    FROM generate_series(40, $2 - 1) n, generate_series(0, 1) k;
    INSERT INTO runs.agent (id, tenant_id, name, type, labels, last_queried)
    SELECT md5('a' || n)::uuid, $1, 'dead-' || n, 'LocalAgent', '[]', now() - interval '9 days'
    FROM generate_series(1, 500) n
"""
_RUNS = """
    INSERT INTO runs.flow_run (id, created, updated, tenant_id, flow_id, flow_group_id, name, version,
        scheduled_start_time, start_time, end_time, auto_scheduled, state, state_timestamp, serialized_state)
    SELECT gen_random_uuid(), e - interval '2 minutes', e, $1, md5('f' || n % 200)::uuid, md5('g' || n % 200)::uuid,
        'run-' || n, 4, e - interval '2 minutes', e - make_interval(secs => 1 + n % 97), e, true,
        CASE WHEN n % 17 = 3 THEN 'Failed' WHEN n % 50 = 7 THEN 'Cancelled' ELSE 'Success' END, e,
        '{"type": "Success", "__version__": "1.4.1", "message": "All reference tasks succeeded."}'
    FROM (SELECT n, now() - n * interval '90 days' / $2::int AS e FROM generate_series(1, $2::int) n) s
"""
_ONE_RUN = """
    INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, version, scheduled_start_time, start_time,
        end_time, state, state_timestamp, serialized_state)
    VALUES ($2, $1, md5('f0')::uuid, md5('g0')::uuid, $3, 3, now() - interval '1 hour', now() - interval '1 hour',
        now(), 'Failed', now(), '{"type": "Failed"}')
"""
_CHILDREN = """
    INSERT INTO runs.task_run (id, tenant_id, flow_run_id, task_id, map_index, version, start_time, end_time, state,
        state_timestamp, state_message, serialized_state)
    SELECT gen_random_uuid(), $1, $2, md5('t' || t)::uuid, n, 3,
        now() - interval '1 hour' + n * interval '300 ms', now() - interval '59 minutes' + n * interval '300 ms',
        CASE WHEN n < 0 THEN 'Mapped' WHEN n = 9999 THEN 'Failed' ELSE 'Success' END, now(), 'Task run succeeded.',
        '{"type": "Success", "__version__": "1.4.1"}'
    FROM generate_series(0, 2) t, generate_series(-1, $3::int - 1) n
"""
_LINES = """
    INSERT INTO runs.log (id, created, tenant_id, flow_run_id, timestamp, level, name, message, sequence)
    SELECT gen_random_uuid(), now(), $1, $2, now() - interval '1 hour' + n * interval '30 ms',
        CASE WHEN n % 100 = 0 THEN 'WARNING' ELSE 'INFO' END, 'prefect.flow',
        CASE n WHEN 50000 THEN $4 WHEN $3::int THEN $5 ELSE 'line ' || n || ' of many, as long as lines often are' END,
        n
    FROM generate_series(1, $3::int) n
"""


async def write_rows(
    pool: "asyncpg.Pool[asyncpg.Record]", tenant_id: UUID, *, runs: int, lines: int
) -> Rows:
    """Write all of it; about two minutes for a million runs."""
    mapped, logged = new_id(), new_id()
    async with pool.acquire() as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("SET synchronous_commit = off")
        for statement in _FLOWS.split(";"):
            given = (tenant_id, TASKS) if "$2" in statement else (tenant_id,)
            await connection.execute(statement, *given)
        await connection.execute(_RUNS, tenant_id, runs, timeout=900)
        await connection.execute(_ONE_RUN, tenant_id, mapped, "mapped")
        await connection.execute(_ONE_RUN, tenant_id, logged, "logged")
        await connection.execute(_CHILDREN, tenant_id, mapped, CHILDREN, timeout=300)
        await connection.execute(_LINES, tenant_id, logged, lines, NEEDLE, LAST_LINE, timeout=300)
        await connection.execute("RESET session_replication_role")
        await connection.execute("VACUUM (ANALYZE)", timeout=600)
    group: UUID = await pool.fetchval("SELECT md5('g200')::uuid")
    return Rows(mapped_run=mapped, logged_run=logged, wide_flow_group=group)
