"""Whatever a NATS server says or does, the connection comes back; and where it would not, `/health` says so."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from libs.runtime import metrics
from libs.runtime.bus import Bus
from libs.runtime.http import HttpServer, health_app
from libs.runtime.nats.workarounds import PatientClient
from libs.runtime.service import Service
from libs.runtime.settings import ServiceSettings
from tests.support.cut import Cut, cut_before
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.guarded_nats import guarded_nats
from tests.support.odd_nats import OddNats, odd_nats
from tests.support.running import running

BACK_WITHIN = 15.0


@pytest.fixture
async def odd() -> AsyncIterator[OddNats]:
    async with odd_nats() as server:
        yield server


@pytest.fixture
async def bus(odd: OddNats, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bus]:
    """On that server, and soon weary of one that says nothing."""
    monkeypatch.setitem(_endurance(), "connect_timeout", 0.5)
    monkeypatch.setitem(_endurance(), "reconnect_time_wait", 0.05)
    bus = Bus(odd.url, service="test")
    await bus.start()
    yield bus
    await bus.stop()


def _endurance() -> dict[str, float]:
    from libs.runtime.bus import connection as module  # noqa: PLC0415 - the class above has the module's name

    return module._RECONNECT


async def is_back(bus: Bus) -> None:
    async def answers() -> bool:
        assert bus.failed() == []
        await bus.client.flush()
        return bus.connected

    await eventually(answers, timeout=BACK_WITHIN)


@pytest.mark.parametrize(
    "answer",
    [
        b"-ERR 'Authorization Violation'",
        b"-ERR 'Authentication Timeout'",
        b"-ERR 'Authorization Timeout'",
        b"-ERR 'Stale Connection'",
        b"-ERR 'maximum connections exceeded'",
        b"-ERR 'maximum account active connections exceeded'",
        b"-ERR 'Secure Connection - TLS Required'",
        b"-ERR",  # nats-py splits it in two
        b"-ERR \xff\xfe",  # and decodes it
        b"what is this",
        None,
    ],
)
async def test_a_log_in_that_is_refused_or_not_answered_is_tried_again(
    odd: OddNats, bus: Bus, answer: bytes | None
) -> None:
    odd.answer, before = answer, odd.tried
    odd.drop()
    await eventually(lambda: odd.tried >= before + 3, timeout=BACK_WITHIN)

    odd.behave()

    await is_back(bus)


@pytest.mark.parametrize(
    "greeting", [b"HELLO", b"INFO {", b"INFO []", b"INFO 1", b"\xff\xff", b"INFO " + b"x" * 70_000]
)
async def test_a_server_that_greets_oddly_is_tried_again(
    odd: OddNats, bus: Bus, greeting: bytes
) -> None:
    odd.greeting, before = greeting, odd.tried
    odd.drop()
    await eventually(lambda: odd.tried >= before + 3, timeout=BACK_WITHIN)

    odd.behave()

    await is_back(bus)


@pytest.mark.parametrize(
    "line",
    [
        "-ERR 'Stale Connection'",
        "-ERR 'Slow Consumer Detected'",
        "-ERR 'Maximum Payload Violation'",
        "-ERR 'maximum connections exceeded'",
        "-ERR 'User Authentication Expired'",
        "-ERR 'Authorization Violation'",
        "MSG no.size 1 x",
        "INFO {",
    ],
)
async def test_an_error_over_a_standing_connection_ends_that_one_and_no_more(
    odd: OddNats, bus: Bus, line: str
) -> None:
    before = odd.tried

    odd.say(line)

    await eventually(lambda: odd.tried > before, timeout=BACK_WITHIN)
    await is_back(bus)


async def test_a_callback_that_raises_does_not_end_the_attempts(odd: OddNats) -> None:
    async def fail(*_: object) -> None:
        msg = "a fault of ours"
        raise RuntimeError(msg)

    client = PatientClient()
    await client.connect(
        odd.url, reconnect_time_wait=0.05, max_reconnect_attempts=-1, error_cb=fail,
        disconnected_cb=fail, reconnected_cb=fail,
    )  # fmt: skip
    before = odd.tried
    odd.answer = b"-ERR 'Authorization Violation'"
    odd.drop()
    await eventually(lambda: odd.tried >= before + 3)

    odd.behave()

    await eventually(lambda: client.is_connected)
    await client.flush()
    await client.close()


async def test_a_node_that_the_cluster_no_longer_names_is_no_longer_tried(odd: OddNats) -> None:
    client = PatientClient()
    await client.connect(odd.url, max_reconnect_attempts=-1)

    odd.say('INFO {"connect_urls":["127.0.0.1:1","127.0.0.1:2"]}')
    await eventually(lambda: len(client.discovered_servers) == 2)
    odd.say('INFO {"connect_urls":["127.0.0.1:2","127.0.0.1:3"]}')
    await eventually(lambda: {server.port for server in client.discovered_servers} == {2, 3})

    assert {server.port for server in client.servers} == {2, 3, odd.port}, "what is set stays"
    await client.close()


async def test_log_ins_that_are_answered_late_are_repeated_until_one_is_in_time() -> None:
    async with guarded_nats() as server, cut_before(server.url("runs")) as cut:
        bus = Bus(cut.url, service="runs")
        await bus.start()
        refused = metrics.BUS_EVENTS.labels("runs", "authorization")._value
        before = refused.get()
        cut.hold()
        # nats-server ends what does not log in within two seconds, with an error that FastStream finds final.
        await eventually(lambda: refused.get() >= before + 2, timeout=30)

        cut.mend()

        await is_back(bus)
        await bus.stop()


class Idle(Service):
    """A service that does nothing."""

    name = "registry"


@pytest.fixture
async def idle(stack: Stack) -> AsyncIterator[tuple[Idle, Cut]]:
    async with cut_before(stack.nats_url) as cut:
        settings = ServiceSettings(postgres_url=stack.postgres_url("registry"), nats_url=cut.url)
        async with running(Idle(settings)) as service:
            yield service, cut


async def test_health_fails_when_nobody_reconnects_and_only_then(idle: tuple[Idle, Cut]) -> None:
    service, cut = idle
    server = HttpServer(host="127.0.0.1", port=0, drain_timeout=timedelta(seconds=1), variable="X")
    await server.start(health_app(service))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as http:
        well = await http.get("/health")
        cut.cut()
        await eventually(lambda: not service.bus.connected)
        lost = await http.get("/health")
        task = service.bus.client._reconnection_task
        assert task is not None
        task.cancel()
        await asyncio.wait({task})
        given_up = await http.get("/health")
    await server.stop()

    assert (well.status_code, well.json()) == (200, {"status": "ok"})
    assert lost.status_code == 200, "it is being made again"
    assert given_up.status_code == 503
    assert given_up.json() == {
        "status": "failed",
        "reasons": ["the connection to NATS is lost, and nothing makes it again"],
    }
