"""Limits for connections of an HTTP server: bytes, time, and number.

uvicorn limits none of this for HTTP: a head may be endless, an unfinished request may stay for ever, and connections
are accepted until descriptors run out. `http_protocol.Protocol` measures; this module decides and counts.
"""

import contextlib
import resource
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

# As many as our servers can use; the soft limit is raised to this if the system allows it
_DESCRIPTORS = 16_384
_RESERVED = 256  # descriptors for pools, the bus, files and listeners
_FEWEST = 64  # connections, however few descriptors there are


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """The defaults suit real clients with an order of magnitude to spare."""

    head_bytes: int = 32 * 1024
    """Request line and headers together; a key, a lease and a trace take 1 KiB."""
    headers: int = 100
    head_time: timedelta = timedelta(seconds=15)
    """From the connection, or from the first byte of a later request, to the end of its head."""
    body_time: timedelta = timedelta(seconds=30)
    """For a body, and a second more for each `body_rate` bytes of it."""
    body_rate: int = 16 * 1024
    idle_time: timedelta = timedelta(seconds=75)
    """Between requests of one connection."""
    write_time: timedelta = timedelta(seconds=20)
    """Seconds in which a client must take the next part of its answer."""
    look_each: timedelta = timedelta(seconds=1)
    """Seconds between checks of the time limits: their precision."""
    connections: int = 8_000
    """Connections in total; fewer when descriptors are few."""
    connections_of_address: int = 1_000
    """Connections of one address; 0 behind a proxy, where all have the same address."""


class Connection(Protocol):
    """What is counted: one connection."""

    address: str

    def drop(self) -> None:
        """Close it at once, without sending the rest."""

    def check_time(self, now: float) -> None:
        """Close it if its client is over its time limit."""


@dataclass(slots=True)
class _Address:
    open: int = 0
    without_head: dict[Connection, None] = field(default_factory=dict)


class Connections:
    """The connections of one server. When full, the oldest one without a complete head is closed for a new one."""

    def __init__(self, limits: HttpLimits) -> None:
        self.limits = limits
        self._most = min(limits.connections, max(_FEWEST, raised_descriptors() - _RESERVED))
        self._addresses: dict[str, _Address] = {}
        self._open: dict[Connection, _Address] = {}
        self._without_head: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._open))

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; False when there is no room for it."""
        known = self._addresses.get(connection.address) or _Address()
        most = self.limits.connections_of_address
        if most and known.open >= most and not _make_room(known.without_head):
            return False
        if len(self._open) >= self._most and not _make_room(self._without_head):
            return False
        self._addresses[connection.address] = known
        known.open += 1
        self._open[connection] = known
        self.awaits_head(connection)
        return True

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed; one that was not admitted is unknown."""
        known = self._open.pop(connection, None)
        if known is None:
            return
        self._without_head.pop(connection, None)
        known.without_head.pop(connection, None)
        known.open -= 1
        if not known.open:
            self._addresses.pop(connection.address, None)

    def awaits_head(self, connection: Connection) -> None:
        """A head has begun, or must begin soon."""
        known = self._open.get(connection)
        if known is not None:
            self._without_head[connection] = None
            known.without_head[connection] = None

    def has_head(self, connection: Connection) -> None:
        """Its head is complete: it is no longer closed in favour of others."""
        known = self._open.get(connection)
        if known is not None:
            self._without_head.pop(connection, None)
            known.without_head.pop(connection, None)


def raised_descriptors() -> int:
    """How many descriptors this process may have. Raises the soft limit first, if the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _DESCRIPTORS
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return soft


def _make_room(without_head: dict[Connection, None]) -> bool:
    """Drop the connection that has been without a head for longest; False when there is none."""
    for connection in without_head:
        # Its protocol calls `remove` at once, so there is room.
        connection.drop()
        return True
    return False
