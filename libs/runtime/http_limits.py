"""Limits for connections of an HTTP server: bytes, time, and number.

uvicorn limits none of this for HTTP: a head may be endless, an unfinished request may stay for ever, and connections
are accepted until descriptors run out. `http_protocol.Protocol` measures; this module decides and counts.
"""

import contextlib
import resource
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Protocol

# As many as our servers can use; the soft limit is raised to this if the system allows it
_DESCRIPTORS = 16_384
_RESERVED = 256  # descriptors for pools, the bus, files and listeners
_NEW = 1.0  # seconds in which a client is given time to send its head
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
    """In which a client must take the next part of its answer."""
    look_each: timedelta = timedelta(seconds=1)
    """Between checks of the time limits: their precision."""
    connections: int = 8_000
    """Connections in total; fewer when descriptors are few."""
    connections_per_address: int = 1_000
    """Of one address, of clients that are not known yet; 0 where a proxy in front makes all addresses one."""


class Connection(Protocol):
    """What is counted: one connection."""

    address: str
    owner: Hashable
    """Whose it is, None as long as nobody said so."""
    has_request: bool
    """Whether a whole head has come, and is not answered yet."""
    is_listed: bool
    """Whether it is in the lists of idle connections; kept by `Connections`."""

    def drop(self) -> None:
        """Close it at once, without sending the rest."""

    def check_time(self, now: float) -> None:
        """Close it if its client is over its time limit."""


@dataclass(slots=True)
class _Group:
    """Connections that share a limit, oldest first: those of an address, or of an owner."""

    open: dict[Connection, None] = field(default_factory=dict)
    idle: dict[Connection, float] = field(default_factory=dict)
    """Those of them without a request, by the time from which on, and some that have one by now: they are taken out
    when room is needed, because a request comes a thousand times as often."""


class Connections:
    """The connections of one server, and which of them makes room when there are too many.

    A connection is a stranger's until a handler says whose it is. Strangers are limited by address, known clients by
    owner. So whoever floods from an address cuts off no known client behind the same address, and a newcomer there
    takes the slot of a stranger: of one that has been without a request for a while, else of the one that came first.
    A client that has just come is not dropped before those whose requests wait: it may be a known one.
    """

    def __init__(self, limits: HttpLimits, *, clock: Callable[[], float] = monotonic) -> None:
        self.limits = limits
        self._clock = clock
        self._most = min(limits.connections, max(_FEWEST, raised_descriptors() - _RESERVED))
        self._of_owner = self._most // 2
        self._groups: dict[Hashable, _Group] = {}
        self._group_of: dict[Connection, _Group] = {}
        self._strangers = _Group()
        self._known = _Group()

    def __len__(self) -> int:
        return len(self._group_of)

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._group_of))

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; False when there is no room for it."""
        group = self._groups.get(connection.address) or _Group()
        most = self.limits.connections_per_address
        before = self._clock() - _NEW
        is_full = most and len(group.open) >= most
        if is_full and not (_drop_idle(group.idle, before) or _drop_first(group.open)):
            return False
        strangers, known = self._strangers, self._known
        # A known client that waits for an answer is not dropped for anybody.
        if len(self._group_of) >= self._most and not (
            _drop_idle(strangers.idle, before)
            or _drop_first(strangers.open)
            or _drop_idle(known.idle, before + _NEW)
        ):
            return False
        self._add(connection, connection.address, group)
        return True

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed; one that was not admitted is unknown."""
        group = self._group_of.pop(connection, None)
        if group is None:
            return
        key = connection.address if connection.owner is None else connection.owner
        for each in (group, self._strangers, self._known):
            each.open.pop(connection, None)
            each.idle.pop(connection, None)
        if not group.open and self._groups.get(key) is group:
            del self._groups[key]

    def is_of(self, connection: Connection, owner: Hashable) -> bool:
        """Count it as the owner's from now on; False where that has its share, and it stays a stranger's."""
        group = self._groups.get(owner) or _Group()
        if connection not in self._group_of or len(group.open) >= self._of_owner:
            return False
        has_request = connection.has_request
        self.remove(connection)
        connection.owner = owner
        self._add(connection, owner, group)
        connection.has_request = has_request
        return True

    def is_idle(self, connection: Connection) -> None:
        """It has no request, or only the beginning of one. A connection that is still listed need not call this."""
        connection.has_request = False
        group = self._group_of.get(connection)
        if group is not None:
            now = self._clock()
            for each in (group, self._all_like(connection)):
                # To the end: the lists are in the order of these times.
                each.idle.pop(connection, None)
                each.idle[connection] = now
            connection.is_listed = True

    def _add(self, connection: Connection, key: Hashable, group: _Group) -> None:
        self._groups[key] = self._group_of[connection] = group
        group.open[connection] = None
        self._all_like(connection).open[connection] = None
        self.is_idle(connection)

    def _all_like(self, connection: Connection) -> _Group:
        return self._strangers if connection.owner is None else self._known


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


def _drop_idle(listed: dict[Connection, float], before: float) -> bool:
    """Drop the first connection that has been without a request since then; False when there is none."""
    while listed:
        connection, since = next(iter(listed.items()))
        if connection.has_request:
            del listed[connection]
            connection.is_listed = False
        elif since <= before:
            # Its protocol tells `remove` at once, so its slot is free.
            connection.drop()
            return True
        else:
            return False
    return False


def _drop_first(connections: dict[Connection, None]) -> bool:
    """Drop the one that came first, with a request or without; False when there is none."""
    for connection in connections:
        connection.drop()
        return True
    return False
