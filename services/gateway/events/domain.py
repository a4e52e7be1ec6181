"""Hints, filters, cursors, and the window of what happened last. Pure: no clock, no I/O."""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

KINDS = ("agent", "flow", "flow_group", "flow_run", "log", "project", "task_run")
"""What hints are about; `agent`, `log` and `task_run` come from signals, which may be lost."""

MOST_IN_MESSAGE = 2_000
"""Objects in one message. When more change within a quarter of a second, the client had better look at everything."""

_CURSOR = re.compile(r"([0-9a-z]{1,16})-([0-9]{1,19})")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class BadFilterError(ValueError):
    """The query parameters or the cursor make no sense; the text says which, and what is expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """One object that is worth looking at again. `version` is absent where the object has none."""

    kind: str
    id: UUID
    change: str
    version: int | None = None
    state: str | None = None
    flow_id: UUID | None = None
    flow_group_id: UUID | None = None
    flow_run_id: UUID | None = None

    def body(self) -> dict[str, Any]:
        """What goes to the client; what is unknown is left out."""
        values = {name: getattr(self, name) for name in _SENT}
        return {name: value for name, value in values.items() if value is not None}


_SENT = ("kind", "id", "change", "version", "state", "flow_id", "flow_group_id", "flow_run_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What a client wants to hear of. Empty sets of kinds mean all. `flow` is a version's id or a group's."""

    kinds: frozenset[str] = frozenset()
    flow: UUID | None = None
    flow_run: UUID | None = None
    versions: frozenset[UUID] = frozenset()
    """The versions of `flow` that were known when the stream was opened."""

    def wants(self, hint: Hint) -> bool:
        """Whether the hint may be about what is asked for. A hint that does not say is sent: it is only a hint."""
        if self.kinds and hint.kind not in self.kinds:
            return False
        if self.flow_run is not None and self.flow_run not in (hint.id, hint.flow_run_id):
            return False
        if self.flow is None:
            return True
        if hint.flow_id is None and hint.flow_group_id is None:
            return hint.kind in ("task_run", "log")
        if self.flow in (hint.flow_id, hint.flow_group_id):
            return True
        return hint.flow_id in self.versions


def filter_of(asked: Mapping[str, str]) -> Filter:
    """The filter of query parameters (`kinds`, `flow`, `flow_run`); BadFilterError names what is wrong."""
    kinds = frozenset(filter(None, (part.strip() for part in asked.get("kinds", "").split(","))))
    unknown = sorted(kinds - set(KINDS))
    if unknown:
        msg = f"kinds: there is no kind {unknown[0][:64]!r}. Known kinds are {', '.join(KINDS)}."
        raise BadFilterError(msg)
    return Filter(kinds=kinds, flow=_id(asked, "flow"), flow_run=_id(asked, "flow_run"))


def _id(asked: Mapping[str, str], name: str) -> UUID | None:
    text = asked.get(name)
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        msg = f"{name}: {text[:64]!r} is not an id; send a UUID."
        raise BadFilterError(msg) from None


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in one life of the EVENTS stream."""

    life: str
    sequence: int

    def __str__(self) -> str:
        return f"{self.life}-{self.sequence}"


def cursor_of(text: str, *, name: str = "Last-Event-ID") -> Cursor:
    """The cursor that a client sends back; BadFilterError, which says its `name`, for what was never an id of ours."""
    found = _CURSOR.fullmatch(text.strip())
    if found is None:
        msg = (
            f"{name}: {text[:64]!r} is no id of this stream. Send the last id that you received,"
            " or none to begin now."
        )
        raise BadFilterError(msg)
    return Cursor(found[1], int(found[2]))


def life_of(created: str) -> str:
    """A short name of a stream's life, from the time of its making as JetStream gives it (RFC 3339)."""
    number = int("".join(re.findall(r"\d", created))[:20] or "0")
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text or "0"


@dataclass(frozen=True, slots=True)
class Gap:
    """Why what a client missed cannot be sent any more."""

    reason: str


@dataclass(slots=True)
class Window:
    """The last facts of all tenants, by their position in the EVENTS stream; older ones are forgotten."""

    most: int
    life: str = ""
    last: int = 0
    """Position of the newest fact that is known."""
    _oldest_lost: int = 0
    _facts: deque[tuple[int, UUID, Hint]] = field(default_factory=deque)

    def begin(self, life: str, *, after: int) -> None:
        """Know nothing of this life up to and with `after`."""
        self.life, self.last, self._oldest_lost = life, after, after
        self._facts.clear()

    def lose(self, *, until: int) -> None:
        """Facts up to and with `until` can no longer be had."""
        self.last, self._oldest_lost = until, until
        self._facts.clear()

    def add(self, sequence: int, tenant_id: UUID, hint: Hint | None) -> bool:
        """Keep a fact; False for one that was there. None for one that nobody is sent, which moves the position on."""
        if sequence <= self.last:
            return False
        self.last = sequence
        if hint is not None:
            self._facts.append((sequence, tenant_id, hint))
            if len(self._facts) > self.most:
                self._oldest_lost = self._facts.popleft()[0]
        return True

    @property
    def cursor(self) -> Cursor:
        """The position of the newest fact."""
        return Cursor(self.life, self.last)

    def since(self, cursor: Cursor, tenant_id: UUID) -> Iterator[Hint] | Gap:
        """The tenant's facts after the cursor, oldest first, or why they cannot be sent any more."""
        if cursor.life != self.life:
            return Gap("the event stream was made anew since your last id")
        if cursor.sequence > self.last:
            return Gap("your last id is ahead of what this gateway has heard")
        if cursor.sequence < self._oldest_lost:
            return Gap("your last id is older than what is kept")
        return self._after(cursor.sequence, tenant_id)

    def _after(self, sequence: int, tenant_id: UUID) -> Iterator[Hint]:
        for position, owner, hint in self._facts:
            if position > sequence and owner == tenant_id:
                yield hint


@dataclass(slots=True)
class Coalesced:
    """What will be sent next: of one object the newest hint, and of too many objects only that."""

    _hints: dict[tuple[str, UUID, str], Hint] = field(default_factory=dict)
    is_flooded: bool = False

    def __bool__(self) -> bool:
        return bool(self._hints) or self.is_flooded

    def add(self, hint: Hint) -> None:
        """Take a hint; an older one of the same object and change gives way."""
        if self.is_flooded:
            return
        of_what = (hint.kind, hint.id, hint.change)
        known = self._hints.get(of_what)
        if known is not None and (known.version or 0) > (hint.version or 0):
            return
        self._hints[of_what] = hint
        if len(self._hints) > MOST_IN_MESSAGE:
            self._hints.clear()
            self.is_flooded = True

    def take(self) -> list[Hint]:
        """All of it, and begin anew."""
        taken = list(self._hints.values())
        self._hints, self.is_flooded = {}, False
        return taken
