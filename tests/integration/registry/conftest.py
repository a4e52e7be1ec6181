"""The registry, started on real engines, and a tenant for each test."""

from collections.abc import AsyncIterator

import pytest

from services.registry.app import Registry
from services.registry.settings import RegistrySettings
from tests.integration.registry.office import Office
from tests.support.engines import Stack
from tests.support.running import running


@pytest.fixture(scope="module")
async def registry(stack: Stack) -> AsyncIterator[Registry]:
    """One registry process. Its upkeep waits: a test that wants something joined or collected ticks itself."""
    service = Registry(
        RegistrySettings(postgres_url=stack.postgres_url("registry"), nats_url=stack.nats_url)
    )
    async with running(service, held={"upkeep"}):
        yield service


@pytest.fixture
async def office(stack: Stack, registry: Registry) -> Office:
    """A tenant with a project that nothing else uses."""
    return await Office.open(stack, registry)
