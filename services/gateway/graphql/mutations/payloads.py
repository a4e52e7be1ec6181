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
    """`{success}`: false when there was nothing to do, as for an unknown id; then `error` says why."""

    success: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class IdAndSuccess:
    """Both shapes, where dialects differ: `archiveFlow{id}`, `archive_flow{success}`."""

    id: UUID | None
    success: bool
    error: str | None = None


def success_of(thing: str, thing_id: object, *, success: bool) -> Success:
    """Whether what was asked for was done; where it was not, nothing of this kind has the id."""
    return Success(success=success, error=None if success else _unknown(thing, thing_id))


def success_with_id(thing: str, thing_id: UUID, *, success: bool) -> IdAndSuccess:
    """As `success_of`, with the id of what was touched."""
    if success:
        return IdAndSuccess(id=thing_id, success=True)
    return IdAndSuccess(id=None, success=False, error=_unknown(thing, thing_id))


def _unknown(thing: str, thing_id: object) -> str:
    return f"This tenant has no {thing} {thing_id}: it was deleted, or is another tenant's."
