"""A ledger and the automations for the modules of this folder, and a tenant for each test."""

from collections.abc import AsyncIterator

import pytest

from libs.runtime.bus import Bus
from services.automations.app import Automations
from services.gateway.app import Gateway
from services.runs.app import Runs
from tests.support.automations import Rules, automations_on, gateways_were_always_heard
from tests.support.delivering import gateway_on
from tests.support.engines import Stack
from tests.support.ledger import Client, Flow, bus_on, ledger_on, tenant_with_flow
from tests.support.running import running


@pytest.fixture(scope="module")
async def ledger(stack: Stack) -> AsyncIterator[Runs]:
    """The service, without loops that would act on what tests prepare."""
    async with ledger_on(stack) as service:
        for loop in service.loops:
            if loop.name != "outbox":
                await loop.stop()
        yield service


@pytest.fixture(scope="module")
async def automations(stack: Stack, ledger: Runs) -> AsyncIterator[Automations]:
    """One replica, whose loops wait."""
    await gateways_were_always_heard(stack)
    async with automations_on(stack) as service:
        yield service


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    """It says whether an automation may act."""
    async with running(gateway_on(stack)) as service:
        yield service


@pytest.fixture(scope="module")
async def bus(stack: Stack, automations: Automations) -> AsyncIterator[Bus]:
    """A client's connection to both."""
    async with bus_on(stack) as bus:
        yield bus


@pytest.fixture
async def flow(stack: Stack) -> Flow:
    """A flow of a tenant of its own."""
    return await tenant_with_flow(stack.admin_pool)


@pytest.fixture
def rules(stack: Stack, automations: Automations, bus: Bus, flow: Flow) -> Rules:
    """The rules of that tenant."""
    return Rules(stack, automations, Client(bus, flow.tenant_id))
