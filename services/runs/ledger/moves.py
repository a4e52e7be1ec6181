"""Applies decisions: updates the facts, notes the writes in the journal, and collects the notifications."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from libs.contracts.states import LIVE_FAMILY, SCHEDULED_FAMILY, State
from services.runs.domain.queue import is_soon
from services.runs.domain.states import RunState
from services.runs.domain.transitions import FlowRunMoved, TaskRunMoved, cancel_task_run
from services.runs.ledger.journal import Journal
from services.runs.ledger.locking import Facts


@dataclass(slots=True)
class Moves:
    """The moves of one batch. `now` is the time of all its decisions."""

    facts: Facts
    journal: Journal
    now: datetime
    ready: set[UUID] = field(default_factory=set)
    """Tenants with runs for their agents."""
    cancelling: list[tuple[UUID, UUID]] = field(default_factory=list)
    """(tenant, flow run) that a process should stop."""
    waits: list[timedelta] = field(default_factory=list)
    """For how long submitted runs had been due."""

    def move_flow_run(self, moved: FlowRunMoved) -> None:
        """A flow run takes a state; a cancelled one takes its unfinished task runs with it."""
        run = moved.run
        if run.state == State.CANCELLED:
            self._cancel_task_runs(run.id, moved.state)
        due = self.facts.flow_runs[run.id].state_start_time
        if run.state == State.SUBMITTED and due is not None:
            self.waits.append(run.state_timestamp - due)
        self.facts.flow_runs[run.id] = run
        if self.journal.move_flow_run(moved):
            # Its slot is free for another run now.
            self.ready.add(run.tenant_id)
        if run.state in SCHEDULED_FAMILY and is_soon(moved.state.start_time, now=self.now):
            self.ready.add(run.tenant_id)
        if run.state in (State.CANCELLING, State.CANCELLED) and moved.previous_state in LIVE_FAMILY:
            self.cancelling.append((run.tenant_id, run.id))

    def move_task_run(self, moved: TaskRunMoved) -> None:
        """A task run takes a state."""
        self.facts.task_runs[moved.run.id] = moved.run
        self.journal.move_task_run(moved)

    def _cancel_task_runs(self, flow_run_id: UUID, state: RunState) -> None:
        for task_run_id in self.facts.task_runs_of.get(flow_run_id, ()):
            moved = cancel_task_run(self.facts.task_runs[task_run_id], state, now=self.now)
            if moved is not None:
                self.move_task_run(moved)
