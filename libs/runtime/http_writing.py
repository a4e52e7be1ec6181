"""How answers are written to a connection: as few system calls and copies as possible."""

import asyncio
from typing import Any


class OneWrite:
    """A transport that sends an answer's head and body by one system call.

    uvicorn writes one after the other, and uvloop sends each at once: a fifth of the CPU of an answered mutation was in
    sending, and the client was woken twice. The first write waits for the next one, until the end of this turn of the
    event loop at most.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._first: bytes | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether it is closed, or will be."""
        return self._transport.is_closing()

    def write_whole(self, data: bytes) -> None:
        """Send an answer that is whole at once, after what waits."""
        if self._first is not None:
            first, self._first = self._first, None
            data = first + data
        self._transport.write(data)

    def write(self, data: bytes) -> None:
        """Send together with the write before, or at the end of this turn."""
        if self._first is None:
            self._first = data
            self._loop.call_soon(self._send)
        else:
            first, self._first = self._first, None
            self._transport.write(b"".join((first, data)))

    def close(self) -> None:
        """Send the waiting bytes, then close."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._first is not None:
            first, self._first = self._first, None
            # uvloop raises where the client has gone meanwhile.
            if not self._transport.is_closing():
                self._transport.write(first)


class Defaults:
    """The headers of every answer, as bytes; uvicorn makes a new list each second, for the date."""

    def __init__(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._encoded = b""

    def encoded(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Lines that end with a line break."""
        if headers is not self._headers:
            self._encoded = b"".join(b"%b: %b\r\n" % header for header in headers)
            self._headers = headers
        return self._encoded


DEFAULTS = Defaults()
"""Of all servers of this process: they make the same."""
