"""The rule: a distressed run is revived until its resurrections are used up."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Distressed:
    """A run that nobody works on, as the ledger had it at `version`."""

    flow_run_id: UUID
    tenant_id: UUID
    version: int
    times_resurrected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revive:
    """Bring it back, for the `attempt`-th time."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """It came back `attempts` times and never finished."""

    attempts: int


def decide(run: Distressed, *, limit: int) -> Revive | GiveUp:
    """Revive, or give up once `limit` resurrections are used up."""
    if run.times_resurrected >= limit:
        return GiveUp(attempts=run.times_resurrected)
    return Revive(attempt=run.times_resurrected + 1)
