"""Messages to clients, and what they look like as server-sent events (WHATWG HTML, 9.2). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from services.gateway.events.domain import Cursor, Hint

COME_BACK_AFTER = 2_000  # milliseconds that a browser waits before it connects again


@dataclass(slots=True, kw_only=True, eq=False)
class Frame:
    """One message, the same object for every stream that gets it: what is rendered of it is rendered once."""

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
            id_line = b"id: %b\n" % str(self.cursor).encode() if self.cursor else b""
            name, data = self.event.encode(), orjson.dumps(self._body())
            self._sse = b"%bevent: %b\n%bdata: %b\n\n" % (retry, name, id_line, data)
        return self._sse

    def _body(self) -> dict[str, Any]:
        if self.event == "hints":
            return {"hints": [hint.body() for hint in self.hints]}
        if self.event == "end":
            return {"reason": self.reason, "message": self.text}
        return {} if self.reason is None else {"reason": self.reason}


def opening(cursor: Cursor | None) -> Frame:
    """The first message: how long to wait before coming back, and from which position the stream goes on."""
    return Frame(event="open", cursor=cursor)


def hints(changed: Iterable[Hint], cursor: Cursor) -> Frame:
    """Hints that happened until `cursor`."""
    return Frame(event="hints", hints=tuple(changed), cursor=cursor)


def gap(reason: str, cursor: Cursor) -> Frame:
    """Something was missed: the client looks at everything anew, and goes on from `cursor`."""
    return Frame(event="gap", reason=reason, cursor=cursor)


def stale(reason: str) -> Frame:
    """Nothing is heard for now."""
    return Frame(event="stale", reason=reason)


def fresh(cursor: Cursor) -> Frame:
    """Facts are heard again, none was missed; signals were lost meanwhile."""
    return Frame(event="fresh", cursor=cursor)


def end(reason: str, text: str) -> Frame:
    """The last message."""
    return Frame(event="end", reason=reason, text=text)


def heartbeat(cursor: Cursor | None) -> bytes:
    """A comment that keeps proxies from closing the connection; the id alone moves the client's position on."""
    return b": heartbeat\n" + (b"id: %b\n\n" % str(cursor).encode() if cursor else b"\n")
