"""Questions about leases go to PostgreSQL together, and each gets its own answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest

from services.gateway.lease_checks import LeaseChecks, LeaseClaim


def held(number: int) -> LeaseClaim:
    """The odd ones hold."""
    return LeaseClaim(UUID(int=1), UUID(int=number), UUID(int=number))


class Database:
    """Answers when it is let; remembers what was asked together."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.answers = asyncio.Event()
        self.is_asked = asyncio.Event()
        self.is_gone = False

    async def ask(self, asked: Sequence[LeaseClaim]) -> set[LeaseClaim]:
        self.asked.append(len(asked))
        self.is_asked.set()
        await self.answers.wait()
        if self.is_gone:
            raise ConnectionError
        return {each for each in asked if each.flow_run_id.int % 2}


@pytest.fixture
async def database() -> Database:
    return Database()


@pytest.fixture
async def leases(database: Database) -> AsyncIterator[LeaseChecks]:
    leases = LeaseChecks(database.ask)
    yield leases
    await leases.stop()


async def test_what_is_asked_while_a_statement_is_under_way_goes_with_the_next(
    database: Database, leases: LeaseChecks
) -> None:
    first = asyncio.create_task(leases.holds(held(1)))
    await database.is_asked.wait()
    others = [asyncio.create_task(leases.holds(held(n))) for n in range(2, 12)]
    await asyncio.sleep(0)
    database.answers.set()

    assert await first
    assert await asyncio.gather(*others) == [n % 2 == 1 for n in range(2, 12)]
    assert database.asked == [1, 10]
    assert await leases.holds(held(3)), "and later ones are asked anew"


async def test_an_outage_is_told_to_everybody_who_asked_and_to_nobody_later(
    database: Database, leases: LeaseChecks
) -> None:
    database.answers.set()
    database.is_gone = True

    failed = await asyncio.gather(
        *(leases.holds(held(n)) for n in range(3)), return_exceptions=True
    )
    database.is_gone = False

    assert [type(each) for each in failed] == [ConnectionError] * 3
    assert await leases.holds(held(1))


async def test_a_postgresql_that_hangs_is_waited_for_once_however_many_ask(
    database: Database, leases: LeaseChecks
) -> None:
    database.is_gone = True
    asking = [asyncio.create_task(leases.holds(held(n))) for n in range(1200)]
    await database.is_asked.wait()
    database.answers.set()

    failed = await asyncio.gather(*asking, return_exceptions=True)

    assert [type(each) for each in failed] == [ConnectionError] * 1200
    assert len(database.asked) == 1


async def test_a_caller_who_went_away_takes_nobody_along(
    database: Database, leases: LeaseChecks
) -> None:
    gone, stays = (asyncio.create_task(leases.holds(held(1))) for _ in range(2))
    await asyncio.sleep(0)

    gone.cancel()
    database.answers.set()

    assert await stays
    with pytest.raises(asyncio.CancelledError):
        await gone
