"""A PostgreSQL that hangs, as a service's question whether it is there meets it."""

import asyncio
import gc
from typing import Any

import pytest

from libs.runtime import database
from libs.runtime.database import Database


class HangingPool:
    """A pool whose answers come when the test says so, and then are failures."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def fetchval(self, _sql: str, *, timeout: float) -> Any:  # noqa: ASYNC109 - asyncpg's own
        await self.over.wait()
        raise ConnectionResetError(timeout)


async def test_a_question_that_was_left_behind_fails_without_a_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # What other tests left behind speaks now, and not below.
    gc.collect()
    caplog.clear()
    monkeypatch.setattr(database, "_PROBE_LIMIT", 0.01)
    asked = Database("postgresql://nobody@localhost/none", pool_size=1, name="test")
    pool: Any = HangingPool()
    asked._pool = pool
    with pytest.raises(TimeoutError):
        await asked.ping()
    left_behind = asked._probe
    assert left_behind is not None

    pool.over.set()
    await asyncio.wait({left_behind})
    asked._probe = left_behind = None
    gc.collect()

    assert not caplog.records


async def test_a_pool_that_does_not_close_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_FAREWELL", 0.02)
    broken_off = asyncio.Event()

    class Pool:
        async def close(self) -> None:
            try:
                await asyncio.Future()
            finally:
                broken_off.set()

    hanging = Database("postgresql://nobody@localhost/none", pool_size=1, name="test")
    pool: Any = Pool()
    hanging._pool = pool
    async with asyncio.timeout(5):
        await hanging.close()

    assert broken_off.is_set()


async def test_a_pool_is_closed_though_a_question_hangs() -> None:
    asked, over = asyncio.Event(), asyncio.Event()

    class Pool:
        async def fetchval(self, _sql: str, *, timeout: float) -> Any:  # noqa: ASYNC109 - asyncpg's own
            asked.set()
            try:
                await asyncio.sleep(timeout + 60)
            finally:
                await over.wait()  # asyncpg waits for the answer to its cancellation

        async def close(self) -> None:
            over.set()

    hanging = Database("postgresql://nobody@localhost/none", pool_size=1, name="test")
    pool: Any = Pool()
    hanging._pool = pool
    asking = asyncio.create_task(hanging.ping())
    await asked.wait()
    asking.cancel()

    async with asyncio.timeout(5):
        await hanging.close()

    assert over.is_set()


async def test_a_full_disk_that_a_second_pool_meets_is_known_to_the_first() -> None:
    first = Database("postgresql://nobody@localhost/none", pool_size=1, name="test")
    second = first.another("test-queue", pool_size=1, session={})
    before = first.disk_was_full()

    second._full()

    assert (before, first.disk_was_full()) == (False, True)
