"""The registry, started on real engines, and a tenant for each test."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.registry.app import Registry
from services.registry.settings import RegistrySettings
from tests.integration.registry.office import Office
from tests.support.engines import Stack


@pytest.fixture(scope="module")
async def registry(stack: Stack) -> AsyncIterator[Registry]:
    """One registry process."""
    service = Registry(
        RegistrySettings(
            postgres_url=stack.postgres_url("registry"),
            nats_url=stack.nats_url,
            piece_timeout=timedelta(hours=1),  # a test that wants them joined ticks itself
        )
    )
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
async def office(stack: Stack, registry: Registry) -> Office:
    """A tenant with a project that nothing else uses."""
    return await Office.open(stack, registry)
