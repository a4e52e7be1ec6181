"""What happens to a connection is counted, and a server that lets nobody in is told by its address."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from libs.runtime import metrics
from libs.runtime.bus import Bus
from libs.runtime.nats.workarounds import PatientClient
from tests.support.engines import nats_for_tests
from tests.support.eventually import eventually
from tests.support.guarded_nats import GuardedNats, guarded_nats
from tests.support.ports import free_port


@pytest.fixture(scope="module")
async def guarded() -> AsyncIterator[GuardedNats]:
    async with guarded_nats() as server:
        yield server


def counted(service: str) -> Callable[[str], float]:
    """How often an event has been counted since now."""
    before = {event: _count(service, event) for event in _events()}
    return lambda event: _count(service, event) - before[event]


def _events() -> list[str]:
    return ["disconnected", "reconnected", "closed", "permission_violation", "slow_consumer"]


def _count(service: str, event: str) -> float:
    value: float = metrics.BUS_EVENTS.labels(service, event)._value.get()
    return value


async def test_a_lost_connection_and_its_return_are_counted_and_a_wanted_end_is_not() -> None:
    count = counted("test")
    async with nats_for_tests() as (url, server):
        if server is None:
            pytest.skip("this nats-server is not ours to stop")
        bus = Bus(url, service="test")
        await bus.start()

        await server.stop()
        await eventually(lambda: count("disconnected") == 1)
        down = metrics.DEPENDENCY_UP.labels("test", "nats")._value.get()
        await server.start()
        await eventually(lambda: count("reconnected") == 1, timeout=60)
        await bus.stop()

    assert down == 0
    assert metrics.DEPENDENCY_UP.labels("test", "nats")._value.get() == 1
    assert (count("disconnected"), count("closed")) == (1, 0)


async def test_what_permissions_refuse_is_counted(guarded: GuardedNats) -> None:
    count = counted("runs")
    bus = Bus(guarded.url("runs"), service="runs")
    await bus.start()

    await bus.signal("hw.sig.key.changed.somebody")
    await bus.client.flush()

    await eventually(lambda: count("permission_violation") == 1)
    await bus.stop()


async def test_messages_that_a_slow_consumer_loses_are_counted() -> None:
    count = counted("test")
    async with nats_for_tests() as (url, _):
        bus = Bus(url, service="test")
        await bus.start()
        never = asyncio.Event()

        async def slow(_message: object) -> None:
            await never.wait()

        await bus.client.subscribe("flood", cb=slow, pending_msgs_limit=10)
        for _ in range(50):
            await bus.client.publish("flood", b"x")
        await bus.client.flush()

        await eventually(lambda: count("slow_consumer") >= 30)
        never.set()
        await bus.stop()


async def test_a_server_that_is_not_there_ends_the_start_with_its_address() -> None:
    port = free_port()
    bus = Bus(f"nats://runs:whisper@127.0.0.1:{port}", service="runs", connect_timeout=0.5)

    with pytest.raises(ConnectionError) as refused:
        await bus.start()

    said = str(refused.value)
    assert said.startswith(f"NATS at 127.0.0.1:{port} let nobody in for 0.5 s (")
    assert "whisper" not in said


async def test_a_client_beside_the_bus_waits_no_longer_for_its_server() -> None:
    port = free_port()
    bus = Bus(f"nats://heartbeat@127.0.0.1:{port}", service="heartbeat", connect_timeout=0.5)

    with pytest.raises(ConnectionError, match=r"let nobody in for 0\.5 s"):
        await bus.open(PatientClient())
