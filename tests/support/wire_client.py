"""GraphQL over a connection that stays open, as cheaply as Python can: for races, where the client is not the queue.

An HTTP library costs more CPU for a request than the gateway does for its answer; 200 of its requests "at once" arrive
one after the other. Here a request is bytes that were made before the race, and an answer is bytes too.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from tests.support.wire_load import http_request

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def request(query: str, **variables: Any) -> bytes:
    """An operation, ready to be sent any number of times."""
    return http_request(orjson.dumps({"query": query, "variables": variables}))


@dataclass(frozen=True, slots=True)
class Wire:
    """One connection to one gateway: one request at a time."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, prepared: bytes) -> bytes:
        """The body of the answer, whatever it says; the status must be 200."""
        self.writer.write(prepared)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        assert length is not None, head
        body = await self.reader.readexactly(int(length[1]))
        assert head.startswith(b"HTTP/1.1 200"), (head, body[:2000])
        return body

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer without errors."""
        answer = orjson.loads(await self.send(request(query, **variables)))
        assert not answer.get("errors"), answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data


@asynccontextmanager
async def wires(urls: Sequence[str], *, count: int) -> AsyncIterator[list[Wire]]:
    """So many connections, shared out among the gateways in turn."""
    async with AsyncExitStack() as exits:
        found = []
        for place in range(count):
            where = urlsplit(urls[place % len(urls)])
            reader, writer = await asyncio.open_connection(where.hostname, where.port)
            exits.callback(writer.close)
            found.append(Wire(reader, writer))
        yield found
