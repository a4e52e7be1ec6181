"""`GET /events`: who asks, for what, and then what the hub tells until one of both leaves. Plain ASGI."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from uuid import UUID

from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from libs.contracts.base import Refused
from libs.runtime import log
from libs.runtime.failures import is_outage
from libs.runtime.http_protocol import CONNECTION, Protocol
from services.gateway import compat
from services.gateway.events import frames
from services.gateway.events.domain import BadFilterError, Cursor, Filter, cursor_of, filter_of
from services.gateway.events.hub import Hub, Stream, TooManyError
from services.gateway.identity import Authenticator, Identity
from services.gateway.plain_answers import RefusalError, refuse
from services.gateway.shares import BusyError

PATH = "/events"
HEARTBEAT = 15.0  # seconds; proxies close what is silent for a minute, some for thirty seconds
_PARAMETERS = frozenset({"kinds", "flow", "flow_run", "last_event_id"})

Headers = Mapping[str, str]
Versions = Callable[[UUID, UUID], Awaitable[frozenset[UUID]]]
"""The ids of a flow's or group's versions in a tenant; none where it has no such flow."""
HasRun = Callable[[UUID, UUID], Awaitable[bool]]
"""Whether a tenant has a flow run."""

_log = log.get("gateway")
_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep messages until a buffer is full
    (b"x-content-type-options", b"nosniff"),
]


class Events:
    """The endpoint, and the check that open streams are still their keys' to have."""

    def __init__(
        self, hub: Hub, authenticator: Authenticator, *, versions: Versions, has_run: HasRun
    ) -> None:
        self._hub = hub
        self._authenticator = authenticator
        self._versions = versions
        self._has_run = has_run
        self._shown: dict[Stream, Headers] = {}

    async def answer(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Stream until the client leaves, its key ends, or this gateway stops."""
        connection: Protocol | None = scope.get(CONNECTION)
        try:
            identity = await self._identity(headers, scope)
            wanted, cursor = await self._asked(scope, headers, identity)
            stream = Stream(_owner(identity), wanted, cursor, cut=lambda: _cut(connection))
            try:
                self._hub.open(stream)
            except TooManyError as error:
                raise RefusalError(429, "TOO_MANY_STREAMS", str(error)) from None
        except RefusalError as refused:
            await refuse(send, refused)
            return
        self._shown[stream] = _credentials(headers)
        forget = connection.when_lost(stream.gone) if connection is not None else lambda: None
        try:
            await self._write(stream, send)
        finally:
            stream.done()
            forget()
            del self._shown[stream]
            self._hub.leave(stream)

    async def _write(self, stream: Stream, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
        while True:
            piece = await stream.next(within=HEARTBEAT)
            if piece is None:
                piece = frames.heartbeat(self._hub.cursor_of(stream))
            is_last = stream.ended is not None
            if piece:
                await _part(send, piece)
            if is_last and stream.is_empty:
                break
        await send({"type": "http.response.body", "body": b""})

    async def _identity(self, headers: Headers, scope: Scope) -> Identity:
        client = scope.get("client")
        try:
            identity = await self._authenticator.identify(headers, client[0] if client else "")
        except BusyError as error:
            raise RefusalError(429, "BUSY", str(error)) from None
        except Exception as error:
            if not is_outage(error):
                raise
            text = "Nobody can be known while PostgreSQL is away; try again soon."
            raise RefusalError(503, "API_ERROR", text) from error
        if isinstance(identity, Refused):
            raise RefusalError(401, "UNAUTHENTICATED", compat.error_of(identity).message)
        if identity.renewing is not None:
            raise RefusalError(401, "UNAUTHENTICATED", "A refresh token opens no event stream.")
        return identity

    async def _asked(
        self, scope: Scope, headers: Headers, identity: Identity
    ) -> tuple[Filter, Cursor | None]:
        asked = QueryParams(scope["query_string"])
        unknown = sorted(set(asked) - _PARAMETERS)
        try:
            if unknown:
                msg = f"There is no parameter {unknown[0][:64]!r}; known are {', '.join(sorted(_PARAMETERS))}."
                raise BadFilterError(msg)
            wanted = filter_of(asked)
            # EventSource sends the header when it comes back, and cannot when it comes first.
            last = headers.get("last-event-id") or asked.get("last_event_id")
            cursor = cursor_of(last) if last else None
        except BadFilterError as error:
            raise RefusalError(400, "BAD_REQUEST", str(error)) from None
        try:
            return await self._known(wanted, identity.tenant_id), cursor
        except Exception as error:
            if not is_outage(error):
                raise
            text = "Ids cannot be looked up while PostgreSQL is away; try again soon."
            raise RefusalError(503, "API_ERROR", text) from error

    async def _known(self, wanted: Filter, tenant_id: UUID) -> Filter:
        """The filter with the flow's versions; the same answer for ids of others and of nobody."""
        run, flow = wanted.flow_run, wanted.flow
        if run is not None and not await self._has_run(tenant_id, run):
            raise RefusalError(404, "NOT_FOUND", f"flow_run: there is no flow run {run}.")
        if flow is None:
            return wanted
        versions = await self._versions(tenant_id, flow)
        if not versions:
            raise RefusalError(404, "NOT_FOUND", f"flow: there is no flow or flow group {flow}.")
        return replace(wanted, versions=versions)

    async def check_keys(self) -> int:
        """End the streams whose callers would be refused now; how many. Each credential is looked at once."""
        by_credentials: dict[tuple[tuple[str, str], ...], list[Stream]] = {}
        for stream, headers in self._shown.items():
            by_credentials.setdefault(tuple(headers.items()), []).append(stream)
        ended = 0
        for shown, streams in by_credentials.items():
            text = await self._refusal(dict(shown), streams[0].owner)
            if text is not None:
                for stream in streams:
                    stream.end("unauthenticated", text)
                ended += len(streams)
        return ended

    async def _refusal(self, headers: Headers, owner: tuple[UUID, UUID | None]) -> str | None:
        try:
            identity = await self._authenticator.identify(headers)
        except BusyError:
            return None
        except Exception as error:
            # No key can end while nobody can write that it has.
            if not is_outage(error):
                _log.error("stream_key_not_checked", error=str(error), exc_info=True)
            return None
        if isinstance(identity, Refused):
            return str(compat.error_of(identity).message)
        if _owner(identity) != owner:
            return "The tenant of this stream is no longer yours."
        return None


def _owner(identity: Identity) -> tuple[UUID, UUID | None]:
    return identity.tenant_id, identity.key.id if identity.key is not None else None


def _cut(connection: Protocol | None) -> None:
    if connection is not None:
        connection.drop("slow_reader")


def _credentials(headers: Headers) -> Headers:
    names = ("authorization", "x-prefect-tenant-id")
    return {name: headers[name] for name in names if name in headers}


async def _part(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})
