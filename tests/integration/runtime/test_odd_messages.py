"""Whoever may publish below a wildcard chooses the bytes of subjects and headers; they cost nobody a connection."""

import asyncio
import json
from urllib.parse import urlsplit

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from libs.runtime.bus import Bus
from services.heartbeat.listener import PingListener
from tests.support.engines import nats_for_tests
from tests.support.eventually import eventually

PLAIN = b"NATS/1.0\r\n\r\n"


async def publish_bytes(url: str, subject: bytes, header: bytes) -> None:
    """Publish past any client, which would look at the subject."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    options = {"headers": True, "verbose": False, "user": place.username, "pass": place.password}
    writer.write(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
    writer.write(b"HPUB %s %d %d\r\n%s\r\nPING\r\n" % (subject, len(header), len(header), header))
    while (line := await reader.readline()) != b"PONG\r\n":
        assert not line.startswith(b"-ERR"), line
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("token", "header"),
    [
        (b"a\x0bb", PLAIN),
        (b"a\x0cb", PLAIN),
        (b"a\xffb", PLAIN),
        (b"a", b"NATS/1.0 \xff\xff\xff\r\n\r\n"),
        (b"a", b"NATS/1.0"),
    ],
)
async def test_odd_bytes_break_neither_the_bus_nor_the_listener(
    token: bytes, header: bytes
) -> None:
    came: list[Msg] = []

    async def note(message: Msg) -> None:
        came.append(message)

    async with nats_for_tests() as (url, _):
        bus, listener = Bus(url, service="test"), PingListener()
        await bus.start()
        await bus.open(listener)
        await listener.listen()
        await bus.client.subscribe("hw.beat.*.*", cb=note)
        await bus._settle(timeout=10)

        await publish_bytes(url, b"hw.beat.t." + token, header)
        await publish_bytes(url, b"hw.beat.t.fine", PLAIN)

        await eventually(lambda: [m.subject for m in came][-1:] == ["hw.beat.t.fine"])
        await listener.flush()
        assert len(came) == 2
        assert _has_held(bus.client)
        assert _has_held(listener)
        await listener.close()
        await bus.stop()


def _has_held(client: Client) -> bool:
    reading = client._reading_task
    return client.stats["reconnects"] == 0 and reading is not None and not reading.done()
