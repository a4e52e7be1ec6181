"""A running ledger for the modules of this folder."""

from collections.abc import AsyncIterator

import pytest

from libs.runtime.bus import Bus
from services.runs.app import Runs
from tests.support.engines import Stack
from tests.support.ledger import bus_on, ledger_on


@pytest.fixture(scope="module")
async def ledger(stack: Stack) -> AsyncIterator[Runs]:
    """The service, without loops that would act on what tests prepare: their verbs are called by name."""
    async with ledger_on(stack) as service:
        for loop in service.loops:
            if loop.name != "outbox":
                await loop.stop()
        yield service


@pytest.fixture(scope="module")
async def bus(stack: Stack, ledger: Runs) -> AsyncIterator[Bus]:
    """A client's connection to a running ledger."""
    async with bus_on(stack) as bus:
        yield bus
