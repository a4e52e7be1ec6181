"""The upgrade: which address, which page, which subprotocol; then the handler until one of both leaves. Plain ASGI."""

from collections.abc import Mapping

import orjson
from starlette.types import Receive, Scope, Send
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from libs.runtime.http_protocol import CONNECTION
from services.gateway.browsers import WebPages
from services.gateway.context import Shared
from services.gateway.events.access import Access
from services.gateway.events.hub import Hub
from services.gateway.page_headers import below
from services.gateway.plain_answers import RefusalError
from services.gateway.session.endpoint import Sessions
from services.gateway.subscriptions.handler import SocketCounts, View, handler
from services.gateway.subscriptions.listening import Listening
from services.gateway.subscriptions.operations import Subscriptions
from services.gateway.subscriptions.socket import Socket

PATHS = frozenset({"/", "/graphql", "/graphql/", "/graphql/alpha"})
_NO_SUBPROTOCOL = 4406

Headers = Mapping[str, str]


class Sockets:
    """Takes upgrades."""

    def __init__(
        self,
        shared: Shared,
        subscriptions: Subscriptions,
        *,
        hub: Hub,
        access: Access,
        sessions: Sessions,
        pages: WebPages,
        base_path: str,
    ) -> None:
        self._shared = shared
        self._subscriptions = subscriptions
        self._hub = hub
        self._access = access
        self._sessions = sessions
        self._pages = pages
        self._base_path = base_path
        self._counts = SocketCounts(of_key=shared.settings.event_streams_per_key)

    async def answer(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Serve one socket."""
        await receive()  # websocket.connect
        try:
            shown = self._admitted(scope, headers)
        except RefusalError as refused:
            await _refuse(send, refused)
            return
        socket = Socket(receive, send, scope.get(CONNECTION))
        if GRAPHQL_TRANSPORT_WS_PROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept"})
            await socket.close(
                _NO_SUBPROTOCOL, f"Ask for the subprotocol {GRAPHQL_TRANSPORT_WS_PROTOCOL}."
            )
            return
        await send({"type": "websocket.accept", "subprotocol": GRAPHQL_TRANSPORT_WS_PROTOCOL})
        listening = Listening(
            shared=self._shared, hub=self._hub, access=self._access, socket=socket
        )
        view = View(self._access, {**shown}, scope, sockets=self._counts)
        try:
            await handler(view, listening, self._subscriptions).handle()
        finally:
            socket.is_closed = True
            self._access.forget(socket)
            self._counts.remove(listening)

    def _admitted(self, scope: Scope, headers: Headers) -> Headers:
        """The headers, a session's cookie as the token that it is; RefusalError for a page that may not."""
        path = below(self._base_path, scope["path"])
        refused = self._pages.refusal("GET", headers)
        if refused is not None:
            raise RefusalError(refused[0], "FORBIDDEN", refused[1])
        if path not in PATHS:
            raise RefusalError(404, "NOT_FOUND", "Subscriptions are served at /graphql.")
        return self._sessions.of_socket(headers)


async def _refuse(send: Send, refused: RefusalError) -> None:
    """An answer of HTTP instead of the upgrade; browsers show their pages no more than that there was one."""
    error = {"message": str(refused), "extensions": {"code": refused.code}}
    headers = [(b"content-type", b"application/json")]
    await send(
        {
            "type": "websocket.http.response.start",
            "status": refused.status,
            "headers": headers,
        }
    )
    body = orjson.dumps({"errors": [error]})
    await send({"type": "websocket.http.response.body", "body": body})
