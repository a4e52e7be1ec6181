"""A large database, written by PostgreSQL itself: four weeks of runs of one busy tenant and three small ones.

Nine of ten runs are the busy tenant's. Runs are spread evenly over the weeks before `now`, most of them succeeded; the
next ten of every flow are scheduled after it. Ids rise with time, so that keys are appended to and never split; other
indexes are made after the rows, and two connections work at once. A million runs with five task runs, ten states and
ten log lines each take about ten minutes on two cores.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

BUSY_TENANT = UUID("00000000-0000-7000-8000-000000000001")
SPAN = timedelta(days=28)

_WORKERS = 2
_CHUNK = 200_000  # rows of a table between two lines of progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much of everything; what is `per_run` is for each flow run."""

    runs: int
    flows: int = 200
    tasks_per_flow: int = 10
    task_runs_per_run: int = 5
    states_per_run: int = 3
    states_per_task_run: int = 1
    logs_per_run: int = 2

    @property
    def begun(self) -> int:
        """How many runs are not scheduled after `now`: all but the scheduler's ten of each flow."""
        return self.runs - min(self.runs // 100, self.flows * 10)


@dataclass(frozen=True, slots=True)
class _Filling:
    """The statement that writes the rows of runs {first} to {last}, and how many there are of each run."""

    table: str
    statement: str
    rows_per_run: int


async def make_runs(
    url: str, scale: Scale, *, now: datetime, tell: Callable[[str], None] = lambda _: None
) -> None:
    """Fill an empty, migrated database as its owner (a superuser: foreign keys are not checked row by row)."""
    owner = await _connect(url)
    try:
        await owner.execute(f"SELECT runs.ensure_partitions('{now - SPAN}'::timestamptz, 8)")
        await owner.execute(_small_tables(scale))
        tables = iter(_large_tables(scale, now))  # shared: each worker takes the next

        async def work() -> None:
            connection = await _connect(url)
            try:
                for filling in tables:
                    await _fill(connection, filling, scale.runs, tell)
            finally:
                await connection.close()

        async with asyncio.TaskGroup() as workers:
            for _ in range(_WORKERS):
                workers.create_task(work())
        # Not before: pages that are younger than another worker's transaction are not yet visible to all.
        tell("all tables: vacuum")
        await owner.execute("VACUUM (ANALYZE)")
    finally:
        await owner.close()


async def _connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(url, timeout=60)
    await connection.execute(
        "SET session_replication_role = replica; SET maintenance_work_mem = '1GB'; SET synchronous_commit = off"
    )
    await connection.execute(_FUNCTIONS)
    return connection


async def _fill(
    connection: "asyncpg.Connection[asyncpg.Record]",
    filling: "_Filling",
    runs: int,
    tell: Callable[[str], None],
) -> None:
    """One table, without the indexes that are no keys until it is full: several times faster than keeping them up."""
    table, rows = filling.table, filling.rows_per_run
    indexes = await connection.fetch(
        "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index"
        " WHERE indrelid = $1::text::regclass AND NOT indisunique",
        table,
    )
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    step = max(1, _CHUNK // rows)
    for first in range(0, runs, step):
        last = min(first + step, runs) - 1
        await connection.execute(filling.statement.format(first=first, last=last))
        tell(f"{table}: {(last + 1) * rows:,} of {runs * rows:,} rows")
    for index in indexes:
        await connection.execute(index["definition"].replace(" ON ONLY ", " ON "))  # partitions too
        tell(f"{table}: {index['name']}")


_FUNCTIONS = """
    CREATE FUNCTION pg_temp.an_id(kind int, number bigint, at timestamptz DEFAULT '2026-01-01') RETURNS uuid
    LANGUAGE sql IMMUTABLE AS $$
        SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(kind), 3, '0')
            || '8' || lpad(to_hex(number), 15, '0'))::uuid
    $$;
    CREATE FUNCTION pg_temp.a_tenant(number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
        SELECT ('00000000-0000-7000-8000-00000000000'
            || CASE WHEN number % 10 < 9 THEN 1 ELSE 2 + number / 10 % 3 END)::uuid
    $$;
"""


def _small_tables(scale: Scale) -> str:
    return f"""
        INSERT INTO gateway.tenant (id, name, slug)
        SELECT ('00000000-0000-7000-8000-00000000000' || n)::uuid, 'Tenant ' || n, 'tenant-' || n
        FROM generate_series(1, 4) n;
        INSERT INTO registry.project (id, tenant_id, name)
        SELECT pg_temp.an_id(1, n), pg_temp.a_tenant(n), 'project-' || n FROM generate_series(0, 19) n;
        INSERT INTO registry.flow_group (id, tenant_id, name, settings)
        SELECT pg_temp.an_id(2, n), pg_temp.a_tenant(n), 'group-' || n, '{{"heartbeat_enabled": true}}'
        FROM generate_series(0, {scale.flows} - 1) n;
        INSERT INTO registry.flow
            (id, tenant_id, project_id, flow_group_id, name, version, version_group_id, settings, serialized_flow,
            archived)
        SELECT pg_temp.an_id(3, n), pg_temp.a_tenant(n), pg_temp.an_id(1, n % 10 + 10 * (n / 10 % 2)),
            pg_temp.an_id(2, n),
            'flow-' || n, 1, 'group-' || n, '{{"heartbeat_enabled": true}}',
            jsonb_build_object('tasks', (SELECT jsonb_agg('task-' || k) FROM generate_series(1, 200) k)), n % 5 = 4
        FROM generate_series(0, {scale.flows} - 1) n;
        INSERT INTO registry.task (id, tenant_id, flow_id, name, slug)
        SELECT pg_temp.an_id(4, n * {scale.tasks_per_flow} + k), pg_temp.a_tenant(n), pg_temp.an_id(3, n),
            'task-' || k, 'task-' || k
        FROM generate_series(0, {scale.flows} - 1) n, generate_series(0, {scale.tasks_per_flow} - 1) k;
        INSERT INTO registry.edge (id, tenant_id, flow_id, upstream_task_id, downstream_task_id)
        SELECT pg_temp.an_id(5, n * {scale.tasks_per_flow} + k), pg_temp.a_tenant(n), pg_temp.an_id(3, n),
            pg_temp.an_id(4, n * {scale.tasks_per_flow} + k - 1), pg_temp.an_id(4, n * {scale.tasks_per_flow} + k)
        FROM generate_series(0, {scale.flows} - 1) n, generate_series(1, {scale.tasks_per_flow} - 1) k;
        INSERT INTO runs.agent (id, tenant_id, name, type, labels, last_queried)
        SELECT pg_temp.an_id(6, n), pg_temp.a_tenant(n), 'agent-' || n, 'LocalAgent', '["a"]', now()
        FROM generate_series(0, 9) n;
    """


def _large_tables(scale: Scale, now: datetime) -> "list[_Filling]":
    """How each large table is filled, the largest first."""
    begin = now - SPAN
    ended = max(0, scale.begun - 50)
    # Runs start at an even pace; the fifty before those that are scheduled are under way. OFFSET 0: once for each run.
    run = f"""
        SELECT n, CASE WHEN n < {scale.begun}
                THEN '{begin}'::timestamptz + n * ('{SPAN.total_seconds()} s'::interval / {scale.begun})
                ELSE '{now}'::timestamptz + (n - {scale.begun} + 1) * interval '1 minute' END AS at,
            CASE WHEN n >= {scale.begun} THEN 'Scheduled' WHEN n >= {ended} THEN 'Running'
                 WHEN n % 17 = 3 THEN 'Failed' WHEN n % 50 = 7 THEN 'Cancelled' ELSE 'Success' END AS state,
            pg_temp.an_id(7, n, '{begin}'::timestamptz + n * interval '1 second') AS id,
            pg_temp.a_tenant(n) AS tenant_id
        FROM generate_series({{first}}::bigint, {{last}}::bigint) n OFFSET 0"""
    # The flow of run n: of the same tenant, since flows repeat every ten tenants' numbers.
    flow = f"(n % 10 + 10 * (n / 10 % ({scale.flows} / 10)))"
    return [
        _Filling("runs.task_run", f"""
            INSERT INTO runs.task_run (id, created, updated, tenant_id, flow_run_id, task_id, map_index, version,
                start_time, end_time, state, state_timestamp, serialized_state, cache_key)
            SELECT
                pg_temp.an_id(8, n * {scale.task_runs_per_run} + k, '{begin}'::timestamptz + n * interval '1 second'),
                at, at + interval '90 s', tenant_id, id,
                pg_temp.an_id(4, {flow} * {scale.tasks_per_flow} + k), -1, 3, at, at + interval '60 s',
                CASE WHEN state = 'Failed' AND k = 0 THEN 'Failed' WHEN state = 'Scheduled' THEN 'Pending'
                     WHEN n % 100 = 0 THEN 'Cached' ELSE 'Success' END,
                at + interval '90 s', '{{{{"type": "Success", "__version__": "1.4.1"}}}}',
                CASE WHEN n % 100 = 0 THEN 'key-' || n % 1000 END
            FROM ({run}) r, generate_series(0, {scale.task_runs_per_run} - 1) k""", scale.task_runs_per_run),
        _Filling("runs.log", f"""
            INSERT INTO runs.log (id, created, tenant_id, flow_run_id, timestamp, name, level, message, sequence)
            SELECT pg_temp.an_id(11, n * {scale.logs_per_run} + k), at, tenant_id, id, at + k * interval '1 s',
                'prefect.CloudFlowRunner', 'INFO', 'Flow run line ' || k, n * {scale.logs_per_run} + k
            FROM ({run}) r, generate_series(0, {scale.logs_per_run} - 1) k""", scale.logs_per_run),
        _Filling("runs.task_run_state", f"""
            INSERT INTO runs.task_run_state (id, created, updated, tenant_id, task_run_id, timestamp, state,
                serialized_state, version)
            SELECT pg_temp.an_id(10, (n * {scale.task_runs_per_run} + k) * {scale.states_per_task_run} + s),
                at, at, tenant_id,
                pg_temp.an_id(8, n * {scale.task_runs_per_run} + k, '{begin}'::timestamptz + n * interval '1 second'),
                at + s * interval '10 s', 'Running', '{{{{"type": "Running"}}}}', s + 1
            FROM ({run}) r, generate_series(0, {scale.task_runs_per_run} - 1) k,
                generate_series(0, {scale.states_per_task_run} - 1) s""",
            scale.task_runs_per_run * scale.states_per_task_run),
        _Filling("runs.flow_run", f"""
            INSERT INTO runs.flow_run (id, created, updated, tenant_id, flow_id, flow_group_id, agent_id, name,
                parameters, labels, version, heartbeat, scheduled_start_time, start_time, end_time, auto_scheduled,
                state, state_timestamp, state_message, state_start_time, serialized_state)
            SELECT id, least(at, '{now}'),
                CASE WHEN state = 'Scheduled' THEN '{now}' ELSE at + interval '90 s' END,
                tenant_id, pg_temp.an_id(3, {flow}), pg_temp.an_id(2, {flow}),
                CASE WHEN state <> 'Scheduled' THEN pg_temp.an_id(6, n % 10) END, 'run-' || n, '{{{{"x": 1}}}}',
                '["a"]', 3,
                CASE WHEN state <> 'Scheduled' THEN at + interval '60 s' END, at,
                CASE WHEN state <> 'Scheduled' THEN at + interval '1 s' END,
                CASE WHEN state NOT IN ('Scheduled', 'Running') THEN at + interval '90 s' END, true, state,
                CASE WHEN state = 'Scheduled' THEN '{now}' ELSE at + interval '90 s' END, 'All went as it went.',
                CASE WHEN state = 'Scheduled' THEN at END,
                jsonb_build_object('type', state, 'message', 'All went as it went.', '__version__', '1.4.1')
            FROM ({run}) r""", 1),
        _Filling("runs.flow_run_state", f"""
            INSERT INTO runs.flow_run_state (id, created, updated, tenant_id, flow_run_id, timestamp, state, message,
                serialized_state, version)
            SELECT pg_temp.an_id(9, n * {scale.states_per_run} + k), at, at, tenant_id, id, at + k * interval '20 s',
                (ARRAY['Scheduled', 'Submitted', 'Running', 'Retrying', 'Success'])[1 + k % 5], 'message',
                '{{{{"type": "Running", "__version__": "1.4.1"}}}}', k + 1
            FROM ({run}) r, generate_series(0, {scale.states_per_run} - 1) k""", scale.states_per_run),
    ]  # fmt: skip


def run_id(number: int, *, now: datetime) -> UUID:
    """The id of a flow run of the busy tenant (`number` % 10 < 9), as PostgreSQL made it."""
    at = now - SPAN + timedelta(seconds=number)
    return UUID(f"{int(at.timestamp() * 1000):012x}7{7:03x}8{number:015x}")


def flow_id(number: int) -> UUID:
    """The id of a flow."""
    milliseconds = 1767225600000  # 2026-01-01, the moment of what has no time of its own
    return UUID(f"{milliseconds:012x}7{3:03x}8{number:015x}")
