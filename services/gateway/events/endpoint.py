"""`GET /events`: who asks, for what, and then what the hub tells until one of both leaves. Plain ASGI."""

from collections.abc import Mapping

from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from libs.runtime.http_protocol import CONNECTION, Protocol
from services.gateway.events import frames
from services.gateway.events.access import Access
from services.gateway.events.domain import BadFilterError, Cursor, Filter, cursor_of, filter_of
from services.gateway.events.hub import Hub, Stream, TooManyError
from services.gateway.plain_answers import RefusalError, refuse

PATH = "/events"
HEARTBEAT = 15.0  # seconds; proxies close what is silent for a minute, some for thirty seconds
_PARAMETERS = frozenset({"kinds", "flow", "flow_run", "last_event_id"})

Headers = Mapping[str, str]

_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep messages until a buffer is full
    (b"x-content-type-options", b"nosniff"),
]


class Events:
    """The endpoint."""

    def __init__(self, hub: Hub, access: Access) -> None:
        self._hub = hub
        self._access = access

    async def answer(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Stream until the client leaves, its key ends, or this gateway stops."""
        connection: Protocol | None = scope.get(CONNECTION)
        try:
            identity = await self._access.identity(headers, scope)
            wanted, cursor = _asked(scope, headers)
            wanted = await self._access.known(wanted, identity)
            owner = identity.owner
            stream = Stream(owner, wanted, cursor, cut=lambda: _cut(connection))
            try:
                self._hub.open(stream)
            except TooManyError as error:
                raise RefusalError(429, "TOO_MANY_STREAMS", str(error)) from None
        except RefusalError as refused:
            await refuse(send, refused)
            return
        self._access.watch(stream, headers, identity)
        forget = connection.when_lost(stream.gone) if connection is not None else lambda: None
        try:
            await self._write(stream, send)
        finally:
            stream.done()
            forget()
            self._access.forget(stream)
            self._hub.leave(stream)

    async def _write(self, stream: Stream, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
        while True:
            taken = await stream.next(within=HEARTBEAT)
            if taken is None:
                piece = frames.heartbeat(self._hub.cursor_of(stream))
            else:
                piece = b"".join([each.sse for each in taken])
            is_last = stream.ended is not None
            if piece:
                await _part(send, piece)
            if is_last and stream.is_empty:
                break
        await send({"type": "http.response.body", "body": b""})


def _asked(scope: Scope, headers: Headers) -> tuple[Filter, Cursor | None]:
    """What the address asks for, and from where on; RefusalError says what makes no sense."""
    asked = QueryParams(scope["query_string"])
    unknown = sorted(set(asked) - _PARAMETERS)
    try:
        if unknown:
            msg = f"There is no parameter {unknown[0][:64]!r}; known are {', '.join(sorted(_PARAMETERS))}."
            raise BadFilterError(msg)
        # EventSource sends the header when it comes back, and cannot when it comes first.
        last = headers.get("last-event-id") or asked.get("last_event_id")
        return filter_of(asked), cursor_of(last) if last else None
    except BadFilterError as error:
        raise RefusalError(400, "BAD_REQUEST", str(error)) from None


def _cut(connection: Protocol | None) -> None:
    if connection is not None:
        connection.drop("slow_reader")


async def _part(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})
