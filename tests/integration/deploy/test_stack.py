"""The fixture that every integration test stands on."""

import asyncpg
import nats
import pytest

from libs.contracts.streams import ALL
from libs.schema import OWNERS
from tests.support.engines import Stack


@pytest.mark.parametrize("role", [*OWNERS, "reader", "owner"])
async def test_every_role_logs_in(stack: Stack, role: str) -> None:
    connection = await asyncpg.connect(stack.postgres_url(role))

    flows = await connection.fetchval("SELECT count(*) FROM registry.flow")

    await connection.close()
    assert flows == 0


async def test_the_streams_are_there(stack: Stack) -> None:
    client = await nats.connect(stack.nats_url)

    found = {stream.config.name for stream in await client.jetstream().streams_info()}

    await client.close()
    assert found == {stream.name for stream in ALL}
