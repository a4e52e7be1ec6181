"""A PostgreSQL of several hosts: a primary, a standby that streams from it, and one that hangs."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from deploy.engines import EngineError
from deploy.migrate import migrate, role_url, with_database
from libs.runtime.database import Database, open_pool
from libs.runtime.failures import is_outage
from libs.runtime.postgres_hosts import CONNECT_WITHIN, connect
from tests.support.engines import PASSWORDS
from tests.support.eventually import eventually
from tests.support.pauses import paused
from tests.support.postgres_hosts import Host, at, primary, silent_host, standby_of

ROOT = Path(__file__).parents[3]
SOON = CONNECT_WITHIN - 1.0
"""Seconds: less than a host that hangs would take of it."""


@dataclass(frozen=True)
class Pair:
    """A primary and its standby; `url` names the standby first."""

    leader: Host
    follower: Host

    @property
    def url(self) -> str:
        return at(self.leader.owner_url, self.follower.place, self.leader.place)


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Pair]:
    async with primary() as leader:
        await migrate(with_database(leader.owner_url, "headwater"), PASSWORDS)
        async with standby_of(leader) as follower:
            yield Pair(leader, follower)


async def in_recovery(url: str) -> bool:
    connection = await connect(url)
    try:
        return bool(await connection.fetchval("SELECT pg_is_in_recovery()"))
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "wish", ["", "?target_session_attrs=primary", "?target_session_attrs=read-write"]
)
async def test_the_primary_is_found_behind_a_standby_also_for_a_role_that_only_reads(
    pair: Pair, wish: str
) -> None:
    reader = role_url(
        with_database(pair.url, "headwater"), role="reader", password=PASSWORDS["reader"]
    )

    async with asyncio.timeout(SOON):
        found = [await in_recovery(pair.url + wish), await in_recovery(reader + wish)]

    assert found == [False, False]


async def test_a_standby_is_used_where_one_is_asked_for(pair: Pair) -> None:
    assert await in_recovery(pair.url + "?target_session_attrs=standby")


async def test_a_first_host_that_never_answers_holds_up_neither_services_nor_the_migrator(
    pair: Pair,
) -> None:
    async with silent_host() as silent:
        url = with_database(at(pair.leader.owner_url, silent, pair.leader.place), "headwater")
        database = Database(url, pool_size=2, name="test")

        async with asyncio.timeout(SOON):
            await database.connect()
            await database.ping()
            changed = await migrate(url, PASSWORDS)

        await database.close()
        assert not changed


async def test_a_first_host_that_refuses_is_passed_at_once(pair: Pair) -> None:
    url = at(pair.leader.owner_url, "127.0.0.1:1", pair.leader.place)

    async with asyncio.timeout(SOON):
        assert not await in_recovery(url)


async def test_a_wrong_password_is_said_although_another_host_is_away(pair: Pair) -> None:
    url = role_url(
        at(pair.leader.owner_url, pair.leader.place, "127.0.0.1:1"), role="runs", password="wrong"
    )

    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(url)


async def test_hosts_of_which_none_is_the_primary_are_an_outage(pair: Pair) -> None:
    with pytest.raises(asyncpg.TargetServerAttributeNotMatched) as failed:
        await connect(at(pair.leader.owner_url, pair.follower.place, "127.0.0.1:1"))

    assert is_outage(failed.value)


async def test_a_migrator_that_finds_no_primary_says_so(pair: Pair) -> None:
    url = at(pair.leader.owner_url, pair.follower.place, "127.0.0.1:1")

    with pytest.raises(EngineError, match=r"No PostgreSQL at .* is the primary"):
        await migrate(url, PASSWORDS, wait=timedelta(0))


async def test_a_service_that_finds_no_primary_ends_with_a_sentence(pair: Pair) -> None:
    url = at(pair.leader.owner_url, pair.follower.place, "127.0.0.1:1")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.lazarus"),
        cwd=ROOT,
        env={"HEADWATER_POSTGRES_URL": url, "HEADWATER_NATS_URL": "nats://127.0.0.1:1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()

    assert process.returncode == 1
    assert "cannot start" in said
    assert "Traceback" not in said


async def test_a_pool_leaves_a_server_that_takes_no_more_writes(pair: Pair) -> None:
    database = Database(with_database(pair.leader.owner_url, "headwater"), pool_size=1, name="test")
    await database.connect()
    before = await database.pool.fetchval("SELECT pg_backend_pid()")

    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await database.pool.execute(
            "BEGIN; SET TRANSACTION READ ONLY; CREATE TABLE public.never (a int)"
        )

    after = await database.pool.fetchval("SELECT pg_backend_pid()")
    await database.close()
    assert after != before


async def test_a_pool_goes_to_the_new_primary_while_the_old_one_is_frozen() -> None:
    async with primary() as leader, standby_of(leader) as follower:
        pool = await open_pool(
            at(leader.owner_url, leader.place, follower.place),
            tracing=None,
            min_size=2,
            max_size=2,
            command_timeout=3,
        )
        assert not await pool.fetchval("SELECT pg_is_in_recovery()")
        assert leader.pid is not None
        with paused(leader.pid):
            await follower.execute("SELECT pg_promote()")
            with pytest.raises(TimeoutError):
                await pool.execute("CREATE TABLE public.proof AS SELECT 1 AS it")

            async def written() -> bool:
                await pool.execute("CREATE TABLE IF NOT EXISTS public.proof AS SELECT 1 AS it")
                return True

            assert await eventually(written, timeout=60)
            assert await follower.execute("SELECT it FROM public.proof") == 1
        pool.terminate()
