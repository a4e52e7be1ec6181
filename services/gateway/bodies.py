"""Request bodies: how many bytes are taken of whom, and how they become operations without keeping the event loop.

A small body is read and parsed at once. A large one has a share of the memory that is for large bodies, from its first
byte to its answer, and is parsed beside the loop.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from services.gateway.off_loop import OffLoop
from services.gateway.requests import (
    BadRequestError,
    Given,
    containers_in,
    operations_in,
    operations_in_large,
)
from services.gateway.shares import Owner, Shares

SMALL = 256 * 1024  # bytes; parsed within 2 ms
_SPARSE = 5_000  # objects and arrays of a body that is parsed at once; within 2 ms too
_PATIENCE = 10.0  # seconds that a large body waits for its share

Headers = Mapping[str, str]


class Bodies:
    """Reads the bodies of callers who are known."""

    def __init__(self, limit: int, off_loop: OffLoop) -> None:
        self._limit = limit
        self._off_loop = off_loop
        # Two of the largest at once, and one of a tenant. A batch of log lines has a quarter of the largest.
        self._shares = Shares(
            "bodies",
            2 * limit,
            of_tenant=limit + limit // 2,
            of_key=limit + limit // 2,
            patience=_PATIENCE,
            what="large request bodies to be read",
        )

    def declared(self, headers: Headers) -> int | None:
        """The length that the client declares, None without; raises BadRequestError where it is over the limit."""
        text = headers.get("content-length")
        if text is None or not text.isdecimal():
            return None
        length = int(text[:20])
        if length > self._limit:
            raise self._too_large()
        return length

    async def small(self, receive: Receive) -> tuple[bytearray, bool]:
        """The body as far as it is small, and whether that is all; ClientDisconnect when the client has left."""
        return await _read(receive, bytearray(), SMALL)

    @asynccontextmanager
    async def large(
        self, receive: Receive, owner: Owner, begun: bytearray, *, length: int | None
    ) -> AsyncIterator[bytearray]:
        """The rest of it, with a share of the memory until it is answered; BusyError when there is none in time."""
        async with self._shares.of(owner, self._limit if length is None else length):
            body, is_whole = await _read(receive, begun, self._limit)
            if not is_whole or len(body) > self._limit:
                raise self._too_large()
            yield body

    async def operations(self, owner: Owner, body: bytearray) -> Given:
        """What the body asks; raises BadRequestError."""
        if len(body) <= SMALL and containers_in(body) <= _SPARSE:
            return operations_in(body)
        return await self._off_loop.run(owner, lambda: operations_in_large(body))

    def _too_large(self) -> BadRequestError:
        text = f"The request body is larger than the limit of {self._limit} bytes (HEADWATER_BODY_LIMIT)."
        return BadRequestError(text, status=413)


async def _read(receive: Receive, body: bytearray, until: int) -> tuple[bytearray, bool]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body, True
        if len(body) > until:
            return body, False
