"""Deletes runs with everything that belongs to them, in bounded steps.

Histories and logs carry no foreign keys (they are partitioned), so they are deleted by name, in the same transaction.
Locks are taken in the ledger's order, flow runs by id and then task runs by id, before anything is deleted.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from libs.runtime.database import Connection, Database, statement

STEP = 200
"""Flow runs per transaction: a flow with a million runs is deleted without one long lock."""


async def delete_flow_run(
    database: Database, tenant_id: UUID, flow_run_id: UUID, *, seen_version: int | None = None
) -> bool:
    """Delete one run for a person; False when it does not exist. A future instant is not made again.

    A run with another version than `seen_version` is kept (None: any version).
    """
    async with database.transaction() as connection:
        ids = await connection.fetch(
            "SELECT id FROM runs.flow_run WHERE id = $1 AND tenant_id = $2"
            " AND ($3::int IS NULL OR version = $3) FOR UPDATE",
            flow_run_id,
            tenant_id,
            seen_version,
        )
        if not ids:
            return False
        await connection.execute(statement(__file__, "add_tombstone"), flow_run_id, tenant_id)
        return await delete_runs(connection, [row["id"] for row in ids]) == 1


async def delete_runs_of_flow(database: Database, flow_id: UUID) -> int:
    """Delete every run of a flow, a step at a time; safe to stop and to repeat."""
    total = 0
    while True:
        async with database.transaction() as connection:
            rows = await connection.fetch(
                f"""
                SELECT id FROM runs.flow_run WHERE id IN (
                    SELECT id FROM runs.flow_run WHERE flow_id = $1 LIMIT {STEP}
                ) ORDER BY id FOR UPDATE
                """,
                flow_id,
            )
            total += await delete_runs(connection, [row["id"] for row in rows])
            if not rows:
                await connection.execute(
                    "DELETE FROM runs.deleted_instant WHERE flow_id = $1", flow_id
                )
                return total


async def delete_pending_of_archived(connection: Connection, groups: Sequence[UUID]) -> int:
    """Delete the pending auto-scheduled runs of archived flows of these groups, in the caller's transaction."""
    rows = await connection.fetch(
        """
        SELECT r.id FROM runs.flow_run r JOIN registry.flow f ON f.id = r.flow_id
        WHERE r.flow_group_id = ANY($1::uuid[]) AND r.schedule_hash IS NOT NULL AND r.state = 'Scheduled'
            AND r.version = 1 AND f.archived
        ORDER BY r.id
        FOR UPDATE OF r
        """,
        groups,
    )
    return await delete_runs(connection, [row["id"] for row in rows])


async def runs_older_than(database: Database, before: datetime) -> int:
    """Delete one step of runs that finished before a time; returns how many.

    A run that ended before its start time (a person may cancel it months ahead) stays until that time is as old too;
    otherwise its schedule would make it again. Ids are UUIDv7, in order of creation, so the oldest runs are the first
    of the primary key and need no index.
    """
    youngest = UUID(int=int(before.timestamp() * 1000) << 80)
    async with database.transaction() as connection:
        rows = await connection.fetch(
            f"""
            SELECT id FROM runs.flow_run WHERE id IN (
                SELECT id FROM runs.flow_run WHERE id < $2 AND end_time < $1 AND scheduled_start_time < $1
                ORDER BY id LIMIT {STEP}
            ) AND end_time < $1 AND scheduled_start_time < $1
            ORDER BY id FOR UPDATE SKIP LOCKED
            """,
            before,
            youngest,
        )
        return await delete_runs(connection, [row["id"] for row in rows])


async def delete_runs(connection: Connection, flow_run_ids: Sequence[UUID]) -> int:
    """Delete runs that the caller has locked, with all rows that refer to them; returns how many."""
    if not flow_run_ids:
        return 0
    task_runs = await connection.fetch(
        "SELECT id FROM runs.task_run WHERE flow_run_id = ANY($1::uuid[]) ORDER BY id FOR UPDATE",
        flow_run_ids,
    )
    task_run_ids = [row["id"] for row in task_runs]
    for sql, ids in (
        ("DELETE FROM runs.task_run_state WHERE task_run_id = ANY($1::uuid[])", task_run_ids),
        ("DELETE FROM runs.flow_run_state WHERE flow_run_id = ANY($1::uuid[])", flow_run_ids),
        ("DELETE FROM runs.log_usage WHERE flow_run_id = ANY($1::uuid[])", flow_run_ids),
        ("DELETE FROM runs.log WHERE flow_run_id = ANY($1::uuid[])", flow_run_ids),
        ("DELETE FROM runs.flow_run WHERE id = ANY($1::uuid[])", flow_run_ids),
    ):
        await connection.execute(sql, ids)
    return len(flow_run_ids)
