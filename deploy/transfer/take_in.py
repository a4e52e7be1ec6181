"""Take an exported tenant into this Headwater's database: all of it or nothing."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg

from deploy.transfer import manifest, tables
from deploy.transfer.export import Connection, Progress, migration_of
from deploy.transfer.manifest import Manifest, TableFile, TransferError
from libs.schema import metadata
from services.gateway.action_secrets import sealed_name
from services.gateway.vault import CannotOpenError, Vault

_WEEK = timedelta(weeks=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """What was written, and what was left out: `keys` that only the former pepper knows."""

    manifest: Manifest
    rows: int
    resealed: int
    keys_left_out: int


async def take_in(
    connection: "Connection",
    folder: Path,
    *,
    pepper: bytes,
    former_pepper: bytes | None,
    progress: Progress = lambda _done, _all: None,
) -> TakenIn:
    """Import the folder. TransferError says why not; nothing was written then."""
    found = manifest.read(folder)
    await _check(connection, found)
    same_pepper = found.pepper == manifest.fingerprint(pepper)
    if not same_pepper:
        _check_former(found, former_pepper)
    await asyncio.to_thread(manifest.check_files, folder, found)
    await _make_partitions(connection, found)
    keys_left_out = rows = resealed = 0
    try:
        async with connection.transaction():
            for number, table in enumerate(found.tables, 1):
                if table.name == tables.KEYS and not same_pepper:
                    keys_left_out = table.rows
                else:
                    rows += await _copy(connection, folder, found, table)
                progress(number, len(found.tables))
            if not same_pepper and former_pepper is not None:
                vaults = Vault(former_pepper), Vault(pepper)
                resealed = await _reseal(connection, UUID(found.tenant_id), *vaults)
    except asyncpg.UniqueViolationError as error:
        msg = f"An id of the export is in {error.schema_name}.{error.table_name} already; nothing was imported."
        raise TransferError(msg) from None
    except asyncpg.IntegrityConstraintViolationError as error:
        msg = f"The export does not fit together ({error}); nothing was imported. Export again."
        raise TransferError(msg) from None
    return TakenIn(manifest=found, rows=rows, resealed=resealed, keys_left_out=keys_left_out)


async def _check(connection: "Connection", found: Manifest) -> None:
    here = await migration_of(connection)
    if found.migration != here:
        msg = (
            f"The export has the schema of migration {found.migration} and this database that of {here}; "
            "bring both Headwaters to one version, then export again."
        )
        raise TransferError(msg)
    expected = [(table.fullname, tables.columns_of(table)) for table in tables.carried()]
    if [(table.name, table.columns) for table in found.tables] != expected:
        msg = "The export has other tables or columns than this Headwater; export again with this version."
        raise TransferError(msg)
    in_use = await connection.fetchval(
        "SELECT slug FROM gateway.tenant WHERE id = $1 OR slug = $2",
        UUID(found.tenant_id),
        found.slug,
    )
    if in_use is not None:
        msg = f"There is a tenant {in_use} with this id or slug already; nothing was imported."
        raise TransferError(msg)
    # Every service deletes the rows of a deleted tenant, for a month.
    if await connection.fetchval(
        "SELECT true FROM gateway.deleted_tenant WHERE id = $1", UUID(found.tenant_id)
    ):
        msg = f"The tenant {found.slug} was deleted here; import it into another Headwater."
        raise TransferError(msg)


def _check_former(found: Manifest, former_pepper: bytes | None) -> None:
    if former_pepper is None:
        msg = (
            "The export is of a Headwater with another pepper; give the file of its secrets with --secrets, "
            "so that the tenant's secrets can be sealed anew."
        )
        raise TransferError(msg)
    if manifest.fingerprint(former_pepper) != found.pepper:
        msg = "The file of --secrets is not of the Headwater that was exported; give the right one."
        raise TransferError(msg)


async def _make_partitions(connection: "Connection", found: Manifest) -> None:
    """Partitions for old histories, before the import, whose locks would keep others waiting.

    Where rows are in the default partition already, the imported ones join them there.
    """
    spans = [(t.first, t.last) for t in found.tables if t.first is not None and t.last is not None]
    if not spans:
        return
    first = min(datetime.fromisoformat(first) for first, _ in spans)
    last = max(datetime.fromisoformat(last) for _, last in spans)
    while first - _WEEK < last:
        with suppress(asyncpg.CheckViolationError):
            await connection.execute("SELECT runs.ensure_partitions($1, 0)", first)
        first += _WEEK


async def _copy(connection: "Connection", folder: Path, found: Manifest, table: TableFile) -> int:
    """Copy the rows of one table; a row of another tenant is not taken, and then nothing is."""
    declared = metadata.tables[table.name]
    status = await connection.copy_to_table(
        declared.name,
        schema_name=declared.schema,
        source=manifest.file_of(folder, table.name),
        columns=table.columns,
        where=f"{tables.tenant_column(declared)} = '{UUID(found.tenant_id)}'",
    )
    rows = int(status.split()[-1])
    if rows != table.rows:
        msg = f"{table.name} of the export has rows of another tenant; nothing was imported."
        raise TransferError(msg)
    return rows


async def _reseal(connection: "Connection", tenant_id: UUID, former: Vault, here: Vault) -> int:
    """Open what was sealed with the former pepper, and seal it with this one's."""
    secrets = await connection.fetch(
        "SELECT id, name, value AS sealed FROM gateway.secret WHERE tenant_id = $1", tenant_id
    )
    actions = await connection.fetch(
        "SELECT id, sealed FROM automations.action WHERE tenant_id = $1 AND sealed IS NOT NULL",
        tenant_id,
    )
    named = [(_OF_SECRET, row["id"], row["name"], row["sealed"]) for row in secrets]
    named += [(_OF_ACTION, row["id"], sealed_name(row["id"]), row["sealed"]) for row in actions]
    for statement, id_, name, sealed in named:
        try:
            value = former.open(sealed, tenant_id, name)
        except CannotOpenError:
            msg = (
                f"The secret {name} cannot be opened with the former pepper; nothing was imported."
            )
            raise TransferError(msg) from None
        await connection.execute(statement, id_, here.seal(value, tenant_id, name))
    return len(named)


_OF_SECRET = "UPDATE gateway.secret SET value = $2 WHERE id = $1"  # noqa: S105 - a statement
_OF_ACTION = "UPDATE automations.action SET sealed = $2 WHERE id = $1"
