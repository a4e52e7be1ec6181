"""A tenant leaves one database and arrives in another: equal, alone, and all of it or nothing."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from deploy.digest import digest_of
from deploy.transfer import manifest, tables
from deploy.transfer.export import export
from deploy.transfer.manifest import Manifest, TransferError
from deploy.transfer.take_in import TakenIn, take_in
from libs.runtime.ids import new_id
from services.gateway.action_secrets import sealed_name
from services.gateway.vault import Vault
from tests.support.engines import Database, Stack, json_as_values
from tests.support.rows_of_tenants import a_value

NOW = datetime(2026, 12, 1, tzinfo=UTC)
PEPPER, OTHER_PEPPER = b"one pepper of many bytes", b"another pepper of many bytes"
OLD = NOW - timedelta(weeks=60)

Connection = Any


@asynccontextmanager
async def connected(database: Database | Stack) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database.owner_url, timeout=30)
    await json_as_values(connection)
    try:
        yield connection
    finally:
        await connection.close()


async def a_tenant(connection: Connection, slug: str) -> UUID:
    """A tenant with a row in each table that is exported, each referring to the others as it must."""
    tenant_id = new_id()
    made: dict[str, dict[str, Any]] = {}
    vault = Vault(PEPPER)
    for table in tables.carried():
        row: dict[str, Any] = {}
        for column in table.columns:
            referred = next(iter(column.foreign_keys), None)
            if referred is not None and column.name != "tenant_id":
                row[column.name] = made[referred.column.table.fullname][referred.column.name]
            elif column.name == "tenant_id" or not (column.nullable or column.server_default):
                row[column.name] = a_value(table, column.name, tenant_id)
        match table.fullname:
            case tables.TENANT:
                row |= {"id": tenant_id, "slug": slug}
            case "gateway.secret":
                row["value"] = vault.seal("hidden", tenant_id, row["name"])
            case "automations.action":
                row["sealed"] = vault.seal("address", tenant_id, sealed_name(row["id"]))
            case "runs.flow_run_state" | "runs.log":
                row["created"] = OLD
            case "runs.flow_run":
                row |= {"lease_token": new_id(), "lease_expires": NOW}
        made[table.fullname] = row
        names = ", ".join(f'"{name}"' for name in row)
        places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
        insert = f"INSERT INTO {table.fullname} ({names}) VALUES ({places}) ON CONFLICT DO NOTHING"
        await connection.execute(insert, *row.values())
    return tenant_id


async def taken_in(database: Database | Stack, folder: Path, **given: Any) -> TakenIn:
    async with connected(database) as there:
        peppers: dict[str, Any] = {"pepper": PEPPER, "former_pepper": None}
        return await take_in(there, folder, **peppers | given)


async def exported(database: Database | Stack, slug: str, folder: Path) -> Manifest:
    async with connected(database) as here:
        return await export(here, slug, folder, pepper=PEPPER, now=NOW)


def rewritten(folder: Path, **changes: Any) -> None:
    file = folder / manifest.NAME
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


async def rows_there(database: Database) -> int:
    async with connected(database) as there:
        counts = [
            await there.fetchval(f"SELECT count(*) FROM {table.fullname}")
            for table in tables.carried()
        ]
    return sum(counts)


async def test_a_tenant_goes_to_another_headwater_and_is_equal_there(
    stack: Stack, database: Database, tmp_path: Path
) -> None:
    async with connected(stack) as here:
        tenant_id = await a_tenant(here, "moves")
        other_id = await a_tenant(here, "stays")

    written = await exported(stack, "moves", tmp_path / "out")
    done = await taken_in(database, tmp_path / "out")
    again = await exported(database, str(tenant_id), tmp_path / "back")

    assert all(table.rows >= 1 for table in written.tables), [
        table.name for table in written.tables if not table.rows
    ]
    assert (done.rows, done.resealed, done.keys_left_out) == (written.rows, 0, 0)
    assert again.tables == written.tables  # counts and digests of every table
    files = [path.read_text() for path in (tmp_path / "out").glob("*.copy")]
    assert not any(str(other_id) in text for text in files)
    async with connected(database) as there:
        assert await there.fetchval("SELECT lease_token FROM runs.flow_run") is None
        stuck = "SELECT (SELECT count(*) FROM runs.flow_run_state_default) + (SELECT count(*) FROM runs.log_default)"
        assert await there.fetchval(stuck) == 0  # old rows have partitions of their own


async def test_secrets_are_sealed_anew_for_another_pepper_and_keys_are_left_out(
    stack: Stack, database: Database, tmp_path: Path
) -> None:
    async with connected(stack) as here:
        tenant_id = await a_tenant(here, "sealed")
    written = await exported(stack, "sealed", tmp_path / "out")
    folder = tmp_path / "out"
    before = await rows_there(database)

    with pytest.raises(TransferError, match="another pepper; give the file of its secrets"):
        await taken_in(database, folder, pepper=OTHER_PEPPER)
    with pytest.raises(TransferError, match="is not of the Headwater that was exported"):
        await taken_in(database, folder, pepper=OTHER_PEPPER, former_pepper=b"wrong")
    unchanged = await rows_there(database)
    done = await taken_in(database, folder, pepper=OTHER_PEPPER, former_pepper=PEPPER)

    assert unchanged == before
    assert (done.resealed, done.keys_left_out) == (2, 1)
    assert done.rows == written.rows - 1
    vault = Vault(OTHER_PEPPER)
    async with connected(database) as there:
        secret = await there.fetchrow(
            "SELECT name, value FROM gateway.secret WHERE tenant_id = $1", tenant_id
        )
        action = await there.fetchrow(
            "SELECT id, sealed FROM automations.action WHERE tenant_id = $1", tenant_id
        )
    assert secret is not None
    assert action is not None
    assert vault.open(secret["value"], tenant_id, secret["name"]) == "hidden"
    assert vault.open(action["sealed"], tenant_id, sealed_name(action["id"])) == "address"


async def test_what_cannot_be_taken_in_changes_nothing(
    stack: Stack, database: Database, tmp_path: Path
) -> None:
    async with connected(stack) as here:
        tenant_id = await a_tenant(here, "refused")
        stranger = await a_tenant(here, "stranger")
    out = tmp_path / "out"
    await exported(stack, "refused", out)
    await exported(stack, "stranger", tmp_path / "stranger")
    before = await rows_there(database)

    def copy(name: str) -> Path:
        return Path(shutil.copytree(out, tmp_path / name))

    other_schema = copy("schema")
    rewritten(other_schema, migration="9999")
    other_format = copy("format")
    rewritten(other_format, format=2)
    damaged = copy("damaged")
    with (damaged / "runs.flow_run.copy").open("a") as file:
        file.write("\n")
    lacking = copy("lacking")
    (lacking / "runs.log.copy").unlink()
    mixed = copy("mixed")
    shutil.copy(tmp_path / "stranger" / "gateway.key_value.copy", mixed)
    declared = json.loads((out / manifest.NAME).read_text())["tables"]
    digest = digest_of(mixed / "gateway.key_value.copy")
    swapped = [
        t | ({"digest": digest} if t["name"] == "gateway.key_value" else {}) for t in declared
    ]
    rewritten(mixed, tables=swapped)
    for folder, says in (
        (other_schema, "schema of migration 9999 and this database that of"),
        (other_format, "has format 2 and this Headwater reads 1"),
        (damaged, "rows of runs.flow_run in the export were changed or damaged"),
        (lacking, "lacks the rows of runs.log"),
        (mixed, "gateway.key_value of the export has rows of another tenant"),
        (tmp_path / "nowhere", "is no export"),
    ):
        with pytest.raises(TransferError, match=says):
            await taken_in(database, folder)
    assert await rows_there(database) == before

    with pytest.raises(TransferError, match="There is a tenant refused with this id or slug"):
        await taken_in(stack, out)
    async with connected(database) as there:
        await there.execute(
            "INSERT INTO gateway.tenant (id, name, slug) SELECT $1, 'a', 'refused'", stranger
        )
    with pytest.raises(TransferError, match="There is a tenant refused with this id or slug"):
        await taken_in(database, out)
    async with connected(database) as there:
        await there.execute("DELETE FROM gateway.tenant WHERE id = $1", stranger)
        [project] = (out / "registry.project.copy").read_text().splitlines()
        await there.execute(
            "INSERT INTO registry.project (id, tenant_id, name) VALUES ($1, $2, 'a')",
            UUID(project.split("\t")[tables.columns_of(_table("registry.project")).index("id")]),
            stranger,
        )
    with pytest.raises(TransferError, match=r"id of the export is in registry.project already"):
        await taken_in(database, out)
    async with connected(database) as there:
        assert not await there.fetchval(
            "SELECT count(*) FROM gateway.tenant WHERE id = $1", tenant_id
        )


async def test_an_export_that_cannot_be_made_leaves_nothing(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()

    with pytest.raises(TransferError, match="there is no tenant nobody; there are"):
        await exported(stack, "nobody", tmp_path / "out")
    with pytest.raises(TransferError, match="exists already; name a new folder"):
        await exported(stack, "nobody", tmp_path / "there")

    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def _table(name: str) -> Any:
    return next(table for table in tables.carried() if table.fullname == name)
