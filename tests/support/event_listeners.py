"""Many clients of event streams in a process of their own: half of server-sent events, half of subscriptions.

They note when something was told, by the clock that all processes of a machine share (`perf_counter`). A few of them
read what they are told; the others only count, so that the listeners cost the machine little.
"""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time
from typing import Any
from urllib.parse import urlsplit

import orjson
import uvloop
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.support.eventually import eventually

READERS = 10  # of each kind
_SUBSCRIPTION = "subscription { %s { status cursor events { kind id change version state flow_id flow_run_id } } }"
_OF_SOCKET = 10  # subscriptions


@dataclass(slots=True)
class Told:
    """What listeners noted. `first` is when each (id, version) was told to the readers, of each kind of client."""

    messages: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    when: dict[tuple[str, str, int], list[float]] = field(default_factory=dict)
    cpu: float = 0.0

    def events(self, client: str, events: list[dict[str, Any]], at: float) -> None:
        for event in events:
            if event.get("version") is not None:
                self.when.setdefault((client, event["id"], event["version"]), []).append(at)


@asynccontextmanager
async def listeners(
    url: str, *, streams: int, subscriptions: int, folder: Path
) -> AsyncIterator["asyncio.Future[Told]"]:
    """Clients that listen while the block runs; the future has what they noted, after it."""
    begun, stop = folder / "begun", folder / "stop"
    for mark in (begun, stop):
        mark.unlink(missing_ok=True)
    context = multiprocessing.get_context("spawn")
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        noted = loop.run_in_executor(pool, _listen, url, streams, subscriptions, begun, stop)
        await eventually(lambda: begun.exists() or noted.done(), timeout=120, pause=0.1)
        try:
            yield noted
        finally:
            stop.touch()
            await noted


def _listen(url: str, streams: int, subscriptions: int, begun: Path, stop: Path) -> Told:
    return uvloop.run(_all(url, streams, subscriptions, begun, stop))


async def _all(url: str, streams: int, subscriptions: int, begun: Path, stop: Path) -> Told:
    told = Told()
    async with AsyncExitStack() as exits:
        tasks = []
        for number in range(streams):
            reader = await _open_stream(url, exits)
            tasks.append(asyncio.create_task(_hear_stream(reader, told, reads=number < READERS)))
        for first in range(0, subscriptions, _OF_SOCKET):
            count = min(_OF_SOCKET, subscriptions - first)
            socket = await _open_socket(url, count, exits)
            tasks.append(asyncio.create_task(_hear_socket(socket, told, reads=first < READERS)))
        begun.touch()
        cpu = process_time()
        await eventually(stop.exists, timeout=3600, pause=0.1)
        told.cpu = process_time() - cpu
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return told


async def _open_stream(url: str, exits: AsyncExitStack) -> asyncio.StreamReader:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    exits.callback(writer.close)
    writer.write(b"GET /events HTTP/1.1\r\nHost: %b\r\n\r\n" % where.netloc.encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head, head
    return reader


async def _hear_stream(reader: asyncio.StreamReader, told: Told, *, reads: bool) -> None:
    rest = b""
    while data := await reader.read(1 << 16):
        at = perf_counter()
        told.bytes["sse"] += len(data)
        told.messages["sse"] += data.count(b"event: ")
        if not reads:
            continue
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            if line.startswith(b"data: "):
                body = orjson.loads(line.removeprefix(b"data: ").strip())
                told.events("sse", body.get("hints", []), at)


async def _open_socket(url: str, count: int, exits: AsyncExitStack) -> Any:
    socket = await exits.enter_async_context(
        connect(
            url.replace("http", "ws", 1) + "/graphql",
            subprotocols=[Subprotocol("graphql-transport-ws")],
            compression=None,
            max_size=None,
        )
    )
    await socket.send('{"type":"connection_init"}')
    for number in range(count):
        name = ("flow_run_events", "task_run_events")[number % 2]
        payload = {"query": _SUBSCRIPTION % name}
        message = {"type": "subscribe", "id": str(number), "payload": payload}
        await socket.send(orjson.dumps(message).decode())
    return socket


async def _hear_socket(socket: Any, told: Told, *, reads: bool) -> None:
    async for text in socket:
        at = perf_counter()
        told.bytes["ws"] += len(text)
        told.messages["ws"] += 1
        if reads and '"next"' in text:
            [message] = orjson.loads(text)["payload"]["data"].values()
            told.events("ws", message["events"], at)
