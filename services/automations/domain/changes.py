"""What happened to a run: it has entered a state."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.automations.domain import occurrences


class Change(NamedTuple):
    """A run has entered a state."""

    tenant_id: UUID
    flow_run_id: UUID
    flow_id: UUID
    version: int
    state: str
    message: str | None
    at: datetime

    @property
    def event_id(self) -> UUID:
        """The same for each message about it."""
        return occurrences.id_of_state(self.flow_run_id, self.version)
