"""The HTTP server of a service."""

import asyncio
import socket
from datetime import timedelta
from typing import Any

import httpx
import uvloop

from libs.runtime.http import HttpServer, Probe, health_app
from libs.runtime.http_writing import OneWrite


async def test_an_answer_does_not_wait_for_the_clients_acknowledgement_of_its_headers() -> None:
    server = HttpServer(
        host="127.0.0.1", port=0, drain_timeout=timedelta(seconds=1), variable="HEADWATER_PORT"
    )
    await server.start(health_app(Probe()))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        await client.get("/health")
        assert server._server is not None
        [connection] = server._server.server_state.connections
        accepted = connection.transport.get_extra_info("socket")
        no_delay = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await server.stop()

    assert no_delay


class Sent(asyncio.Transport):
    """A transport that remembers what it was given to send."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed_after: int | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.closed_after = len(self.sent)

    def is_closing(self) -> bool:
        return self.closed_after is not None


async def test_a_head_and_its_body_are_sent_together_and_at_once() -> None:
    transport = Sent()
    answer = OneWrite(transport)

    answer.write(b"head ")
    answer.write(b"body")
    assert transport.sent == [b"head body"]
    answer.write(b"the next head ")
    answer.write(b"and body")
    await asyncio.sleep(0)

    assert transport.sent == [b"head body", b"the next head and body"]


async def test_a_head_does_not_wait_for_a_body_that_comes_later() -> None:
    transport = Sent()
    answer = OneWrite(transport)

    answer.write(b"head")
    await asyncio.sleep(0)

    assert transport.sent == [b"head"]


async def test_a_connection_closes_after_what_was_written() -> None:
    transport = Sent()
    answer = OneWrite(transport)

    answer.write(b"the last words")
    answer.close()

    assert (transport.sent, transport.closed_after) == ([b"the last words"], 1)
    assert answer.is_closing()


class Heard(asyncio.Protocol):
    """A protocol that remembers that its connection was lost."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost.set()


def test_what_is_written_for_a_client_that_has_just_gone_is_dropped_without_an_error() -> None:
    failures: list[dict[str, Any]] = []

    async def write_too_late() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(context))
        ours, clients = socket.socketpair()
        with clients:
            transport, protocol = await loop.create_connection(Heard, sock=ours)
            transport.abort()
            OneWrite(transport).write(b"head")
            await protocol.lost.wait()
            await asyncio.sleep(0)

    uvloop.run(write_too_late())  # asyncio's own transports say nothing

    assert failures == []


def test_connections_that_wait_are_taken_many_in_a_turn_of_the_loop() -> None:
    """Of services' own loop, uvloop: it takes one in a turn of each listener."""

    async def turns() -> int:
        server = HttpServer(
            host="127.0.0.1", port=0, drain_timeout=timedelta(seconds=1), variable="HEADWATER_PORT"
        )
        await server.start(health_app(Probe()))
        assert server._server is not None
        taken, count = server._server.server_state.connections, 0
        clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(160)]
        while (before := len(taken)) < len(clients):
            turn = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(turn.set_result, None)
            await turn
            # On a busy machine the kernel may still be at the last of them: there was nothing to take then.
            count += len(taken) > before
        for client in clients:
            client.close()
        await server.stop()
        return count

    assert uvloop.run(turns()) < 40
