"""A real HTTP receiver for deliveries: keeps what it gets, answers as the test says, hangs until it is let go."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request. Header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return orjson.loads(self.body)

    @property
    def key(self) -> str:
        """The id that all tries share."""
        return self.headers["webhook-id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is answered. `hangs`: only after `Receiver.release`."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    hangs: bool = False


@dataclass(slots=True)
class Receiver:
    """Where deliveries arrive."""

    port: int = 0
    host: str = "127.0.0.1"
    received: list[Received] = field(default_factory=list)
    reply: Callable[[Received], Reply] = lambda _: Reply()
    waiting: int = 0
    """Requests that hang now."""
    _released: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.host}:{self.port}"

    @property
    def keys(self) -> list[str]:
        """The keys of what it got, in order."""
        return [each.key for each in self.received]

    def answer(self, status: int = 200, body: bytes = b"ok", **headers: str) -> None:
        """Answer everything like this from now on."""
        reply = Reply(
            status=status,
            body=body,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        self.reply = lambda _: reply

    def hang(self) -> None:
        """Answer nothing from now on, until `release`."""
        self._released.clear()
        self.reply = lambda _: Reply(hangs=True)

    def release(self) -> None:
        """Answer what hangs."""
        self._released.set()

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections, and drop those there are."""
        self.release()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        if self._connections:
            await asyncio.wait(list(self._connections))
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def _on_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        lines = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in lines}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Received(path=head[0].split(" ")[1], headers=headers, body=body)
        self.received.append(request)
        reply = self.reply(request)
        if reply.hangs:
            self.waiting += 1
            try:
                await self._released.wait()
            finally:
                self.waiting -= 1
        extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        writer.write(
            f"HTTP/1.1 {reply.status} x\r\nContent-Length: {len(reply.body)}\r\n{extra}\r\n".encode()
            + reply.body
        )
        await writer.drain()


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    made = Receiver()
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
