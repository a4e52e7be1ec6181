"""The automations with a real gateway beside them; the test ticks."""

from collections.abc import AsyncIterator

import pytest

from services.automations.app import Automations
from services.gateway.app import Gateway
from tests.support.delivering import World, delivering_on, gateway_on
from tests.support.engines import Stack
from tests.support.owed import a_tenant
from tests.support.receivers import receiver
from tests.support.running import running


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    """It opens secrets for all tests of the module."""
    async with running(gateway_on(stack)) as service:
        yield service


@pytest.fixture(scope="module")
async def automations(stack: Stack, gateway: Gateway) -> AsyncIterator[Automations]:
    """One for all tests of the module; it does what they ask."""
    async with running(delivering_on(stack), ticks=False) as service:
        yield service


@pytest.fixture
async def world(stack: Stack, automations: Automations) -> AsyncIterator[World]:
    """A tenant and a receiver of this test alone."""
    await stack.admin_pool.execute("TRUNCATE automations.delivery, automations.receiver CASCADE")
    tenant = await a_tenant(stack.admin_pool)
    async with receiver() as made:
        yield World(stack=stack, service=automations, receiver=made, tenant=tenant)
