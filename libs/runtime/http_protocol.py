"""HTTP/1.1 on one connection: uvicorn's protocol, with the limits of `http_limits`.

uvicorn has a setting for none of them but the idle time between requests, and proxies are not always in front. So its
protocol is extended here, where bytes come in and answers go out; parsing, keep-alive and ASGI stay uvicorn's.
"""

import asyncio
from collections.abc import Callable, Hashable, MutableMapping
from enum import Enum, auto
from typing import Any, cast

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from libs.runtime import metrics
from libs.runtime.http_limits import Connections
from libs.runtime.http_writing import DEFAULTS, OneWrite

CONNECTION = "headwater.connection"
"""The key of the `Protocol` in an ASGI scope, for code that needs to know when the client has left."""

# Most bytes of chunked framing for each byte of body: chunks of one byte have six.
_FRAMING = 8
_LINGER = 5.0  # seconds in which the rest of a body is thrown away after its answer


def is_of(scope: MutableMapping[str, Any], owner: Hashable) -> None:
    """Say whose the connection of this request is. A handler says so as soon as it knows its caller."""
    connection: Protocol | None = scope.get(CONNECTION)
    if connection is not None:
        connection.is_of(owner)


class _Phase(Enum):
    """The part of a request that is expected next."""

    HEAD = auto()
    BODY = auto()
    NEXT = auto()


class Protocol(HttpToolsProtocol):
    """One connection. `overstays` checks, once a second, whether its client is over its time limit."""

    def __init__(self, *, among: Connections, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._among = among
        self._limits = among.limits
        self._head_bytes_limit = among.limits.head_bytes
        self._headers_limit = among.limits.headers
        self.address = ""
        self.owner: Hashable = None
        self.has_request = False
        self.is_listed = False
        self._phase = _Phase.HEAD
        self._since = 0.0
        # Bytes of all bodies of this connection, and their number when this body began: two requests may come in one
        # chunk.
        self._bodies_bytes = 0
        self._body_began = 0
        self._other_bytes = 0
        self._chunk_bytes = 0
        self._refused = False
        self._paused_since: float | None = None
        self._closing_since: float | None = None
        self._when_lost: set[Callable[[], object]] = set()
        self.is_lost = False

    # for handlers

    def is_of(self, owner: Hashable) -> None:
        """Its client is known: it is counted as this owner's, and no longer among the strangers of its address."""
        if self.owner is None:
            self._among.is_of(self, owner)

    def when_lost(self, call: Callable[[], object]) -> Callable[[], None]:
        """Call the function once if the client leaves; cancelled by the answer."""
        self._when_lost.add(call)
        return lambda: self._when_lost.discard(call)

    def take_body(self, scope: MutableMapping[str, Any], most: int) -> bytearray | None:
        """The body of the present request, where it has come whole and has at most so many bytes; else it is to be
        received. A request nearly always comes in one piece, and ASGI's way takes three calls and an event."""
        cycle = self.cycle
        if (
            cycle.scope is not scope
            or cycle.more_body
            or cycle.waiting_for_100_continue
            or cycle.disconnected
            or len(cycle.body) > most
        ):
            return None
        body, cycle.body = cycle.body, bytearray()
        return body

    def answer(
        self, scope: MutableMapping[str, Any], status: int, head: bytes, body: bytes
    ) -> bool:
        """Answer the present request by one write; False where it must be answered as ASGI says.

        `head` are lines of headers that end with a line break, with the right content-length.
        """
        cycle = self.cycle
        if (
            cycle.scope is not scope
            or cycle.response_started
            or cycle.disconnected
            or not cycle.keep_alive
            or self.flow.write_paused
        ):
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        defaults = DEFAULTS.encoded(self.server_state.default_headers)
        transport = cast("OneWrite", self.transport)
        transport.write_whole(b"".join((STATUS_LINE[status], defaults, head, b"\r\n", body)))
        cycle.message_event.set()
        cycle.on_response()
        return True

    async def drained(self) -> None:
        """Wait until nearly all of the answer has gone out, or the client has left."""
        await asyncio.sleep(0)  # `OneWrite` holds back the last write until now
        await self.flow.drain()

    # the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Count it, or close it when there is no room."""
        super().connection_made(cast("asyncio.Transport", OneWrite(transport)))
        self.address = self.client[0] if self.client else ""
        self._since = self.loop.time()
        if not self._among.admit(self):
            self.drop("no_slot")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it, and notify the code that works for this client."""
        self._among.remove(self)
        super().connection_lost(exc)
        self.is_lost = True
        lost, self._when_lost = self._when_lost, set()
        for call in lost:
            call()

    def drop(self, why: str = "made_room") -> None:
        """Close it at once; unsent bytes are dropped."""
        metrics.HTTP_DROPPED.labels(why).inc()
        self._among.remove(self)
        self._refused = True
        self.transport.abort()

    # reading

    def data_received(self, data: bytes) -> None:
        """Parse, and check the limits of everything outside bodies."""
        if self._refused:
            return
        if self._phase is _Phase.NEXT and (self.cycle is None or self.cycle.response_complete):
            # The first byte of a next request. It may be an empty line, which begins no request; the time limit must
            # run all the same.
            self._await_head()
        bodies, self._chunk_bytes = self._bodies_bytes, len(data)
        super().data_received(data)
        if self._refused or self._phase is _Phase.NEXT:
            return
        self._other_bytes += len(data) - (self._bodies_bytes - bodies)
        if self._phase is _Phase.HEAD:
            # A chunk of the transport may hold the end of the request before: it is not counted against the next one.
            if (
                self._other_bytes > self._head_bytes_limit + len(data)
                or len(self.headers or ()) > self._headers_limit
            ):
                self._refuse(431, self._too_large())
        elif self._other_bytes > self._head_bytes_limit + _FRAMING * self._body_bytes + len(data):
            self._refuse(400, "The framing of the request body is longer than what it frames.")

    def on_message_begin(self) -> None:
        """A request has begun."""
        super().on_message_begin()
        if self._phase is not _Phase.HEAD:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the head is too large."""
        if self._refused:
            return
        # Only a head that may be too large is measured.
        if len(self.headers) > self._headers_limit or (
            self._other_bytes + self._chunk_bytes > self._head_bytes_limit
            and self._head_bytes() > self._head_bytes_limit
        ):
            self._refuse(431, self._too_large())
            return
        self._phase = _Phase.BODY
        self._since = self.loop.time()
        self._body_began, self._other_bytes = self._bodies_bytes, 0
        self.has_request = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count it."""
        if not self._refused:
            self._bodies_bytes += len(body)
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if not self._refused:
            self._phase = _Phase.NEXT
            # There is none for a head that asks to change over to WebSocket.
            if self.cycle is not None and self.cycle.response_complete:
                self._is_idle()
            super().on_message_complete()
            # uvicorn pauses at a large body until it is taken, and then for good: that the client leaves would never
            # be noticed, and the work for it would go on. A next request pauses anew.
            if not self.pipeline:
                self.flow.resume_reading()

    # WebSocket

    def _should_upgrade(self) -> bool:
        is_answered = self.cycle is None or self.cycle.response_complete
        return is_answered and self.scope["method"] == "GET" and super()._should_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """Clients that ask for HTTP/2 are answered in HTTP/1.1, as they expect."""

    def handle_websocket_upgrade(self) -> None:
        """Leave the place to the protocol that takes over, which counts itself at once."""
        self._among.remove(self)
        super().handle_websocket_upgrade()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        cycle.scope[CONNECTION] = self
        super()._start_asgi_task(cycle, app)

    # writing

    def on_response_complete(self) -> None:
        """The rest of a body that is no longer needed gets a little time. The next request of a pipeline begins.

        As uvicorn's, but without a timer for each answer: `check_time` closes idle connections.
        """
        if self._phase is _Phase.BODY:
            self._since = self.loop.time()
        elif self._phase is _Phase.NEXT and self.cycle.response_complete:
            self._is_idle()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def pause_writing(self) -> None:
        """The client is slower than its answer."""
        self._paused_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """It has taken the next part."""
        self._paused_since = None
        super().resume_writing()

    # time

    def check_time(self, now: float) -> None:
        """Close the connection if its client is over its time limit."""
        limits = self._limits
        if self._paused_since is not None:
            if now - self._paused_since > limits.write_time.total_seconds():
                self.drop("slow_reader")
            return
        if self.transport.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > limits.write_time.total_seconds():
                self.drop("slow_reader")
            return
        if self._phase is _Phase.HEAD:
            if now - self._since > limits.head_time.total_seconds():
                self.drop("no_head")
        elif self._phase is _Phase.BODY:
            self._check_body(now)
        elif self.cycle.response_complete and now - self._since > limits.idle_time.total_seconds():
            self.transport.close()

    def _check_body(self, now: float) -> None:
        if self.cycle is not None and self.cycle.response_complete:
            if now - self._since > _LINGER:
                self.drop("no_body")
        elif self.flow.read_paused:
            # We are the slow side; the client's time begins when we read on.
            self._since = now
        elif now - self._since > (
            self._limits.body_time.total_seconds() + self._body_bytes / self._limits.body_rate
        ):
            metrics.HTTP_DROPPED.labels("no_body").inc()
            self._refuse(408, "The request body did not come in time.")

    @property
    def _body_bytes(self) -> int:
        return self._bodies_bytes - self._body_began

    def _await_head(self) -> None:
        self._phase = _Phase.HEAD
        self._since = self.loop.time()
        self._other_bytes = 0
        self.has_request = False
        if not self.is_listed:
            self._among.is_idle(self)

    def _is_idle(self) -> None:
        """Answered: it makes room for others until its next head is whole."""
        self._since = self.loop.time()
        self.has_request = False
        if not self.is_listed:
            self._among.is_idle(self)

    # refusals

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _too_large(self) -> str:
        return (
            f"The head of the request is larger than {self._head_bytes_limit} bytes"
            f" or has more than {self._headers_limit} headers."
        )

    def send_400_response(self, msg: str) -> None:
        """Bytes that are not HTTP; in JSON, since our clients read nothing else."""
        self._refuse(400, f"{msg.rstrip('.')}.")

    def _refuse(self, status: int, text: str) -> None:
        if self._refused:
            return
        self._refused = True
        self.headers = []
        if self.cycle is not None and not self.cycle.response_complete:
            is_its_own = self._phase is _Phase.BODY and not self.pipeline
            if not is_its_own or self.cycle.response_started:
                # An answer is being sent, and another cannot follow it.
                self.transport.abort()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        body = orjson.dumps({"errors": [{"message": text, "extensions": {"code": "BAD_REQUEST"}}]})
        self.transport.write(
            STATUS_LINE[status] + b"content-type: application/json\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        self.transport.close()
