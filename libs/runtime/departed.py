"""Deleted tenants: every service deletes its own rows of them, and later the rows that arrived late.

The gateway deletes a tenant with its keys and leaves a row in `gateway.deleted_tenant`, in one transaction. That row is
the event: it cannot be lost, and each service looks for it every few seconds. Rows that were under way at that time (a
log line in JetStream, a ping in memory, a request of the last second) arrive after the first look. So each process
looks again after a minute, after ten, after an hour and after a day, and when it starts for those of a month.

The tables are found in `libs.schema`: every table with a `tenant_id` is one of them from the day it is declared.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Table

from libs.runtime import log
from libs.runtime.database import Connection, Database
from libs.schema import metadata

INTERVAL = timedelta(seconds=5)
LOOKS_AT = (
    timedelta(0),
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(days=1),
)
"""Ages of a deletion at which we look for remaining rows."""
AT_START = timedelta(days=30)
"""How far back a process looks when it starts: its service may have been away when a tenant was deleted."""
STEP = 2_000
"""Rows of one transaction: no lock is held for long."""
_PATIENCE = timedelta(minutes=15)
"""Of one statement: some tables have no index by tenant, and a deletion is worth one pass over them."""

KEPT = frozenset({"gateway.audit_log"})
"""Tables whose rows stay after the deletion: the audit is read after it too."""

_PARENTS = ("registry.flow", "runs.flow_run")
"""Tables whose rows cascade to very many others: deleted first, in smaller steps, by their own index.

Otherwise the others would be searched by tenant, for which they have no index.
"""
_PARENT_STEP = 100
_BY_RUN = {
    # Partitioned, so without foreign keys: rows that name a run are deleted with it, through the index by run.
    "runs.flow_run": (
        "DELETE FROM runs.task_run_state WHERE task_run_id IN"
        " (SELECT id FROM runs.task_run WHERE flow_run_id = ANY ($1::uuid[]))",
        "DELETE FROM runs.flow_run_state WHERE flow_run_id = ANY ($1::uuid[])",
        "DELETE FROM runs.log WHERE flow_run_id = ANY ($1::uuid[])",
        "DELETE FROM runs.log_usage WHERE flow_run_id = ANY ($1::uuid[])",
    ),
}


def tables_of(owner: str) -> list[Table]:
    """The tables of a service with rows of tenants, ordered so that referring tables come first."""
    return [
        table
        for table in reversed(metadata.sorted_tables)
        if table.schema == owner and "tenant_id" in table.columns and table.fullname not in KEPT
    ]


class Departed:
    """The deletion, as one service does it. `tick` is called every few seconds by every replica."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._tables = tables_of(owner)
        self._log = log.get(owner)
        self._looks: dict[UUID, int] = {}
        self._horizon = AT_START

    async def tick(self) -> int:
        """Delete what is due; how many rows."""
        rows = await self._database.pool.fetch(
            "SELECT id, now() - deleted AS age FROM gateway.deleted_tenant "
            "WHERE deleted > now() - $1::interval",
            self._horizon,
        )
        looks = {row["id"]: sum(row["age"] >= age for age in LOOKS_AT) for row in rows}
        due = [tenant for tenant, look in looks.items() if look > self._looks.get(tenant, 0)]
        deleted = await self.delete_all(due) if due else 0
        self._looks, self._horizon = looks, 2 * LOOKS_AT[-1]
        return deleted

    async def delete_all(self, tenant_ids: Sequence[UUID]) -> int:
        """Delete every row of these tenants in this service's tables, in one pass over each; how many.

        Safe to stop, to repeat and to do twice at once.
        """
        deleted = 0
        for table in sorted(self._tables, key=lambda table: table.fullname not in _PARENTS):
            while found := await self._delete_some(table, tenant_ids):
                deleted += found
        if deleted:
            self._log.info(
                "tenants_deleted", tenants=[str(each) for each in tenant_ids], rows=deleted
            )
        return deleted

    async def _delete_some(self, table: Table, tenant_ids: Sequence[UUID]) -> int:
        async with self._database.transaction() as connection:
            await connection.execute(
                f"SET LOCAL statement_timeout = {int(_PATIENCE.total_seconds() * 1000)}"
            )
            if table.fullname in _PARENTS:
                return await _delete_parents(connection, table.fullname, tenant_ids)
            # A row of a partitioned table is identified by its partition and its ctid. Without ORDER BY, two replicas
            # may take the same rows: one waits for the other, then finds them gone.
            done: str = await connection.execute(
                f"DELETE FROM {table.fullname} t USING ("
                f"SELECT tableoid, ctid FROM {table.fullname} WHERE tenant_id = ANY ($1::uuid[]) LIMIT {STEP}"
                ") found WHERE t.tableoid = found.tableoid AND t.ctid = found.ctid",
                tenant_ids,
                timeout=_PATIENCE.total_seconds(),
            )
        return int(done.rpartition(" ")[2])


async def _delete_parents(connection: Connection, table: str, tenant_ids: Sequence[UUID]) -> int:
    """Delete some rows with everything that refers to them. They are locked in the order of ids, as everywhere."""
    rows = await connection.fetch(
        f"SELECT id FROM {table} WHERE id IN "
        f"(SELECT id FROM {table} WHERE tenant_id = ANY ($1::uuid[]) LIMIT {_PARENT_STEP}) ORDER BY id FOR UPDATE",
        tenant_ids,
    )
    ids: Sequence[UUID] = [row["id"] for row in rows]
    for statement in (*_BY_RUN.get(table, ()), f"DELETE FROM {table} WHERE id = ANY ($1::uuid[])"):
        if ids:
            await connection.execute(statement, ids, timeout=_PATIENCE.total_seconds())
    return len(ids)
