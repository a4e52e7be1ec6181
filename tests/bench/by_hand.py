"""The ledger's rows written by plain SQL: the limit that its figures stand beside, and a past for it to carry."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar
from uuid import UUID

import asyncpg

from libs.runtime.ids import new_id
from tests.support.ledger import Flow

T = TypeVar("T")

SINGLE = """
WITH run AS (
    UPDATE runs.task_run SET version = version + 1, state = 'Running', state_timestamp = now(), serialized_state = $3
    WHERE id = $1 AND version = $2 RETURNING id, tenant_id, version
)
INSERT INTO runs.task_run_state (id, created, tenant_id, task_run_id, timestamp, state, serialized_state, version)
SELECT $4, now(), tenant_id, id, now(), 'Running', $3, version FROM run
"""
BATCH = """
WITH moved AS (SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS m (id, history_id)), run AS (
    UPDATE runs.task_run t SET version = version + 1, state = 'Running', state_timestamp = now(), serialized_state = $3
    FROM moved m WHERE t.id = m.id RETURNING t.id, t.tenant_id, t.version, m.history_id
)
INSERT INTO runs.task_run_state (id, created, tenant_id, task_run_id, timestamp, state, serialized_state, version)
SELECT history_id, now(), tenant_id, id, now(), 'Running', $3, version FROM run
"""
STATE = {"type": "Running"}


async def move_singly(pool: "asyncpg.Pool[asyncpg.Record]", ids: Iterable[UUID]) -> None:
    """One transition a transaction, 16 connections."""
    await _by(16, ids, lambda id_: pool.execute(SINGLE, id_, 0, STATE, new_id()))


async def move_in_batches(
    pool: "asyncpg.Pool[asyncpg.Record]", batches: Iterable[Sequence[UUID]]
) -> None:
    """One statement a batch, two connections."""
    await _by(2, batches, lambda ids: pool.execute(BATCH, ids, [new_id() for _ in ids], STATE))


async def _by(callers: int, items: Iterable[T], work: Callable[[T], Awaitable[object]]) -> None:
    left = iter(items)

    async def caller() -> None:
        for item in left:
            await work(item)

    await asyncio.gather(*(caller() for _ in range(callers)))


async def fresh_task_runs(
    pool: "asyncpg.Pool[asyncpg.Record]", flow: Flow, flow_run_id: UUID, count: int
) -> list[UUID]:
    """Pending task runs of a flow run that has none."""
    rows = await pool.fetch(
        """
        INSERT INTO runs.task_run (id, tenant_id, flow_run_id, task_id, map_index, state, state_timestamp,
            serialized_state)
        SELECT gen_random_uuid(), $1, $2, $3, n, 'Pending', now(), '{}' 
        FROM generate_series(1, $4::int) n
        RETURNING id
        """,
        flow.tenant_id,
        flow_run_id,
        flow.task_ids[0],
        count,
        timeout=120,
    )
    return [row["id"] for row in rows]


async def write_due_runs(pool: "asyncpg.Pool[asyncpg.Record]", flow: Flow, count: int) -> None:
    """Runs that have been due for years under labels that nobody serves."""
    await pool.execute(
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
        count,
        timeout=120,
    )
    await pool.execute("ANALYZE runs.flow_run", timeout=120)


async def forget_due_runs(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Delete what `write_due_runs` wrote: that they are late is work of its own for the ledger."""
    await pool.execute("DELETE FROM runs.flow_run WHERE name = 'late'", timeout=120)
    await pool.execute("VACUUM runs.flow_run", timeout=120)


OLD_RUNS = """
WITH past AS (
    SELECT n, now() - n * interval '1 second' AS t, (
        lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - n * 1000), 12, '0') || '7'
        || substr(replace(gen_random_uuid()::text, '-', ''), 14)
    )::uuid AS id
    FROM generate_series($5::int, $4::int, -1) n
), made AS (
    INSERT INTO runs.flow_run (id, created, updated, tenant_id, flow_id, flow_group_id, name, version,
        scheduled_start_time, start_time, end_time, state, state_timestamp, serialized_state)
    SELECT id, t, t, $1, $2, $3, 'old ' || n, 4, t, t, t, 'Success', t, '{"type": "Success"}' FROM past
)
INSERT INTO runs.flow_run_state (id, created, tenant_id, flow_run_id, timestamp, state, serialized_state, version)
SELECT gen_random_uuid(), now(), $1, id, t, 'Success', '{"type": "Success"}', v FROM past, generate_series(1, 4) v
"""
"""Their ids are of their time, as Headwater makes them."""


async def write_old_runs(pool: "asyncpg.Pool[asyncpg.Record]", flow: Flow, count: int) -> None:
    """Finished runs with their histories, a second apart, the oldest first; in order as after weeks of autovacuum."""
    step = 50_000
    for last in range(count, 0, -step):
        first = max(last - step, 0) + 1
        ids = (flow.tenant_id, flow.id, flow.group_id)
        await pool.execute(OLD_RUNS, *ids, first, last, timeout=600)
    for statement in (
        "VACUUM ANALYZE runs.flow_run",
        "VACUUM ANALYZE runs.flow_run_state",
        "CHECKPOINT",
    ):
        await pool.execute(statement, timeout=600)
