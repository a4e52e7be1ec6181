"""A Prefect Server of every release moves in with its history; `headwater import`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import orjson
import pytest
from typer.testing import CliRunner

from deploy.migrate import with_database
from deploy.moving_in import moving
from deploy.moving_in.checking import check
from deploy.moving_in.cli import app
from deploy.moving_in.peer import open_peer
from deploy.moving_in.revisions import FINAL, RELEASES, UnknownPeerError
from deploy.moving_in.target import MovingError, Target
from deploy.moving_in.verifying import verify
from tests.support import old_server
from tests.support.engines import Database, TestPostgres, database_on
from tests.support.old_server import LIVE, NEW_KEY, NO_STATE, OLD_KEY, PLANNED, RUN, TENANT


@asynccontextmanager
async def server(postgres: TestPostgres, revision: str) -> AsyncIterator[tuple[str, Database]]:
    """A Server's database beside a new Headwater's."""
    name = f"old_server_{revision}"
    admin = await asyncpg.connect(postgres.owner_url)
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        url = with_database(postgres.owner_url, name)
        connection = await asyncpg.connect(url)
        await old_server.make(connection, revision)
        await connection.close()
        async with database_on(postgres) as headwater:
            yield url, headwater
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


async def different(url: str, headwater: Database) -> list[Any]:
    return [each for each in await verify(url, headwater.owner_url) if not each.equal]


@pytest.mark.parametrize("revision", RELEASES)
async def test_a_server_of_each_release_moves_in_and_is_equal(
    postgres: TestPostgres, revision: str
) -> None:
    async with server(postgres, revision) as (url, headwater):
        done = await moving.copy(url, headwater.owner_url, batch=1)
        assert done.runs == 3
        assert await different(url, headwater) == []
        await moving.follow(url, headwater.owner_url)
        finished = await moving.finish(url, headwater.owner_url)
        assert await different(url, headwater) == []
        assert finished.left_out["flow_run: planned; Headwater plans this instant itself"] == 1
        with pytest.raises(MovingError, match="was finished"):
            await moving.copy(url, headwater.owner_url)


async def test_what_is_odd_becomes_what_headwater_demands(postgres: TestPostgres) -> None:
    async with server(postgres, FINAL) as (url, headwater):
        await moving.copy(url, headwater.owner_url)
        pool = headwater.admin_pool
        assert await pool.fetchval("SELECT count(*) FROM runs.flow_run WHERE id = $1", LIVE) == 0
        assert not await pool.fetchval("SELECT bool_or(is_schedule_active) FROM registry.flow")
        await moving.finish(url, headwater.owner_url)
        rows = await pool.fetch(
            "SELECT id, state, idempotency_key, name, tenant_id FROM runs.flow_run"
        )
        runs = {row["id"]: row for row in rows}
        assert {row["tenant_id"] for row in rows} == {TENANT}
        assert runs[NO_STATE]["state"] == "Cancelled"
        assert runs[LIVE]["state"] == "Running"
        assert PLANNED not in runs
        assert (runs[OLD_KEY]["idempotency_key"], runs[NEW_KEY]["idempotency_key"]) == (None, "key")
        assert runs[RUN]["name"] == str(RUN)[:8]
        flows = await pool.fetch(
            "SELECT flow_group_id, version, is_schedule_active FROM registry.flow ORDER BY id"
        )
        assert len({row["flow_group_id"] for row in flows}) == 1
        assert sorted(row["version"] for row in flows) == [1, 2, 3]
        assert [row["is_schedule_active"] for row in flows] == [True, True, False]
        history = await pool.fetch(
            "SELECT tableoid::regclass::text AS part, version FROM runs.flow_run_state WHERE flow_run_id = $1",
            RUN,
        )
        assert {row["part"] for row in history} == {"runs.flow_run_state_imported"}
        assert sorted(row["version"] for row in history) == [2, 2, 3]
        assert await pool.fetchval("SELECT max(retries) FROM runs.task_run") == 1
        assert await pool.fetchval("SELECT count(*) FROM runs.agent") == 1
        assert await pool.fetchval("SELECT count(*) FROM runs.log") == 4


async def test_the_report_counts_what_is_odd(postgres: TestPostgres) -> None:
    async with server(postgres, FINAL) as (url, _):
        report = await check(url)
    assert report.release == "Server 2021.09.02 to 2022.09.23"
    assert {row["table"]: row["rows"] for row in report.tables}["flow_run"] == 6
    assert report.quirks["flow groups of one tenant and name"] == 1
    assert report.quirks["flow runs without a state"] == 1
    assert report.quirks["runs whose idempotency key a newer one has"] == 1
    assert {row["state"]: row["runs"] for row in report.live} == {
        "none": 1,
        "Running": 1,
        "Scheduled": 1,
    }
    assert [row["name"] for row in report.schedules] == ["f"]


async def test_follow_brings_what_the_peer_wrote_changed_and_deleted(
    postgres: TestPostgres,
) -> None:
    async with server(postgres, FINAL) as (url, headwater):
        await moving.copy(url, headwater.owner_url)
        peer = await asyncpg.connect(url)
        await peer.execute(
            "UPDATE flow_run SET state = 'Success', updated = now() WHERE id = $1", LIVE
        )
        await peer.execute(
            "UPDATE flow_run SET name = 'renamed', updated = now() WHERE id = $1", RUN
        )
        await peer.execute("DELETE FROM flow_run WHERE id = $1", OLD_KEY)
        done = await moving.follow(url, headwater.owner_url)
        assert done.deleted == 1
        assert await different(url, headwater) == []
        await peer.execute("UPDATE log SET message = 'not followed' WHERE message = 'line 1'")
        assert [each.table for each in await different(url, headwater)] == ["log"]
        await peer.close()


async def test_a_copy_that_is_killed_between_batches_goes_on_and_ends_equal(
    postgres: TestPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Target.put_runs

    async def put_and_die(self: Target, *args: Any) -> None:
        await put(self, *args)
        raise ConnectionError

    async with server(postgres, FINAL) as (url, headwater):
        with monkeypatch.context() as dying:
            dying.setattr(Target, "put_runs", put_and_die)
            for _ in range(3):  # after each of the batches
                with pytest.raises(ConnectionError):
                    await moving.copy(url, headwater.owner_url, batch=1)
        await moving.copy(url, headwater.owner_url, batch=1)
        assert await different(url, headwater) == []


async def test_nothing_can_be_written_to_the_peer(postgres: TestPostgres) -> None:
    async with server(postgres, FINAL) as (url, _), open_peer(url) as peer:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await peer.connection.execute("DELETE FROM log")


async def test_another_database_is_refused_with_its_revision(postgres: TestPostgres) -> None:
    async with server(postgres, FINAL) as (url, headwater):
        connection = await asyncpg.connect(url)
        await connection.execute("UPDATE alembic_version SET version_num = 'abc'")
        await connection.close()
        with pytest.raises(UnknownPeerError, match="abc, which is no released schema"):
            await moving.copy(url, headwater.owner_url)


async def test_the_commands_answer_scripts_and_say_by_their_exit_code_whether_both_sides_are_equal(
    postgres: TestPostgres,
) -> None:
    async with server(postgres, FINAL) as (url, headwater):

        async def run(*words: str) -> tuple[int, str]:
            found = await asyncio.to_thread(CliRunner().invoke, app, words)
            return found.exit_code, found.stdout

        into = ("--into", headwater.owner_url)
        code, said = await run("check", url, "--json")
        assert (code, orjson.loads(said)["release"]) == (0, RELEASES[FINAL])
        code, said = await run("copy", url, *into, "--json")
        assert (code, orjson.loads(said)["runs"]) == (0, 3)
        assert (await run("verify", url, *into))[0] == 0
        await headwater.admin_pool.execute("UPDATE runs.log SET message = 'other'")
        code, said = await run("verify", url, *into)
        assert code == 1
        assert "DIFFERENT" in said
        assert (await run("finish", url, *into, "--yes"))[0] == 0
        assert (await run("follow", url, *into))[0] == 1
