"""What a connection may take of an HTTP server: bytes, time and places."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from libs.runtime.http import HttpServer
from libs.runtime.http_limits import HttpLimits
from libs.runtime.http_protocol import CONNECTION, Protocol, is_of

SOON = timedelta(seconds=0.3)
WELL = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
SILENCES = {
    "nothing": b"",
    "half a line": b"POST /gra",
    "half a head": b"POST / HTTP/1.1\r\nhost: x\r\n",
    "empty lines": b"\r\n\r\n",
    "half a body": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf",
    "half a chunk": b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf",
    "a trailer": b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: b\r\n",
}


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the length of the body."""
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message["body"])
        more = message["more_body"]
    body = str(length).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(app: Any = echo, **limits: Any) -> AsyncIterator[int]:
    server = HttpServer(
        host="127.0.0.1",
        port=0,
        drain_timeout=timedelta(seconds=1),
        variable="HEADWATER_PORT",
        limits=HttpLimits(look_each=timedelta(seconds=0.05), **limits),
    )
    await server.start(app)
    yield server.port
    await server.stop()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def answer(port: int, request: bytes) -> bytes:
    """All that comes until the server closes; what could be read of it where it closed hard."""
    async with connected(port) as (reader, writer):
        writer.write(request)
        return await rest(reader)


async def rest(reader: asyncio.StreamReader) -> bytes:
    found = b""
    try:
        async with asyncio.timeout(20):
            while part := await reader.read(65536):
                found += part
    except ConnectionResetError:
        pass
    return found


async def taken_of(port: int, begin: bytes, more: bytes) -> int:
    """How many bytes go out before the server closes; 64 MiB at most are tried."""
    taken = 0
    async with connected(port) as (_, writer):
        writer.write(begin)
        with suppress(ConnectionError):
            while taken < 64 << 20:
                writer.write(more)
                await writer.drain()
                taken += len(more)
    return taken


async def is_well(port: int) -> bool:
    async with connected(port) as (reader, writer):
        writer.write(WELL)
        return (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("sent", SILENCES.values(), ids=SILENCES.keys())
async def test_who_falls_silent_in_a_request_is_closed(sent: bytes) -> None:
    async with serving(head_time=SOON, body_time=SOON) as port:
        found = await answer(port, sent)

        assert b"200 OK" not in found
        assert await is_well(port)


async def test_half_a_body_is_told_that_its_time_is_over() -> None:
    async with serving(body_time=SOON) as port:
        found = await answer(port, SILENCES["half a body"])

    assert found.startswith(b"HTTP/1.1 408 ")
    assert found.endswith(
        b'{"errors":[{"message":"The request body did not come in time.",'
        b'"extensions":{"code":"BAD_REQUEST"}}]}'
    )


async def test_a_later_request_has_no_more_time_for_its_head_than_the_first() -> None:
    async with serving(head_time=SOON) as port, connected(port) as (reader, writer):
        writer.write(WELL)
        await reader.readuntil(b"\r\n\r\n0")

        writer.write(b"\r\n")

        assert await rest(reader) == b""


async def test_a_slow_body_has_the_time_that_its_rate_gives() -> None:
    async with serving(body_time=SOON, body_rate=1) as port, connected(port) as (reader, writer):
        head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 40\r\nconnection: close\r\n\r\n"
        writer.write(head + b"x" * 39)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2 * SOON.total_seconds()):
                await reader.read(1)

        writer.write(b"x")

        assert (await rest(reader)).endswith(b"\r\n\r\n40")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\na: " + b"x" * 9_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n",
    ],
    ids=["address", "header", "headers"],
)
async def test_a_head_that_is_too_large_is_refused_in_a_sentence(head: bytes) -> None:
    async with serving(head_bytes=8_192) as port:
        found = await answer(port, head)

        assert found.startswith(b"HTTP/1.1 431 ")
        assert b"larger than 8192 bytes or has more than 100 headers." in found
        assert await is_well(port)


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET / HTTP/1.1\r\na: ", b"x" * 65_536),
        (b"GET /", b"x" * 65_536),
        (b"", b"\r\n" * 32_768),
        (b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 10_000),
        (SILENCES["a trailer"], b"x" * 65_536),
        (SILENCES["a trailer"], b"a: b\r\n" * 10_000),
        (SILENCES["half a chunk"] + b"12345\r\n1;", b"x" * 65_536),
    ],
    ids=["header", "address", "lines", "headers", "trailer", "trailers", "extension"],
)
async def test_what_never_ends_is_closed_after_some_kilobytes(begin: bytes, more: bytes) -> None:
    async with serving() as port:
        taken = await taken_of(port, begin, more)

        # What a socket holds on both sides before it blocks is not the server's to limit.
        assert taken < 16 << 20
        assert await is_well(port)


async def test_the_newcomer_takes_the_place_of_who_has_been_silent_for_longest() -> None:
    async with serving(connections=64, connections_per_address=0) as port, AsyncExitStack() as held:
        silent = [await held.enter_async_context(connected(port)) for _ in range(64)]

        assert await is_well(port)
        assert await rest(silent[0][0]) == b""
        silent[-1][1].write(WELL)
        assert await silent[-1][0].readline() == b"HTTP/1.1 200 OK\r\n"


async def test_an_address_has_so_many_places_and_makes_room_itself() -> None:
    async with serving(connections_per_address=8) as port, AsyncExitStack() as held:
        silent = [await held.enter_async_context(connected(port)) for _ in range(12)]

        assert await is_well(port)
        ended = await asyncio.gather(*(rest(reader) for reader, _ in silent[:4]))
        assert ended == [b""] * 4


async def test_a_flood_from_an_address_takes_the_places_of_strangers_and_not_of_known_clients() -> (
    None
):
    asked = asyncio.Queue[None]()
    finish = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if b"key" in dict(scope["headers"]):
            is_of(scope, "its tenant")
        asked.put_nowait(None)
        await finish.wait()
        await echo(scope, receive, send)

    keyed = WELL.replace(b"\r\n\r\n", b"\r\nkey: x\r\n\r\n")
    async with serving(slow, connections_per_address=2) as port, AsyncExitStack() as held:
        clients = [await held.enter_async_context(connected(port)) for _ in range(2)]
        for _, writer in clients:
            writer.write(keyed)
            await asked.get()
        flood = [await held.enter_async_context(connected(port)) for _ in range(6)]
        for _, writer in flood:
            writer.write(WELL)

        ended = await asyncio.gather(*(rest(reader) for reader, _ in flood[:4]))

        assert ended == [b""] * 4
        finish.set()
        for reader, _ in (*clients, *flood[4:]):
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"


async def test_who_was_answered_and_stays_makes_room_for_the_next() -> None:
    async with serving(connections_per_address=4) as port, AsyncExitStack() as held:
        idle = [await held.enter_async_context(connected(port)) for _ in range(4)]
        for reader, writer in idle:
            writer.write(WELL)
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"

        assert await is_well(port)

        assert b"200" not in await rest(idle[0][0])


async def test_a_client_that_takes_none_of_its_answer_is_dropped() -> None:
    ended = asyncio.Event()

    async def much(scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1_000):
            await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        ended.set()

    async with serving(much, write_time=SOON) as port, connected(port) as (reader, writer):
        writer.write(WELL)
        await reader.readline()

        async with asyncio.timeout(20):
            await ended.wait()


@pytest.mark.parametrize("length", [0, 1_000, 1 << 20])
async def test_a_handler_hears_that_its_client_has_left(length: int) -> None:
    begun, left = asyncio.Event(), asyncio.Event()

    async def wait(scope: Scope, receive: Receive, _send: Send) -> None:
        connection: Protocol = scope[CONNECTION]
        connection.when_lost(left.set)
        while (await receive())["more_body"]:
            pass
        begun.set()
        await left.wait()

    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % length
    async with serving(wait) as port:
        async with connected(port) as (_, writer):
            writer.write(head + bytes(length))
            await begun.wait()

        async with asyncio.timeout(20):
            await left.wait()


async def test_a_connection_answered_before_its_body_came_is_closed_when_it_idles() -> None:
    async def at_once(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    second = timedelta(seconds=1)
    async with (
        serving(at_once, idle_time=second) as port,
        connected(port) as (reader, writer),
    ):
        writer.write(SILENCES["half a body"])
        await reader.readline()

        writer.write(b"12345")

        assert b"200 OK" not in await rest(reader)


async def test_a_small_request_follows_a_large_one_on_its_connection() -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
    async with serving() as port, connected(port) as (reader, writer):
        for length in (1 << 20, 5, 1 << 20):
            writer.write(head % length + bytes(length))

            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
            assert await reader.readexactly(len(str(length))) == str(length).encode()


async def test_requests_in_one_parcel_are_answered_in_order() -> None:
    post = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n12345"
    last = WELL.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")

    async with serving() as port:
        found = await answer(port, post + WELL + post + last)

    assert [part[-1:] for part in found.split(b"HTTP/1.1 200 OK")[1:]] == [b"5", b"0", b"5", b"0"]
