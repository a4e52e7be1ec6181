"""A NATS server that behaves as it is told: it greets oddly, refuses log-ins, answers nonsense, or nothing at all.

For what a real server does once in a year. It knows PING and no message.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_GREETING = (
    b"INFO "
    + json.dumps(
        {"server_id": "odd", "version": "2.15.1", "headers": True, "max_payload": 1 << 20}
    ).encode()
)


@dataclass(slots=True, kw_only=True)
class OddNats:
    """`greeting` and `answer` are for the connections that come from now on; None: silence. `tried` counts them."""

    port: int = 0
    greeting: bytes | None = _GREETING
    answer: bytes | None = b"PONG"
    tried: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Its address, with a log-in."""
        return f"nats://somebody:password@127.0.0.1:{self.port}"

    def behave(self) -> None:
        """Be like any other server from now on."""
        self.greeting, self.answer = _GREETING, b"PONG"

    def drop(self) -> None:
        """End the connections that are open."""
        for writer in list(self._open):
            writer.transport.abort()

    def say(self, line: str) -> None:
        """Send a line over the connections that are open."""
        for writer in list(self._open):
            writer.write(line.encode() + b"\r\n")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the client leaves it or it is dropped."""
        self.tried += 1
        greeting, answer = self.greeting, self.answer
        self._open.add(writer)
        try:
            if greeting is not None:
                writer.write(greeting + b"\r\n")
            while line := await reader.readline():
                if line == b"PING\r\n" and answer is not None:
                    writer.write(answer + b"\r\n")
                    if answer != b"PONG":
                        await writer.drain()
                        return
        except OSError:
            pass  # dropped
        finally:
            self._open.discard(writer)
            writer.close()


@asynccontextmanager
async def odd_nats() -> AsyncIterator[OddNats]:
    """Such a server, well behaved at first; gone afterwards."""
    odd = OddNats()
    server = await asyncio.start_server(odd.serve, "127.0.0.1", 0)
    odd.port = server.sockets[0].getsockname()[1]
    try:
        yield odd
    finally:
        server.close()
        odd.drop()
