"""A WebSocket as Strawberry's handler wants one: JSON messages in and out, over bare ASGI."""

from collections.abc import AsyncGenerator, Mapping

import orjson
from starlette.types import Receive, Send
from strawberry.http.async_base_view import AsyncWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected

from libs.runtime.http_websocket import WebSocketProtocol
from services.gateway.subscriptions.messages import BadMessageError, read, reason

BAD_MESSAGE = 4400
FORBIDDEN = 4403
RESTART = 1012
TRY_AGAIN = 1013

_CODES = {"unauthenticated": FORBIDDEN, "slow_reader": TRY_AGAIN, "restart": RESTART}


class Socket(AsyncWebSocketAdapter):
    """One client. Closed once, and what is said to a closed one is an error that the handler knows."""

    def __init__(self, receive: Receive, send: Send, connection: WebSocketProtocol | None) -> None:
        self._receive = receive
        self._send = send
        self._connection = connection
        self.is_closed = False

    async def iter_json(
        self,
        *,
        ignore_parsing_errors: bool = False,
    ) -> AsyncGenerator[object, None]:
        """Messages that make sense; one that makes none closes the socket."""
        while not self.is_closed:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self.is_closed = True
                return
            text = message.get("text")
            try:
                if text is None:
                    raise BadMessageError("A message must be text.")
                given = read(text)
            except BadMessageError as error:
                await self.close(BAD_MESSAGE, str(error))
                return
            yield given

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send when the client has taken what came before; WebSocketDisconnected if it has left."""
        if self.is_closed:
            raise WebSocketDisconnected
        try:
            await self._send({"type": "websocket.send", "text": orjson.dumps(message).decode()})
        except OSError as error:
            raise WebSocketDisconnected from error

    async def close(self, code: int, reason: str) -> None:
        """Close it with a sentence; the first one counts."""
        self.cut(code, reason)

    def cut(self, code: int, text: str) -> None:
        """The same, at once: also where the client does not read, and sending would wait for it."""
        if self.is_closed:
            return
        self.is_closed = True
        if self._connection is not None:
            self._connection.end(code, reason(text))

    def end(self, why: str, text: str) -> None:
        """Close it for one of the reasons for which event streams end."""
        self.cut(_CODES.get(why, TRY_AGAIN), text)
