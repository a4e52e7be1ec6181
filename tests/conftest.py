"""Fixtures that start things. What they yield, and everything else that tests share, is in `tests/support`."""

from collections.abc import AsyncIterator

import pytest

from tests.support.engines import Stack, TestPostgres, postgres_for_tests, stack_on


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[TestPostgres]:
    """The session's PostgreSQL."""
    async with postgres_for_tests() as found:
        yield found


@pytest.fixture(scope="module")
async def stack(postgres: TestPostgres) -> AsyncIterator[Stack]:
    """A migrated database and provisioned streams, for this test module alone."""
    async with stack_on(postgres) as found:
        yield found
