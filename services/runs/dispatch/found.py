"""What the statements of dispatch find."""

from dataclasses import dataclass
from uuid import UUID

from services.runs.dispatch.domain import Labels, Proposed, Released, Requeued
from services.runs.domain.transitions import FlowRun


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSet:
    """A label set with a run due, `due_in` seconds from now (or ago). A `backlog` waited while the queue was paused."""

    tenant_id: UUID
    labels: Labels
    due_in: float
    backlog: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A tenant with native agents that gave a sign of life, and the different label sets that they have."""

    is_paused: bool
    agents: frozenset[Labels]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lapsed:
    """A run whose lease expired, and the decision; a `Proposed` one must still be written by the ledger."""

    run: FlowRun
    ending: Requeued | Proposed | Released
