"""What a WebSocket may take of an HTTP server: a place, bytes, fragments and time. Plain requests go on beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from libs.runtime.http import HttpServer
from libs.runtime.http_limits import HttpLimits
from libs.runtime.http_protocol import CONNECTION
from libs.runtime.http_websocket import MESSAGE_BYTES, WebSocketProtocol
from tests.integration.runtime.test_http_limits import answer, connected, echo, is_well
from tests.support.eventually import eventually

UPGRADE = (
    b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n"
)


class Sockets:
    """An application that sends each socket back what it says; `connections` are those that are open."""

    def __init__(self) -> None:
        self.connections: set[WebSocketProtocol] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await echo(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        self.connections.add(scope[CONNECTION])
        try:
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message.get("text") or ""})
        except OSError:
            pass
        finally:
            self.connections.discard(scope[CONNECTION])


@asynccontextmanager
async def serving(**limits: Any) -> AsyncIterator[tuple[int, Sockets]]:
    app = Sockets()
    server = HttpServer(
        host="127.0.0.1",
        port=0,
        drain_timeout=timedelta(seconds=1),
        variable="HEADWATER_PORT",
        limits=HttpLimits(look_each=timedelta(seconds=0.05), **limits),
        websockets=True,
    )
    await server.start(app)
    yield server.port, app
    await server.stop()


@asynccontextmanager
async def socket(port: int) -> AsyncIterator[ClientConnection]:
    async with connect(f"ws://127.0.0.1:{port}/", compression=None, ping_interval=None) as found:
        yield found


async def closing(found: ClientConnection) -> int:
    try:
        async with asyncio.timeout(10):
            while True:
                await found.recv()
    except ConnectionClosed:
        return found.close_code or 0


async def test_a_socket_says_and_hears_while_plain_requests_are_answered() -> None:
    async with serving() as (port, _), socket(port) as found:
        await found.send("hello")

        assert await found.recv() == "hello"
        assert await is_well(port)


async def test_a_message_of_too_many_bytes_is_not_taken() -> None:
    async with serving() as (port, _), socket(port) as found:
        await found.send("x" * (MESSAGE_BYTES + 1))

        assert await closing(found) == 1009


async def test_a_message_of_too_many_parts_is_not_taken() -> None:
    async with serving() as (port, _), socket(port) as found:

        def parts() -> Any:
            yield "x"
            for _ in range(2_000):
                yield ""

        with suppress(ConnectionClosed):
            await found.send(parts())

        assert await closing(found) == 1009


async def test_a_message_that_is_never_whole_is_dropped() -> None:
    async with (
        serving(body_time=timedelta(seconds=0.2)) as (port, app),
        socket(port) as found,
    ):
        frame = Frame(Opcode.TEXT, b"half", fin=False).serialize(mask=True)
        found.transport.write(frame)

        assert await closing(found) == 1006
        await eventually(lambda: not app.connections)


async def test_who_reads_nothing_is_dropped_and_so_are_the_answers_to_its_pings() -> None:
    async with (
        serving(write_time=timedelta(seconds=0.3)) as (port, app),
        socket(port) as found,
    ):
        await eventually(lambda: app.connections)
        [connection] = app.connections
        found.transport.pause_reading()
        ping = Frame(Opcode.PING, b"x" * 125).serialize(mask=True)

        async def flood() -> bool:
            found.transport.write(ping * 2_000)
            return not app.connections

        await eventually(flood, timeout=60)
        # Its pings were not read while it did not read their answers.
        assert connection.transport.get_write_buffer_size() < 1 << 20
        found.transport.abort()


async def test_a_reason_is_said_to_who_reads_and_a_silent_one_is_let_go() -> None:
    async with (
        serving(write_time=timedelta(seconds=0.3)) as (port, app),
        socket(port) as found,
    ):
        await eventually(lambda: app.connections)
        [connection] = app.connections
        connection.end(4403, "The key is gone.")

        assert await closing(found) == 4403
        assert found.close_reason == "The key is gone."
        await eventually(lambda: not app.connections)


async def test_sockets_and_requests_share_the_places_of_their_address() -> None:
    async with (
        serving(connections_per_address=2) as (port, app),
        socket(port),
        socket(port),
    ):
        await eventually(lambda: len(app.connections) == 2)

        # No good key was shown on any of the three, so the newest replaces the oldest.
        assert await is_well(port)
        await eventually(lambda: len(app.connections) == 1)
    async with serving(connections_per_address=1) as (port, app):
        for _ in range(3):
            async with socket(port):
                await eventually(lambda: app.connections)
            await eventually(lambda: not app.connections)
        assert await is_well(port)


async def test_the_head_of_an_upgrade_has_the_bounds_of_every_head() -> None:
    async with serving() as (port, _):
        long = await answer(port, UPGRADE % (b"a: %b\r\n" % (b"x" * 40_000)))
        many = await answer(port, UPGRADE % (b"a: b\r\n" * 200))

    assert long.startswith(b"HTTP/1.1 431 ")
    assert many.startswith(b"HTTP/1.1 431 ")


async def test_only_a_get_becomes_a_socket() -> None:
    async with serving() as (port, app), connected(port) as (reader, writer):
        writer.write((UPGRADE % b"content-length: 0\r\n").replace(b"GET", b"POST", 1))

        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        assert not app.connections


async def test_where_there_are_no_sockets_a_request_for_one_is_a_request() -> None:
    server = HttpServer(
        host="127.0.0.1", port=0, drain_timeout=timedelta(seconds=1), variable="HEADWATER_PORT"
    )
    await server.start(echo)

    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"ws://127.0.0.1:{server.port}/"):
            pass
    await server.stop()

    assert caught.value.response.status_code == 200
