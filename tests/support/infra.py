"""`pytest --infra=containers`: integration tests on PostgreSQL and NATS of public images, not on the embedded ones.

The same programs, so that what differs is how they are packaged and reached. Chosen once for a session; the containers
are the session's own, and gone afterwards.
"""

import asyncio
import os
import secrets
from collections.abc import Callable
from contextlib import ExitStack

import asyncpg
import pytest
from testcontainers.core.container import DockerContainer

from tests.offline import NoDockerError, docker, provide
from tests.support.eventually import eventually

_POSTGRES = "postgres:18"
_NATS = "nats:2.15-alpine"
_NATS_CONFIGURATION = b"""
max_payload: 33554432
jetstream { store_dir: "/tmp/store" }
authorization { user: headwater, password: test }
"""
_COME_UP_WITHIN = 60.0


def engines_in_containers() -> Callable[[], None]:
    """Start both and name them in the environment; what ends them. HEADWATER_NO_DOCKER=1 ends the session instead."""
    if os.environ.get("HEADWATER_NO_DOCKER") == "1":
        pytest.exit("HEADWATER_NO_DOCKER=1: engines in containers are NOT tested", returncode=0)
    exits = ExitStack()
    try:
        _start(exits)
    except NoDockerError as error:
        exits.close()
        msg = (
            f"Docker cannot be had here: {error}\n"
            "Set HEADWATER_NO_DOCKER=1 to go without the tests on engines in containers."
        )
        raise pytest.UsageError(msg) from None
    except BaseException:
        exits.close()
        raise
    return exits.close


def _start(exits: ExitStack) -> None:
    found = docker()
    exits.callback(found.stop)
    provide(found)
    # The reaper is one more image, and this session removes what it started itself.
    os.environ.update(found.environment | {"TESTCONTAINERS_RYUK_DISABLED": "true"})
    password = secrets.token_hex(16)
    postgres = exits.enter_context(
        DockerContainer(_POSTGRES)
        .with_env("POSTGRES_USER", "headwater")
        .with_env("POSTGRES_PASSWORD", password)
        .with_command(
            "postgres -c fsync=off -c max_connections=200 -c max_locks_per_transaction=256"
        )
        .with_exposed_ports(5432)
    )
    nats = exits.enter_context(
        DockerContainer(_NATS)
        .with_copy_into_container(_NATS_CONFIGURATION, "/tmp/nats.conf")  # noqa: S108 - of the container
        .with_command("nats-server --config /tmp/nats.conf")
        .with_exposed_ports(4222)
    )
    place = f"127.0.0.1:{postgres.get_exposed_port(5432)}"
    postgres_url = f"postgresql://headwater:{password}@{place}/postgres"
    nats_port = int(nats.get_exposed_port(4222))
    asyncio.run(_until_up(postgres_url, nats_port))
    os.environ["HEADWATER_TEST_POSTGRES_URL"] = postgres_url
    os.environ["HEADWATER_TEST_NATS_URL"] = f"nats://headwater:test@127.0.0.1:{nats_port}"


async def _until_up(postgres_url: str, nats_port: int) -> None:
    async def postgres_answers() -> bool:
        connection = await asyncpg.connect(postgres_url, timeout=5)
        await connection.close()
        return True

    async def nats_greets() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", nats_port)
        greeting = await reader.readline()
        writer.close()
        return greeting.startswith(b"INFO ")

    await eventually(postgres_answers, timeout=_COME_UP_WITHIN, pause=0.2)
    await eventually(nats_greets, timeout=_COME_UP_WITHIN, pause=0.2)
