"""Request bodies: limits by caller, and parsing without blocking the event loop.

A tiny body is read at once, a small one with a share of the memory that is for small ones; both are parsed at once. A
large one needs a share of the memory for large bodies, from its first byte to its answer, and is parsed in a thread.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from services.gateway.fair_queue import Owner
from services.gateway.off_loop import OffLoop
from services.gateway.requests import (
    BadRequestError,
    Given,
    containers_in,
    operations_in,
    operations_in_large,
)
from services.gateway.shares import Shares

TINY = 16 * 1024  # bytes; nearly all requests. Parsed within 1 ms, whatever they hold
SMALL = 256 * 1024  # bytes; parsed within 2 ms
_SMALL_BODIES = 64 << 20  # bytes of small bodies under way; of one tenant a third
_WAITING = 200  # bodies of a tenant that wait; each may have a quarter of a mebibyte in the transport's buffer
_SPARSE = 5_000  # objects and arrays of a body that is parsed on the loop; within 2 ms too
_PATIENCE = 10.0  # seconds that a large body waits for its share

Headers = Mapping[str, str]


class Bodies:
    """Reads the bodies of authenticated callers."""

    def __init__(self, limit: int, off_loop: OffLoop) -> None:
        self._limit = limit
        self._off_loop = off_loop
        # Two of the largest at once, and one of a tenant. A batch of log lines has a quarter of the largest.
        self._large = Shares(
            "bodies",
            2 * limit,
            of_tenant=limit + limit // 2,
            of_key=limit + limit // 2,
            patience=_PATIENCE,
            what="large request bodies to be read",
            waiting=_WAITING,
        )
        self._small = Shares(
            "small_bodies",
            _SMALL_BODIES,
            of_tenant=_SMALL_BODIES // 3,
            of_key=_SMALL_BODIES // 3,
            patience=_PATIENCE,
            what="their request bodies to be read",
            waiting=_WAITING,
        )

    def declared(self, headers: Headers) -> int | None:
        """The length that the client declares, or None; raises BadRequestError when it is over the limit."""
        text = headers.get("content-length")
        if text is None or not text.isdecimal():
            return None
        length = int(text[:20])
        if length > self._limit:
            raise self._too_large()
        return length

    async def tiny(self, receive: Receive) -> bytearray:
        """A body whose declared length is tiny; ClientDisconnect when the client has left."""
        body, _ = await _read(receive, bytearray(), TINY)
        return body

    @asynccontextmanager
    async def reading(
        self, receive: Receive, owner: Owner, *, length: int | None
    ) -> AsyncIterator[bytearray]:
        """The body, with a share of the memory until it is answered; BusyError when there is none in time."""
        body = bytearray()
        if length is None or length <= SMALL:
            async with self._small.of(owner, SMALL if length is None else length):
                body, is_whole = await _read(receive, body, SMALL)
                if is_whole:
                    yield body
                    return
        async with self._large.of(owner, self._limit if length is None else length):
            body, is_whole = await _read(receive, body, self._limit)
            if not is_whole or len(body) > self._limit:
                raise self._too_large()
            yield body

    async def operations(self, owner: Owner, body: bytearray) -> Given:
        """The operations of a body that is not tiny; raises BadRequestError."""
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
