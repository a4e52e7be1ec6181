"""Messages to clients, and what they look like as server-sent events (WHATWG HTML, 9.2). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from services.gateway.events.domain import Cursor, Hint

COME_BACK_AFTER = 2_000  # milliseconds that a browser waits before it connects again


@dataclass(slots=True, kw_only=True, eq=False)
class Told:
    """One message, the same object for every stream that is told it: what is rendered of it is rendered once."""

    event: str
    cursor: Cursor | None = None
    hints: tuple[Hint, ...] = ()
    reason: str | None = None
    text: str = ""
    shown: Any = None
    """As GraphQL shows it (`services.gateway.graphql.subscriptions`)."""
    _sse: bytes | None = None

    @property
    def sse(self) -> bytes:
        """As a server-sent event; its data is one line of JSON."""
        if self._sse is None:
            retry = b"retry: %d\n" % COME_BACK_AFTER if self.event == "open" else b""
            place = b"id: %b\n" % str(self.cursor).encode() if self.cursor else b""
            name, data = self.event.encode(), orjson.dumps(self._body())
            self._sse = b"%bevent: %b\n%bdata: %b\n\n" % (retry, name, place, data)
        return self._sse

    def _body(self) -> dict[str, Any]:
        if self.event == "hints":
            return {"hints": [hint.body() for hint in self.hints]}
        if self.event == "end":
            return {"reason": self.reason, "message": self.text}
        return {} if self.reason is None else {"reason": self.reason}


def opening(cursor: Cursor | None) -> Told:
    """The first message: how long to wait before coming back, and from which place the stream goes on."""
    return Told(event="open", cursor=cursor)


def hints(told: Iterable[Hint], cursor: Cursor) -> Told:
    """Hints that happened until `cursor`."""
    return Told(event="hints", hints=tuple(told), cursor=cursor)


def gap(reason: str, cursor: Cursor) -> Told:
    """Something was missed: the client looks at everything anew, and goes on from `cursor`."""
    return Told(event="gap", reason=reason, cursor=cursor)


def stale(reason: str) -> Told:
    """Nothing is heard for now."""
    return Told(event="stale", reason=reason)


def fresh(cursor: Cursor) -> Told:
    """Facts are heard again, none was missed; signals were lost meanwhile."""
    return Told(event="fresh", cursor=cursor)


def end(reason: str, text: str) -> Told:
    """The last message."""
    return Told(event="end", reason=reason, text=text)


def heartbeat(cursor: Cursor | None) -> bytes:
    """A comment that keeps proxies from closing the connection; the id alone moves the client's place on."""
    return b": heartbeat\n" + (b"id: %b\n\n" % str(cursor).encode() if cursor else b"\n")
