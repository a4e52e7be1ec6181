"""Migration 0015 on rows from before it, and the statements of the release before on the schema after it."""

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from deploy.migrate import MIGRATIONS, migrate, with_database
from libs.runtime.ids import new_id
from tests.support.engines import PASSWORDS, TestPostgres

BEFORE, AFTER = "0014", "0015"
NINE = datetime(2040, 1, 1, 9, tzinfo=UTC)
TENANT, GROUP = new_id(), new_id()

INSERT_OF_BEFORE = """
INSERT INTO runs.flow_run
    (id, tenant_id, flow_id, flow_group_id, name, version, scheduled_start_time, auto_scheduled, schedule_hash, state,
     state_timestamp, state_start_time, serialized_state)
VALUES ($1, $2, $3, $4, 'a run', 1, $5, true, 'h', 'Scheduled', now(), $5, '{}')
ON CONFLICT DO NOTHING
RETURNING id
"""
SETTLE_OF_BEFORE = """
UPDATE scheduler.schedule s
SET clocks = d.clocks, active = true, fingerprint = d.fingerprint, next_due = d.next_due,
    horizon = d.horizon, updated = $6
FROM unnest($1::uuid[], $2::jsonb[], $3::text[], $4::timestamptz[], $5::timestamptz[])
    AS d (flow_id, clocks, fingerprint, next_due, horizon)
WHERE s.flow_id = d.flow_id
"""


@pytest.fixture
async def url(postgres: TestPostgres) -> AsyncIterator[str]:
    """A database of the release before."""
    name = f"headwater_instants_{secrets.token_hex(4)}"
    url = with_database(postgres.owner_url, name)
    await migrate(url, PASSWORDS)
    await go_to(url, BEFORE)
    yield url
    owner = await asyncpg.connect(postgres.owner_url)
    await owner.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await owner.close()


async def go_to(url: str, revision: str) -> None:
    """Migrate, up or down."""

    def run(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        go = command.downgrade if revision == BEFORE else command.upgrade
        go(config, revision)

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url), poolclass=NullPool
    )
    async with engine.begin() as connection:
        await connection.run_sync(run)
    await engine.dispose()


async def plan(connection: Any, flow: UUID, at: datetime) -> bool:
    """Make a planned run as the release before does; whether there was none."""
    made = await connection.fetchval(INSERT_OF_BEFORE, new_id(), TENANT, flow, GROUP, at)
    return made is not None


async def test_pending_runs_from_before_neither_vanish_nor_double(url: str) -> None:
    one, other = new_id(), new_id()
    hours = [NINE + timedelta(hours=n) for n in range(10)]
    connection = await asyncpg.connect(url)
    made = [await plan(connection, one, at) for at in hours]
    shared = await plan(connection, other, NINE)
    rows = await connection.fetch("SELECT * FROM runs.flow_run ORDER BY id")

    await go_to(url, AFTER)

    assert (made, shared) == ([True] * 10, False)
    assert await connection.fetch("SELECT * FROM runs.flow_run ORDER BY id") == rows
    assert [await plan(connection, one, at) for at in hours] == [False] * 10
    assert await plan(connection, other, NINE)
    assert not await plan(connection, other, NINE)
    await connection.close()


async def test_a_scheduler_of_the_release_before_writes_its_rows_on_the_new_schema(
    url: str,
) -> None:
    flow = new_id()
    connection = await asyncpg.connect(url)
    await connection.set_type_codec(
        "jsonb", encoder=str, decoder=str, schema="pg_catalog", format="text"
    )
    await go_to(url, AFTER)
    await connection.execute(
        "INSERT INTO scheduler.schedule (flow_id, tenant_id, flow_group_id, clocks, active, fingerprint)"
        " VALUES ($1, $2, $3, '{}'::jsonb, false, '')",
        flow,
        TENANT,
        GROUP,
    )

    await connection.execute(SETTLE_OF_BEFORE, [flow], ["{}"], ["f"], [NINE], [NINE], NINE)

    rows = await connection.fetch("SELECT active, fingerprint, inputs FROM scheduler.schedule")
    await connection.close()
    # Without inputs the row is stale to this release, which then says all that is ahead once more.
    assert [tuple(row) for row in rows] == [(True, "f", "")]


async def test_going_back_keeps_the_runs_of_both_versions(url: str) -> None:
    one, other = new_id(), new_id()
    connection = await asyncpg.connect(url)
    await go_to(url, AFTER)
    assert await plan(connection, one, NINE)
    assert await plan(connection, other, NINE)

    await go_to(url, BEFORE)

    assert await connection.fetchval("SELECT count(*) FROM runs.flow_run") == 2
    assert not await plan(connection, other, NINE)
    await connection.close()
