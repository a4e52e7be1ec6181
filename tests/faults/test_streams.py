"""Two hundred open streams while what they hang on is killed: nothing is missed in silence."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from libs.contracts.runs import StateApplied
from libs.runtime.bus import Bus
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Client, Flow, bus_on, tenant_with_flow
from tests.support.resuming_clients import EventSource, Resuming, Subscriber
from tests.support.service_process import ServiceProcess, gateway_process, ledger_process

STREAMS = 200
SOON = 120.0  # seconds; the machine does other things, too


@pytest.fixture(scope="module")
async def flow(stack: Stack) -> Flow:
    if stack.nats is None:
        pytest.skip("this nats-server is not ours to kill")
    return await tenant_with_flow(stack.admin_pool)


@pytest.fixture(scope="module")
async def bus(stack: Stack, flow: Flow) -> AsyncIterator[Bus]:
    async with ledger_process(stack), bus_on(stack) as bus:
        yield bus


@pytest.fixture(scope="module")
async def gateway(stack: Stack, bus: Bus) -> AsyncIterator[tuple[ServiceProcess, str]]:
    settings = {"HEADWATER_EVENT_STREAMS_PER_KEY": str(2 * STREAMS)}
    async with gateway_process(stack, settings) as found:
        yield found


@asynccontextmanager
async def listening(url: str, tenant_id: UUID) -> AsyncIterator[Sequence[Resuming]]:
    """Half of the streams as server-sent events, half as subscriptions; all are open when the block begins."""
    headers = {"x-prefect-tenant-id": str(tenant_id)}
    clients: list[Resuming] = [
        (EventSource if number % 2 else Subscriber)(url, headers) for number in range(STREAMS)
    ]
    tasks = [asyncio.create_task(client.run()) for client in clients]
    try:
        await eventually(lambda: all(c.opened and c.cursor for c in clients), timeout=SOON)
        yield clients
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def moved(client: Client, run: UUID, state: str) -> int:
    """The version with which a run has this state, however often it has to be asked for."""

    async def ask() -> int:
        outcome = await client.set(run, state)
        assert isinstance(outcome, StateApplied), outcome
        return outcome.version or 0

    return await eventually(ask, timeout=SOON, pause=0.5)


def unaware(clients: Sequence[Resuming], versions: dict[str, int]) -> Iterator[Resuming]:
    return (client for client in clients if not client.knows(versions))


@pytest.mark.slow
async def test_a_gateway_that_is_killed_costs_no_stream_a_state(
    gateway: tuple[ServiceProcess, str], bus: Bus, flow: Flow
) -> None:
    process, url = gateway
    client = Client(bus, flow.tenant_id)
    runs = [await client.create(flow) for _ in range(5)]

    async with listening(url, flow.tenant_id) as clients:
        opened = [each.opened for each in clients]
        versions = {str(run): await moved(client, run, "Submitted") for run in runs}
        await process.kill()
        versions |= {str(run): await moved(client, run, "Running") for run in runs}
        await process.start()
        await eventually(
            lambda: all(c.opened > before for c, before in zip(clients, opened, strict=True)),
            timeout=SOON,
        )
        versions[str(runs[0])] = await moved(client, runs[0], "Success")
        await eventually(lambda: not [*unaware(clients, versions)], timeout=SOON)

        # What is kept covers so short a time, so it was told and not only said to be lost.
        gaps = [each for each in clients if "gap" in each.statuses]
    assert gaps == []


@pytest.mark.slow
async def test_a_broker_that_is_killed_leaves_streams_open_and_is_said(
    stack: Stack, gateway: tuple[ServiceProcess, str], bus: Bus, flow: Flow
) -> None:
    _, url = gateway
    client = Client(bus, flow.tenant_id)
    run = await client.create(flow)
    broker = stack.nats
    assert broker is not None

    async with listening(url, flow.tenant_id) as clients:
        await eventually(lambda: broker.pid is not None, timeout=SOON)
        pid, restarts = broker.pid, broker.restarts
        assert pid is not None
        opened = [each.opened for each in clients]
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: all("stale" in each.statuses for each in clients), timeout=SOON)
        await eventually(lambda: broker.restarts > restarts, timeout=SOON)
        version = await moved(client, run, "Submitted")
        await eventually(lambda: all("fresh" in each.statuses for each in clients), timeout=SOON)
        await eventually(lambda: not [*unaware(clients, {str(run): version})], timeout=SOON)

        assert [each.opened for each in clients] == opened
