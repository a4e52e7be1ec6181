"""The rule: a distressed run is revived until its resurrections are used up."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Distressed:
    """A run without a live process, as it was in the ledger at `version`."""

    flow_run_id: UUID
    tenant_id: UUID
    version: int
    times_resurrected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revive:
    """Reschedule it, as attempt `attempt`."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """Fail it: it was rescheduled `attempts` times and never finished."""

    attempts: int


def decide(run: Distressed, *, limit: int) -> Revive | GiveUp:
    """Revive, or give up after `limit` resurrections."""
    if run.times_resurrected >= limit:
        return GiveUp(attempts=run.times_resurrected)
    return Revive(attempt=run.times_resurrected + 1)
