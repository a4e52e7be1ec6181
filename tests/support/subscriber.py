"""A client of `graphql-transport-ws` without a library of it: what it is told first, or how it is sent away."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

PATIENCE = 20.0  # seconds
PROTOCOL = Subprotocol("graphql-transport-ws")


@asynccontextmanager
async def socket_at(
    url: str, *, init: Mapping[str, Any] | None = None, **how: Any
) -> AsyncIterator[ClientConnection]:
    """A socket at a gateway (`http://...`); with `init` it has been acknowledged."""
    address = url.replace("http", "ws", 1).rstrip("/") + "/graphql"
    async with connect(address, subprotocols=[PROTOCOL], **how) as socket:
        if init is not None:
            await say(socket, type="connection_init", payload=init)
            assert await hear(socket) == {"type": "connection_ack"}
        yield socket


async def say(socket: ClientConnection, **message: Any) -> None:
    """Send one message."""
    await socket.send(orjson.dumps(message).decode())


async def hear(socket: ClientConnection) -> Any:
    """The next message."""
    async with asyncio.timeout(PATIENCE):
        return orjson.loads(await socket.recv())


async def closing(socket: ClientConnection) -> tuple[int, str]:
    """The code and the reason with which the socket is closed."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                await socket.recv()
    except ConnectionClosed:
        return socket.close_code or 0, socket.close_reason or ""


async def first_told(
    url: str, query: str, variables: Mapping[str, Any], *, headers: Mapping[str, str]
) -> dict[str, Any]:
    """The first answer to a subscription, without its id; `closed` says how the socket was closed instead."""
    async with socket_at(url, additional_headers=dict(headers)) as socket:
        await say(socket, type="connection_init")
        try:
            acknowledged = await hear(socket)
        except ConnectionClosed:
            return {"closed": await closing(socket)}
        assert acknowledged == {"type": "connection_ack"}
        payload = {"query": query, "variables": dict(variables)}
        await say(socket, type="subscribe", id="1", payload=payload)
        answer = await hear(socket)
    return {"type": answer["type"], "payload": answer["payload"]}
