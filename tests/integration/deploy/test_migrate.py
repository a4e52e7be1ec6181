"""Migrating: once, twice, at the same time, interrupted; and who may write what afterwards."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from deploy.engines import EngineError
from deploy.migrate import migrate, role_url, with_database
from libs.schema import OWNERS, metadata
from libs.schema.roles import HIDDEN_FROM_READERS
from tests.support.engines import PASSWORDS, Stack, TestPostgres

ROLES = (*OWNERS, "reader")
TABLES = sorted(metadata.tables)


@pytest.fixture
async def url(postgres: TestPostgres) -> AsyncIterator[str]:
    """The URL of a database that does not exist yet."""
    name = f"headwater_migrate_{secrets.token_hex(4)}"
    yield with_database(postgres.owner_url, name)
    owner = await asyncpg.connect(postgres.owner_url)
    await owner.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await owner.close()


async def test_the_database_is_created_and_migrated_once(url: str) -> None:
    first = await migrate(url, PASSWORDS)
    second = await migrate(url, PASSWORDS)

    assert (first, second) == (True, False)


async def test_migrators_that_start_together_agree(url: str) -> None:
    await asyncio.gather(*(migrate(url, PASSWORDS) for _ in range(4)))

    connection = await asyncpg.connect(url)
    versions = await connection.fetch("SELECT version_num FROM public.alembic_version")
    await connection.close()
    assert len(versions) == 1


async def test_migrating_again_keeps_the_rows(url: str) -> None:
    await migrate(url, PASSWORDS)
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE public.kept AS SELECT 42 AS answer")
    await connection.execute("COMMENT ON DATABASE " + url.rpartition("/")[2] + " IS NULL")

    again = await migrate(url, PASSWORDS)

    answer = await connection.fetchval("SELECT answer FROM public.kept")
    await connection.close()
    assert again
    assert answer == 42


async def test_a_migration_that_fails_leaves_nothing_behind(url: str) -> None:
    name = url.rpartition("/")[2]
    owner = await asyncpg.connect(with_database(url, "postgres"))
    await owner.execute(f"CREATE DATABASE {name}")
    await owner.close()
    connection = await asyncpg.connect(url)
    # In the way of the first migration, half-way through it.
    await connection.execute("CREATE SCHEMA lazarus")

    with pytest.raises(Exception, match="lazarus"):
        await migrate(url, PASSWORDS)

    left = await connection.fetch(
        "SELECT nspname FROM pg_namespace WHERE nspname = ANY ($1)", list(OWNERS)
    )
    await connection.close()
    assert [row["nspname"] for row in left] == ["lazarus"]


async def test_new_passwords_are_applied(url: str) -> None:
    await migrate(url, PASSWORDS)
    try:
        changed = await migrate(url, PASSWORDS | {"lazarus": "another"})

        connection = await asyncpg.connect(role_url(url, role="lazarus", password="another"))
        await connection.close()
        assert changed
    finally:
        await migrate(url, PASSWORDS)


async def test_a_role_without_a_password_is_refused_by_name(url: str) -> None:
    without = {role: password for role, password in PASSWORDS.items() if role != "runs"}

    with pytest.raises(EngineError, match="no password for the role headwater_runs"):
        await migrate(url, without)


async def test_an_absent_postgres_is_said() -> None:
    with pytest.raises(EngineError, match=r"PostgreSQL at 127\.0\.0\.1:1 does not answer"):
        await migrate("postgresql://x:y@127.0.0.1:1/z", PASSWORDS, wait=timedelta(0))


async def test_a_wrong_password_is_said_without_showing_it(url: str) -> None:
    wrong = role_url(url, role="runs", password="not-this-one")

    with pytest.raises(EngineError, match="refuses the user or password") as refused:
        await migrate(wrong, PASSWORDS)

    assert "not-this-one" not in str(refused.value)


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_writes_its_own_tables_and_no_others(stack: Stack, role: str) -> None:
    connection = await asyncpg.connect(stack.postgres_url(role))

    allowed = {
        (table, verb)
        for table in TABLES
        for verb, statement in _writes(table).items()
        if not await _is_refused(connection, statement)
    }

    await connection.close()
    assert allowed == {
        (table, verb)
        for table in TABLES
        for verb in ("insert", "update", "delete")
        if table.startswith(f"{role}.")
    }


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_reads_every_table_but_the_secrets_of_others(stack: Stack, role: str) -> None:
    connection = await asyncpg.connect(stack.postgres_url(role))

    hidden = {
        table for table in TABLES if await _is_refused(connection, f"SELECT * FROM {table} LIMIT 0")
    }

    await connection.close()
    assert hidden == {
        table for table in HIDDEN_FROM_READERS & set(TABLES) if not table.startswith(f"{role}.")
    }


@pytest.mark.parametrize("role", ROLES)
async def test_no_role_changes_the_schema(stack: Stack, role: str) -> None:
    connection = await asyncpg.connect(stack.postgres_url(role))
    attempts = [
        "CREATE TABLE public.mine (id int)",
        "CREATE SCHEMA mine",
        "ALTER TABLE runs.flow_run ADD COLUMN mine int",
        "DROP TABLE heartbeat.last_seen",
        "TRUNCATE runs.flow_run CASCADE",
        "CREATE ROLE mine",
    ]

    refused = {attempt: await _is_refused(connection, attempt) for attempt in attempts}

    await connection.close()
    assert refused == dict.fromkeys(attempts, True)


async def test_the_reader_cannot_even_leave_its_read_only_mode_and_write(stack: Stack) -> None:
    connection = await asyncpg.connect(stack.postgres_url("reader"))
    await connection.execute("SET default_transaction_read_only = off")

    refused = await _is_refused(connection, "DELETE FROM runs.flow_run")

    await connection.close()
    assert refused


def _writes(table: str) -> dict[str, str]:
    """Writes that touch no row, so that only rights can refuse them."""
    column = next(column.name for column in metadata.tables[table].columns if column.name != "seq")
    return {
        "insert": f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM {table} WHERE false",
        "update": f"UPDATE {table} SET {column} = {column} WHERE false",
        "delete": f"DELETE FROM {table} WHERE false",
    }


async def _is_refused(connection: "asyncpg.Connection[asyncpg.Record]", statement: str) -> bool:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError):
        return True
    finally:
        await transaction.rollback()
    return False
