"""Write a tenant to a folder, from one snapshot."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

import asyncpg
from sqlalchemy import Table

from deploy.digest import digest_of
from deploy.transfer import manifest, tables
from deploy.transfer.manifest import Manifest, TableFile, TransferError
from libs.contracts.version import VERSION

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Progress = Callable[[int, int], None]
"""Called with the number of tables that are done, and of all."""

_HISTORIES = frozenset({"runs.flow_run_state", "runs.log", "runs.task_run_state"})
"""Tables with partitions by `created`."""


async def export(
    connection: "Connection",
    tenant: str,
    target: Path,
    *,
    pepper: bytes,
    now: datetime,
    progress: Progress = lambda _done, _all: None,
) -> Manifest:
    """Export the tenant with this slug or id into the new folder `target`; complete or not at all."""
    partial = _partial(target)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            found = await _tenant(connection, tenant)
            partial.mkdir(parents=True, mode=0o700)
            written = Manifest(
                format=manifest.FORMAT,
                headwater=VERSION,
                migration=await migration_of(connection),
                taken_at=now.isoformat(),
                tenant_id=str(found["id"]),
                slug=found["slug"],
                pepper=manifest.fingerprint(pepper),
                tables=await _write_tables(connection, found["id"], partial, progress),
            )
        manifest.write(partial, written)
        partial.rename(target)
    except OSError as error:
        msg = f"Cannot write {error.filename or target} ({error.strerror}); make room, or name another folder."
        raise TransferError(msg) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return written


def _partial(target: Path) -> Path:
    """Where it is written; one that was interrupted is removed."""
    if target.exists():
        msg = f"{target} exists already; name a new folder."
        raise TransferError(msg)
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    return partial


async def migration_of(connection: "Connection") -> str:
    """The number of the newest migration of this database."""
    try:
        return str(await connection.fetchval("SELECT version_num FROM alembic_version"))
    except asyncpg.UndefinedTableError:
        msg = (
            "This database has no schema of Headwater; start Headwater on it, or migrate it first."
        )
        raise TransferError(msg) from None


async def _tenant(connection: "Connection", named: str) -> asyncpg.Record:
    rows = await connection.fetch("SELECT id, slug FROM gateway.tenant ORDER BY slug")
    for row in rows:
        if named in (row["slug"], str(row["id"])):
            return row
    msg = (
        f"there is no tenant {named}; there are {', '.join(row['slug'] for row in rows) or 'none'}"
    )
    raise TransferError(msg)


async def _write_tables(
    connection: "Connection", tenant_id: UUID, folder: Path, progress: Progress
) -> list[TableFile]:
    carried = tables.carried()
    written = []
    for number, table in enumerate(carried, 1):
        written.append(await _write_table(connection, table, tenant_id, folder))
        progress(number, len(carried))
    return written


async def _write_table(
    connection: "Connection", table: Table, tenant_id: UUID, folder: Path
) -> TableFile:
    file = manifest.file_of(folder, table.fullname)
    status = await connection.copy_from_query(tables.selection(table), tenant_id, output=file)
    first = last = None
    if table.fullname in _HISTORIES:
        span = f"SELECT min(created), max(created) FROM {table.fullname} WHERE tenant_id = $1"
        first, last = await connection.fetchrow(span, tenant_id) or (None, None)
    return TableFile(
        name=table.fullname,
        columns=tables.columns_of(table),
        rows=int(status.split()[-1]),
        digest=digest_of(file),
        first=first and first.isoformat(),
        last=last and last.isoformat(),
    )
