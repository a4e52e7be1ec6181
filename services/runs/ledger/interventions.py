"""Decides what safeguards propose: zombies, Lazarus, overdue cancellations, archived flows, task runs left behind.

The rules: `domain/safeguards.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from libs.contracts.heartbeat import FlowRunZombieDetected
from libs.contracts.runs import Reschedule
from libs.contracts.states import State
from services.runs.domain.deaths import answer_death
from services.runs.domain.queue import NOT_STARTED
from services.runs.domain.safeguards import (
    Intervention,
    LeftAlone,
    TaskPolicy,
    answer_lazarus,
    answer_zombie,
    end_cancellation,
    end_left_task_runs,
)
from services.runs.domain.states import make_state
from services.runs.domain.transitions import FlowRun, TaskRun, move_flow_run
from services.runs.ledger.commands import (
    CancelArchived,
    Done,
    EndCancellation,
    EndLeftTaskRuns,
    EndProcess,
    Safeguard,
)
from services.runs.ledger.moves import Moves

_UNNAMED = TaskPolicy(name="unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The numbers for the rules."""

    resurrection_limit: int
    cancel_deadline: timedelta


@dataclass(slots=True)
class Interventions:
    """Answers the safeguards of one batch."""

    moves: Moves
    policy: Policy
    stale: list[dict[str, Any]] = field(default_factory=list)
    """Runs without an action, and why, for the log."""

    def answer(self, command: Safeguard) -> Done:
        """Intervene, or say why not."""
        facts = self.moves.facts
        run = facts.flow_runs.get(command.flow_run_id)
        if run is None or run.tenant_id != command.tenant_id:
            return Done("unknown_run")
        found = self._intervention(run, command)
        if isinstance(found, LeftAlone):
            self.stale.append(
                {
                    "proposal": type(command).__name__,
                    "flow_run_id": str(run.id),
                    "reason": found.reason,
                    "version": run.version,
                    "state": run.state,
                }
            )
            return Done(found.reason, state=run.state)
        for moved in found.task_runs:
            self.moves.move_task_run(moved)
        if found.flow_run is not None:
            self.moves.move_flow_run(found.flow_run)
        for entry in found.logs:
            self.moves.journal.log(facts.flow_runs[entry.flow_run_id].tenant_id, entry)
        return Done(count=1, state=facts.flow_runs[run.id].state)

    def _intervention(self, run: FlowRun, command: Safeguard) -> Intervention | LeftAlone:
        facts, now = self.moves.facts, self.moves.now
        match command:
            case FlowRunZombieDetected():
                return answer_zombie(
                    run,
                    self._with_policies(facts.task_runs_of.get(run.id, ())),
                    seen_version=command.version,
                    silent_since=command.last_seen,
                    last_seen=facts.last_seen.get(run.id),
                    resurrection_limit=self.policy.resurrection_limit,
                    now=now,
                )
            case Reschedule():
                return answer_lazarus(
                    run,
                    seen_version=command.seen_version,
                    attempt=command.attempt,
                    limit=command.limit,
                    give_up=command.give_up,
                    now=now,
                )
            case EndProcess():
                return answer_death(
                    run,
                    self._with_policies(facts.task_runs_of.get(run.id, ())),
                    seen_version=command.seen_version,
                    said=command.said,
                    resurrection_limit=self.policy.resurrection_limit,
                    now=now,
                )
            case EndCancellation():
                return end_cancellation(
                    run,
                    seen_version=command.seen_version,
                    deadline=self.policy.cancel_deadline,
                    now=now,
                )
            case EndLeftTaskRuns():
                known = (id_ for id_ in command.task_run_ids if id_ in facts.task_runs)
                return end_left_task_runs(
                    run,
                    self._with_policies(known),
                    silence=command.silence,
                    last_seen=facts.last_seen.get(run.id),
                    now=now,
                )
            case CancelArchived():
                if run.state not in NOT_STARTED or run.start_time is not None:
                    return LeftAlone("moved_on")
                state = make_state(State.CANCELLED, f"Flow {run.flow_id} was archived.")
                return Intervention(flow_run=move_flow_run(run, state, now=now))

    def _with_policies(self, ids: Iterable[UUID]) -> list[tuple[TaskRun, TaskPolicy]]:
        facts = self.moves.facts
        return [(facts.task_runs[id_], facts.policies.get(id_, _UNNAMED)) for id_ in ids]
