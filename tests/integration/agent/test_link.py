"""The agent's connection to a broker that throws it out, in words that nats-py takes for the end."""

import asyncio

from libs.agent.address import Address
from libs.agent.link import Link
from libs.agent.metrics import Metrics
from libs.agent.say import Say
from libs.runtime.ids import new_id
from tests.support.eventually import eventually
from tests.support.odd_nats import odd_nats

LAST_WORDS = ("User Authentication Revoked", "maximum account active connections exceeded")
_INFO = (
    b'INFO {"server_id": "test", "version": "2.15.1", "max_payload": 1048576, "headers": true}\r\n'
)


async def test_it_comes_back_whatever_it_was_thrown_out_for() -> None:
    connected = asyncio.Semaphore(0)
    words = iter(LAST_WORDS)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_INFO)
        while line := await reader.readline():
            if line == b"PING\r\n":
                writer.write(b"PONG\r\n")
                if (last := next(words, None)) is not None:
                    writer.write(f"-ERR '{last}'\r\n".encode())
                    break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    link = Link(
        Address(url=f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"),
        new_id(),
        name="agent",
        metrics=Metrics(),
        say=Say(as_json=False),
        on_connected=connected.release,
    )
    async with server:
        await link.open()
        async with asyncio.timeout(20):
            # It is thrown out of the second connection before it can call it one.
            for _ in range(2):
                await connected.acquire()
        assert link.is_connected
        assert next(words, None) is None
        await link.close()


async def test_it_comes_back_though_a_server_greeted_it_in_a_way_that_nats_py_does_not_expect() -> (
    None
):
    async with odd_nats() as odd:
        link = Link(
            Address(url=f"nats://127.0.0.1:{odd.port}"),
            new_id(),
            name="agent",
            metrics=Metrics(),
            say=Say(as_json=False),
            on_connected=lambda: None,
        )
        await link.open()
        odd.greeting, before = b"INFO []", odd.tried
        odd.drop()
        await eventually(lambda: odd.tried >= before + 2)

        odd.behave()

        await eventually(lambda: link.is_connected)
        await link.close()
