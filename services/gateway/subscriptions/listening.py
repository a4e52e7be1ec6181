"""What one socket's subscriptions may reach: who is asking, and the hub of events."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLError

from services.gateway.context import Context, Shared
from services.gateway.events import frames
from services.gateway.events.access import Access
from services.gateway.events.domain import BadFilterError, Cursor, Filter, cursor_of
from services.gateway.events.frames import Frame
from services.gateway.events.hub import Hub, Stream, TooManyError
from services.gateway.identity import Identity
from services.gateway.plain_answers import RefusalError
from services.gateway.subscriptions.socket import Socket

QUIET = 15.0
"""Seconds without a message, until one says how far the events have come."""


@dataclass(slots=True, kw_only=True, eq=False)
class Listening:
    """One socket. `identity` is there from its `connection_init` on."""

    shared: Shared
    hub: Hub
    access: Access
    socket: Socket
    identity: Identity | None = None
    connection_params: dict[str, Any] = field(default_factory=dict)
    """The payload of `connection_init`; Strawberry puts it here."""

    def context(self) -> Context:
        """One operation, as a request of its own: it has a budget of its own."""
        return Context(shared=self.shared, identity=self._known())

    async def listen(self, wanted: Filter, after: str | None) -> AsyncGenerator[Frame, None]:
        """The frames from now on, or from the cursor `after` on. GraphQLError says why nothing is.

        It ends with the socket: whatever ends a stream closes it, with the reason.
        """
        stream = await self._open(wanted, after)
        cursor_seen: Cursor | None = None
        try:
            while True:
                taken = await stream.next(within=QUIET)
                for frame in self._moved_on(stream, cursor_seen) if taken is None else taken:
                    if frame.event == "end":
                        self.socket.end(stream.ended or "", frame.text)
                        return
                    cursor_seen = frame.cursor or cursor_seen
                    yield frame
                if stream.ended is not None and stream.is_empty:
                    return
        finally:
            stream.done()
            self.hub.leave(stream)

    def _moved_on(self, stream: Stream, cursor_seen: Cursor | None) -> list[Frame]:
        """A message without events where others' events have moved the position: an old cursor cannot be resumed."""
        now = self.hub.cursor_of(stream)
        return [] if now is None or now == cursor_seen else [frames.hints((), now)]

    async def _open(self, wanted: Filter, after: str | None) -> Stream:
        identity = self._known()
        try:
            cursor = cursor_of(after, name="after") if after else None
            known = await self.access.known(
                wanted, identity, flow="flow_id", flow_run="flow_run_id"
            )
            stream = Stream(
                identity.owner,
                known,
                cursor,
                cut=lambda: self.socket.end(stream.ended or "", "You read too slowly."),
            )
            self.hub.open(stream)
        except BadFilterError as error:
            raise _refused(str(error), "BAD_REQUEST") from None
        except RefusalError as error:
            raise _refused(str(error), error.code) from None
        except TooManyError as error:
            raise _refused(str(error), "TOO_MANY_STREAMS") from None
        return stream

    def _known(self) -> Identity:
        if self.identity is None:
            msg = "an operation before connection_init"
            raise TypeError(msg)
        return self.identity


def _refused(text: str, code: str) -> GraphQLError:
    return GraphQLError(text, extensions={"code": code})
