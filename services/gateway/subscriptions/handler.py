"""Strawberry's handler of `graphql-transport-ws`, with our words and our log."""

from datetime import timedelta
from typing import Any, cast

from graphql import GraphQLError
from starlette.types import Scope
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
)
from strawberry.types.unset import UNSET, UnsetType

from libs.runtime import log
from services.gateway.events.access import Access
from services.gateway.plain_answers import RefusalError
from services.gateway.subscriptions.listening import Listening
from services.gateway.subscriptions.messages import credentials
from services.gateway.subscriptions.operations import Subscriptions
from services.gateway.subscriptions.socket import FORBIDDEN, TRY_AGAIN

INIT_TIMEOUT = timedelta(seconds=10)
MOST_OPERATIONS = 20
"""At once on one socket: as many as a page has parts."""
TOO_MANY = 4429

_NOTHING_MORE = cast("UnsetType", UNSET)
_log = log.get("gateway")


class Handler(BaseGraphQLTransportWSHandler[Listening, None]):
    """One socket."""

    async def handle_task_exception(self, error: Exception) -> None:
        """Who has left is no fault; anything else is ours."""
        if not isinstance(error, WebSocketDisconnected):
            _log.error("subscription_failed", error=str(error), exc_info=error)

    @staticmethod
    def _get_pre_execution_close_reason(_error: GraphQLError) -> str | None:
        """A document that does not parse costs its sender an error, and not the socket with all that is on it."""
        return None


class View:
    """What the handler asks of its surroundings: whether who has introduced itself may come in."""

    def __init__(
        self, access: Access, headers: dict[str, str], scope: Scope, *, sockets: "SocketCounts"
    ) -> None:
        self._access = access
        self._headers = headers
        self._scope = scope
        self._sockets = sockets

    async def on_ws_connect(self, context: Listening) -> UnsetType:
        """Know the client by the upgrade's headers or by its first message; ConnectionRejectionError if nobody does."""
        shown = credentials(self._headers, context.connection_params)
        try:
            identity = await self._access.identity(shown, self._scope)
        except RefusalError as refused:
            code = FORBIDDEN if refused.status == 401 else TRY_AGAIN
            context.socket.cut(code, str(refused))
            raise ConnectionRejectionError from None
        text = self._sockets.add(context, identity.owner)
        if text is not None:
            context.socket.cut(TOO_MANY, text)
            raise ConnectionRejectionError
        context.identity = identity
        self._access.watch(context.socket, shown, identity)
        return _NOTHING_MORE


class SocketCounts:
    """How many sockets each key has."""

    def __init__(self, *, of_key: int) -> None:
        self._of_key = of_key
        self._owners: dict[Listening, Any] = {}
        self._counts: dict[Any, int] = {}

    def add(self, socket: Listening, owner: Any) -> str | None:
        """Count one, or say why it is one too many."""
        if self._counts.get(owner, 0) >= self._of_key:
            return (
                f"This key has {self._of_key} sockets open, which is as many as it may; close one."
            )
        self._owners[socket] = owner
        self._counts[owner] = self._counts.get(owner, 0) + 1
        return None

    def remove(self, socket: Listening) -> None:
        """Forget one, if it was counted."""
        owner = self._owners.pop(socket, None)
        if owner is None:
            return
        self._counts[owner] -= 1
        if not self._counts[owner]:
            del self._counts[owner]


def handler(view: View, context: Listening, subscriptions: Subscriptions) -> Handler:
    """The handler of one socket."""
    return Handler(
        view=view,  # type: ignore[arg-type]  # it asks for `on_ws_connect` alone
        websocket=context.socket,
        context=context,
        root_value=None,
        schema=subscriptions,  # type: ignore[arg-type]  # it asks for `stream` alone
        connection_init_wait_timeout=INIT_TIMEOUT,
        max_subscriptions_per_connection=MOST_OPERATIONS,
    )
