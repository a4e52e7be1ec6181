"""Messages as server-sent events (WHATWG HTML, 9.2): what is written to a client. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from services.gateway.events.domain import Cursor, Hint

COME_BACK_AFTER = 2_000  # milliseconds that a browser waits before it connects again


def opening(cursor: Cursor | None) -> bytes:
    """The first message: how long to wait before coming back, and from which place the stream goes on."""
    return b"retry: %d\n" % COME_BACK_AFTER + message("open", {}, cursor)


def hints(told: Iterable[Hint], cursor: Cursor) -> bytes:
    """Hints that happened until `cursor`."""
    return message("hints", {"hints": [hint.body() for hint in told]}, cursor)


def gap(reason: str, cursor: Cursor) -> bytes:
    """Something was missed: the client looks at everything anew, and goes on from `cursor`."""
    return message("gap", {"reason": reason}, cursor)


def stale(reason: str) -> bytes:
    """Nothing is heard for now."""
    return message("stale", {"reason": reason}, None)


def fresh(cursor: Cursor) -> bytes:
    """Facts are heard again, none was missed; signals were lost meanwhile."""
    return message("fresh", {}, cursor)


def end(reason: str, text: str) -> bytes:
    """The last message."""
    return message("end", {"reason": reason, "message": text}, None)


def heartbeat(cursor: Cursor | None) -> bytes:
    """A comment that keeps proxies from closing the connection; the id alone moves the client's place on."""
    return b": heartbeat\n" + (b"id: %b\n\n" % str(cursor).encode() if cursor else b"\n")


def message(event: str, body: Mapping[str, Any], cursor: Cursor | None) -> bytes:
    """One message; its data is one line of JSON."""
    place = b"id: %b\n" % str(cursor).encode() if cursor else b""
    return b"event: %b\n%bdata: %b\n\n" % (event.encode(), place, orjson.dumps(body))
