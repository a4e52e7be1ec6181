"""Fixtures that start things. What they yield, and everything else that tests share, is in `tests/support`."""

import os
from collections.abc import AsyncIterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.support.engines import (
    Database,
    Stack,
    TestPostgres,
    database_on,
    postgres_for_tests,
    stack_on,
)
from tests.support.examples import ARE_OTHERS
from tests.support.time_limit import pytest_timeout_set_timer  # noqa: F401 - a hook of pytest-timeout

# A busy machine is no fault of a property: the first draw of text alone, which reads all of Unicode, may take seconds.
settings.register_profile(
    "headwater",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not ARE_OTHERS,
)
settings.load_profile("headwater")

# As in production: structlog's own renderer shows every local variable of a traceback, and the event loop of all
# services of a test stands still for seconds meanwhile.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--infra` chooses the engines of the session, `--clients` how much of the matrix of clients is played."""
    parser.addoption(
        "--infra",
        choices=("embedded", "containers"),
        default="embedded",
        help="engines from wheels as child processes, or from public images in Docker",
    )
    parser.addoption(
        "--clients",
        choices=("compact", "whole"),
        default="compact",
        help="four cells of tests/clients with the scenarios that share runs, or all of them",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start the containers before anything asks for an engine. Servers of the caller's own are for one worker."""
    named = os.environ.keys() & {"HEADWATER_TEST_POSTGRES_URL", "HEADWATER_TEST_NATS_URL"}
    if named and config.getoption("numprocesses", None):
        msg = f"{' and '.join(sorted(named))}: workers would share it; say make test WORKERS=0"
        raise pytest.UsageError(msg)
    if config.getoption("infra") == "containers":
        from tests.support.infra import engines_in_containers  # noqa: PLC0415 - imports Docker's client

        config.add_cleanup(engines_in_containers())


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


@pytest.fixture(scope="module")
async def database(postgres: TestPostgres) -> AsyncIterator[Database]:
    """A migrated database for this test module alone, where no bus is needed."""
    async with database_on(postgres) as found:
        yield found
