"""Payloads that many mutations share."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Id:
    """`{id}`: what was made or touched."""

    id: UUID | None


@dataclass(frozen=True, slots=True)
class IdAndError:
    """`{id}` of what was made; `error` says what was left undone beside it."""

    id: UUID | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Success:
    """`{success}`: false when there was nothing to do, as for an unknown id."""

    success: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class IdAndSuccess:
    """Both shapes, where dialects differ: `archiveFlow{id}`, `archive_flow{success}`."""

    id: UUID | None
    success: bool
    error: str | None = None
