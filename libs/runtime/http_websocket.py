"""WebSocket on one connection: uvicorn's protocol, with the limits of `http_limits`.

The head of the upgrade was read by `http_protocol`, within its bounds, and its slot is kept. From then on
a message has so many bytes and fragments and so much time, pings must be answered, and a reader must take what it is
sent. Nothing is compressed: a small message could stand for a large one.
"""

import asyncio
from collections.abc import Hashable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from libs.runtime import metrics
from libs.runtime.http_limits import Connections
from libs.runtime.http_protocol import CONNECTION

MESSAGE_BYTES = 64 * 1024
"""Of one message; a subscription and its variables have a few hundred."""
PING_INTERVAL = 20.0  # seconds
PING_TIMEOUT = 20.0  # seconds
_FRAGMENTS = 1_000  # of one message: an empty one costs its sender little and us an entry in a list


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One connection. `check_time` says, once a second, whether its client has had its time."""

    def __init__(self, *, among: Connections, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._among = among
        self._limits = among.limits
        self.address = ""
        self.owner: Hashable = None
        self.has_request = False
        self.is_listed = False
        self._paused_since: float | None = None
        self._closing_since: float | None = None
        self._message_since: float | None = None

    # what a handler may ask

    def is_of(self, owner: Hashable) -> None:
        """Its client is known: it is counted as this owner's, and no longer among the strangers of its address."""
        if self.owner is None:
            self._among.is_of(self, owner)

    def end(self, code: int, reason: str) -> None:
        """Say why and close, also to a client that reads nothing: it has `write_time` to take the last word."""
        if self.close_sent or not self.handshake_complete or self.transport.is_closing():
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.disconnected = True
        # Writers that wait are released: they learn that the client has left.
        self.writable.set()
        self.transport.close()

    # the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the slot that the upgrade's connection has just left."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        if self._among.admit(self):
            self.has_request = True
        else:
            self.drop("no_slot")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._among.remove(self)
        super().connection_lost(exc)

    def drop(self, why: str = "made_room") -> None:
        """Close it at once; what is still to be sent is thrown away."""
        metrics.HTTP_DROPPED.labels(why).inc()
        self._among.remove(self)
        self.transport.abort()

    async def run_asgi(self) -> None:
        """Tell the application which connection it is on."""
        self.scope[CONNECTION] = self  # type: ignore[literal-required]  # ours
        await super().run_asgi()

    # what comes in

    def handle_text(self, event: Frame) -> None:
        """A message, or its first part."""
        self._began(event)
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """A message, or its first part."""
        self._began(event)
        super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """A further part of one."""
        if len(self.frames) >= _FRAGMENTS:
            self.end(1009, f"A message has at most {_FRAGMENTS} parts.")
            return
        if event.fin:
            self._message_since = None
        super().handle_cont(event)

    def _began(self, event: Frame) -> None:
        self._message_since = None if event.fin else self.loop.time()

    async def receive(self) -> Any:
        """The next message; nothing more is read for a client that does not read."""
        message = await super().receive()
        if self._paused_since is not None and not self.transport.is_closing():
            self.transport.pause_reading()
        return message

    # what goes out

    def pause_writing(self) -> None:
        """The client is slower than what it is sent. Its pings would have answers, so they must wait."""
        self._paused_since = self.loop.time()
        super().pause_writing()
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """It has taken the next part."""
        self._paused_since = None
        super().resume_writing()
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    # time

    def check_time(self, now: float) -> None:
        """Close the connection if its client has had its time."""
        limits = self._limits
        write_time = limits.write_time.total_seconds()
        if self._paused_since is not None and now - self._paused_since > write_time:
            self.drop("slow_reader")
        elif self.transport.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > write_time:
                self.drop("slow_reader")
        elif (
            self._message_since is not None
            and now - self._message_since > limits.body_time.total_seconds()
        ):
            self.drop("no_body")
