"""A TCP proxy that can be cut: what goes through it is dropped, and nobody gets through until it is mended.

Or it hangs: its connections stay open, and nothing of what is sent is taken any more.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from tests.support.certificates import Certificates


@dataclass(slots=True, kw_only=True)
class Cut:
    """The way to `host:port`; `url` leads through it."""

    host: str
    port: int
    url: str = ""
    is_open: bool = True
    holds: bool = False
    cuts: int = 0
    _through: set[asyncio.StreamWriter] = field(default_factory=set)
    _hanging: set[asyncio.StreamWriter] = field(default_factory=set)
    _ends: asyncio.Event = field(default_factory=asyncio.Event)

    def cut(self) -> None:
        """Drop every connection, and every new one until `mend`."""
        self.is_open = False
        self.cuts += 1
        self._ends.set()
        for writer in list(self._through):
            writer.transport.abort()

    def hold(self) -> None:
        """Drop every connection; of new ones the far side hears nothing until `mend`, though it is heard."""
        self.cut()
        self.is_open = self.holds = True
        self._ends.clear()

    def mend(self) -> None:
        """Let connections through again."""
        self.holds = False
        self.is_open = True
        self._ends.clear()

    def hang(self) -> int:
        """Take nothing any more of what the connections that are open now send; how many there are. New ones work."""
        self._hanging |= self._through
        return len(self._through) // 2

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        try:
            if not self.is_open:
                return
            far_reader, far_writer = await asyncio.open_connection(self.host, self.port)
            self._through |= {writer, far_writer}
            try:
                await asyncio.wait(
                    {
                        asyncio.create_task(self._copy(reader, far_writer, held=self.holds)),
                        asyncio.create_task(self._copy(far_reader, writer)),
                    },
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                self._through -= {writer, far_writer}
                far_writer.transport.abort()
        except OSError:
            pass  # the far side is down
        finally:
            writer.transport.abort()

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, held: bool = False
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(64 << 10):
                if held:
                    continue
                if writer in self._hanging:
                    await self._ends.wait()
                    return
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def cut_before(url: str, *, tls: Certificates | None = None) -> AsyncIterator[Cut]:
    """A proxy before this address, on a port of its own. With certificates it speaks TLS: https before http."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    cut = Cut(host=parts.hostname, port=parts.port)
    context = None
    if tls is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls.certificate, tls.key)
        parts = parts._replace(scheme=f"{parts.scheme}s")
    server = await asyncio.start_server(cut.carry, "127.0.0.1", 0, ssl=context)
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    port = server.sockets[0].getsockname()[1]
    cut.url = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{port}"))
    try:
        yield cut
    finally:
        cut.cut()
        server.close()
