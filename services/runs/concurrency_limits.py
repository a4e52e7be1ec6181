"""Verbs for concurrency limits, and the sweep that keeps slots and runs consistent.

Setting, lowering or deleting a limit takes effect at its commit: every start of a run reads the limit's row under its
lock. Runs that already run go on and are counted; after a lowering no run starts until enough have ended.
"""

from contextlib import suppress
from datetime import datetime
from uuid import UUID

from asyncpg import ForeignKeyViolationError

from libs.contracts.base import Applied, Refused
from libs.contracts.errors import Code
from libs.contracts.runs import DeleteConcurrencyLimit, RunKind, SetConcurrencyLimit
from libs.runtime import metrics
from libs.runtime.database import Database, statement
from services.runs.domain.creation import unstorable_name
from services.runs.ledger import journal
from services.runs.ledger.journal import RepairedSlots

STEP = 500
"""Limits repaired in one round."""
TRIES = 5
"""Attempts to set one limit while counted runs are deleted."""
HIGHEST = 2**31 - 1
"""The range of the column, and of GraphQL's Int."""

_TABLES = {
    RunKind.FLOW_RUN: ("runs.flow_concurrency_limit", "name"),
    RunKind.TASK_RUN: ("runs.task_tag_limit", "tag"),
}


async def set_limit(
    database: Database, command: SetConcurrencyLimit, *, id_: UUID, at: datetime
) -> Applied | Refused:
    """Make the limit or change its number; its id stays. Running runs are counted at once."""
    if (reason := _unacceptable(command)) is not None:
        return Refused(code=Code.INVALID, fields={"reason": reason})
    for _ in range(TRIES - 1):
        # A counted run may be deleted before its slot is inserted; then we count again.
        with suppress(ForeignKeyViolationError):
            return await _set_limit(database, command, id_=id_, at=at)
    return await _set_limit(database, command, id_=id_, at=at)


async def _set_limit(
    database: Database, command: SetConcurrencyLimit, *, id_: UUID, at: datetime
) -> Applied:
    table, column = _TABLES[command.run_kind]
    async with database.transaction() as connection:
        limit_id: UUID = await connection.fetchval(
            f"""
            INSERT INTO {table} (id, created, updated, tenant_id, {column}, "limit") VALUES ($1, $2, $2, $3, $4, $5)
            ON CONFLICT (tenant_id, {column}) DO UPDATE SET "limit" = excluded."limit", updated = excluded.updated
            RETURNING id
            """,
            id_,
            at,
            command.tenant_id,
            command.name,
            command.limit,
        )
        await journal.repair_slots(connection, [limit_id], at=at)
    return Applied(id=limit_id)


async def delete_limit(database: Database, command: DeleteConcurrencyLimit) -> bool:
    """Delete a limit with its slots; False for an unknown id."""
    table, _ = _TABLES[command.run_kind]
    async with database.transaction() as connection:
        # The limit first: its lock waits for transactions that take its slots, and none takes one afterwards.
        tag = await connection.execute(
            f"DELETE FROM {table} WHERE id = $1 AND tenant_id = $2",
            command.limit_id,
            command.tenant_id,
        )
        if tag == "DELETE 0":
            return False
        await journal.delete_slots(connection, command.limit_id)
    return True


async def repair_slots(database: Database, *, at: datetime) -> RepairedSlots:
    """Free slots that no run occupies, and add slots for runs that run without one."""
    rows = await database.pool.fetch(statement(__file__, "limits_in_doubt"), STEP)
    freed = counted = 0
    tenants: frozenset[UUID] = frozenset()
    # One at a time: locks of several would have to be in the ledger's order.
    for row in rows:
        async with database.transaction() as connection:
            for table, _ in _TABLES.values():
                await connection.execute(
                    f"SELECT FROM {table} WHERE id = $1 FOR NO KEY UPDATE", row["limit_id"]
                )
            done = await journal.repair_slots(connection, [row["limit_id"]], at=at)
        freed, counted = freed + done.freed, counted + done.counted
        tenants |= done.tenants
    metrics.SLOTS_REPAIRED.labels("freed").inc(freed)
    metrics.SLOTS_REPAIRED.labels("counted").inc(counted)
    return RepairedSlots(freed=freed, counted=counted, tenants=tenants)


def _unacceptable(command: SetConcurrencyLimit) -> str | None:
    _, column = _TABLES[command.run_kind]
    if not command.name.strip():
        return f"{column}: a limit needs a name"
    if (reason := unstorable_name(command.name)) is not None:
        return f"{column} {reason}"
    if not 0 <= command.limit <= HIGHEST:
        return "limit: Concurrency limits must be >= 0"
    return None
