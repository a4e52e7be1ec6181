"""One Headwater and one user's machine for the whole folder."""

from collections.abc import AsyncIterator

import pytest

from tests.support.gql import Gql
from tests.support.headwater import Headwater
from tests.support.prefect_client import Agent, PrefectClient


@pytest.fixture(scope="session")
async def headwater(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Headwater]:
    async with Headwater(tmp_path_factory.mktemp("headwater")) as server:
        yield server


@pytest.fixture(scope="session")
async def api(headwater: Headwater) -> AsyncIterator[Gql]:
    async with Gql(headwater.url) as gql:
        yield gql


@pytest.fixture(scope="session")
async def client(headwater: Headwater, tmp_path_factory: pytest.TempPathFactory) -> PrefectClient:
    return await PrefectClient.installed(
        "1.4.1",
        url=headwater.url,
        home=tmp_path_factory.mktemp("home"),
        # Seconds. Clients look every 15 whether they were cancelled; tests have less patience.
        PREFECT__CLOUD__CHECK_CANCELLATION_INTERVAL="1",
        # Nor for the 30 seconds after which they ask again for a slot of a concurrency limit.
        PREFECT__CLOUD__QUEUE_INTERVAL="0.5",
    )


@pytest.fixture(scope="session")
async def agent(client: PrefectClient) -> AsyncIterator[Agent]:
    async with client.agent() as running:
        yield running
