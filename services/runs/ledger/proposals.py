"""Decides the proposals of clients: states of runs, and cancellations. The rules: `domain/transitions.py`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.runs import (
    CancelFlowRun,
    FlowRunCancelled,
    RunKind,
    SetStates,
    StateApplied,
    StateProposal,
    StatesSet,
    VersionConflict,
)
from libs.contracts.states import State
from libs.runtime import metrics
from services.runs.domain import concurrency_limits
from services.runs.domain.concurrency_limits import Limit
from services.runs.domain.states import RunState
from services.runs.domain.transitions import (
    Agreed,
    Claimant,
    Denied,
    FlowRun,
    FlowRunMoved,
    Stale,
    TaskRun,
    TaskRunMoved,
    cancel_flow_run,
    move_flow_run,
    move_task_run,
    propose_flow_run_state,
    propose_task_run_state,
)
from services.runs.ledger.locking import ReadProposal
from services.runs.ledger.moves import Moves


@dataclass(slots=True)
class Proposals:
    """Answers the clients of one batch."""

    moves: Moves
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many were refused, by kind of run and code."""

    def set_states(self, command: SetStates, read: Sequence[ReadProposal]) -> StatesSet:
        """Decide each proposal by itself, in order."""
        agent = None
        if command.agent_id is not None:
            is_sole = self.moves.facts.agents.get((command.tenant_id, command.agent_id))
            agent = None if is_sole is None else Claimant(command.agent_id, is_sole=is_sole)
        outcomes: list[StateApplied | VersionConflict | Refused] = []
        outcome: StateApplied | VersionConflict | Refused
        for item in read:
            if item.state is None:
                outcome = item.refusal or Refused(code=Code.STATE_INVALID)
            elif item.proposal.run_kind is RunKind.FLOW_RUN:
                outcome = self._set_flow_run_state(command, item.proposal, item.state, agent=agent)
            else:
                outcome = self._set_task_run_state(command, item.proposal, item.state)
            outcomes.append(outcome)
            if not isinstance(outcome, StateApplied):
                code = outcome.code if isinstance(outcome, Refused) else Code.VERSION_LOCKED
                self.refused[item.proposal.run_kind, code] += 1
        return StatesSet(outcomes=outcomes)

    def cancel(self, command: CancelFlowRun) -> FlowRunCancelled | Refused:
        """A person cancels a flow run."""
        run = self.moves.facts.flow_runs.get(command.flow_run_id)
        if run is None or run.tenant_id != command.tenant_id:
            return Refused(code=Code.FLOW_RUN_INVALID_ID, fields={"id": str(command.flow_run_id)})
        decision = cancel_flow_run(run, now=self.moves.now)
        if isinstance(decision, FlowRunMoved):
            self.moves.move_flow_run(replace(decision, actor=command.actor))
            run = decision.run
        return FlowRunCancelled(id=run.id, state=run.state)

    def _set_flow_run_state(
        self,
        command: SetStates,
        proposal: StateProposal,
        state: RunState,
        *,
        agent: Claimant | None,
    ) -> StateApplied | VersionConflict | Refused:
        run = self.moves.facts.flow_runs.get(proposal.run_id)
        if run is None or run.tenant_id != command.tenant_id:
            return _not_found(proposal)
        decision = propose_flow_run_state(
            run,
            state,
            seen_version=proposal.seen_version,
            by_person=proposal.by_person,
            exact=proposal.exact,
            lease_token=_lease_token(proposal, run.id),
            agent=agent,
            now=self.moves.now,
        )
        match decision:
            case FlowRunMoved():
                if (refused := _withheld(run, run, state)) is not None:
                    return refused
                if run.limited and (full := self._enter(run, state)) is not None:
                    return self._queue_flow_run(run, state, full)
                if command.actor is not None:
                    decision = replace(decision, actor=command.actor)
                self.moves.move_flow_run(decision)
                return StateApplied(
                    id=run.id,
                    version=decision.run.version,
                    state=decision.run.state,
                    reopened=run.is_finished,
                )
            case Agreed():
                return StateApplied(id=run.id, version=run.version, state=run.state)
            case Stale(given):
                return VersionConflict(id=run.id, given=given, current=run.version, state=run.state)
            case Denied(code, fields):
                return Refused(code=code, fields=fields)

    def _set_task_run_state(
        self, command: SetStates, proposal: StateProposal, state: RunState
    ) -> StateApplied | VersionConflict | Refused:
        facts = self.moves.facts
        run = facts.task_runs.get(proposal.run_id)
        if run is None or run.tenant_id != command.tenant_id:
            return _not_found(proposal)
        flow_run = facts.flow_runs.get(run.flow_run_id)
        decision = propose_task_run_state(
            run,
            flow_run,
            state,
            seen_version=proposal.seen_version,
            seen_flow_run_version=proposal.seen_flow_run_version,
            exact=proposal.exact,
            lease_token=_lease_token(proposal, run.flow_run_id),
            now=self.moves.now,
        )
        match decision:
            case TaskRunMoved():
                if (
                    flow_run is not None
                    and (refused := _withheld(run, flow_run, state)) is not None
                ):
                    return refused
                if run.limited and (full := self._enter(run, state)) is not None:
                    return self._queue_task_run(run, state, full)
                if command.actor is not None:
                    decision = replace(decision, actor=command.actor)
                self.moves.move_task_run(decision)
                return StateApplied(
                    id=run.id, version=decision.run.version, state=decision.run.state
                )
            case Stale(given):
                return VersionConflict(id=run.id, given=given, current=run.version, state=run.state)
            case Denied(code, fields):
                return Refused(code=code, fields=fields)

    # concurrency limits

    def _enter(self, run: FlowRun | TaskRun, state: RunState) -> Limit | None:
        """The full limit that prevents this state, if any."""
        kind = RunKind.FLOW_RUN if isinstance(run, FlowRun) else RunKind.TASK_RUN
        if not concurrency_limits.enters(kind, state.name):
            return None
        is_at_work = concurrency_limits.occupies(kind, run.state)
        full = self.moves.journal.slots.enter(run, state, is_at_work=is_at_work)
        if full is None:
            return None
        metrics.LIMITS_FULL.labels(kind).inc()
        return full.limit

    def _queue_flow_run(
        self, run: FlowRun, state: RunState, limit: Limit
    ) -> StateApplied | Refused:
        """A process that would run waits; a claim is refused, because agents would start the process in any case."""
        if state.name == State.SUBMITTED or run.is_finished:
            fields = {"id": str(run.id), "reason": limit.sentence}
            return Refused(code=Code.LIMIT_FULL, fields=fields)
        now = self.moves.now
        entering = self.moves.journal.slots.entering[run.id]
        if not concurrency_limits.still_waits(run.state, run.state_start_time, now=now):
            document = concurrency_limits.queued(
                limit, entering.serialized_state, names=(), now=now
            )
            moved = move_flow_run(run, document, now=now)
            self.moves.move_flow_run(moved)
            run = moved.run
        return _waits(run, limit)

    def _queue_task_run(self, run: TaskRun, state: RunState, limit: Limit) -> StateApplied:
        """The task's process sleeps and asks again."""
        now = self.moves.now
        entering = self.moves.journal.slots.entering[run.id]
        if not concurrency_limits.still_waits(run.state, entering.state_start_time, now=now):
            names = concurrency_limits.names_of(RunKind.TASK_RUN, entering.names, state)
            document = concurrency_limits.queued(
                limit, entering.serialized_state, names=names, now=now
            )
            moved = move_task_run(run, document, now=now)
            self.moves.move_task_run(moved)
            entering.state_start_time = document.start_time
            run = moved.run
        return _waits(run, limit)


def _lease_token(proposal: StateProposal, flow_run_id: UUID) -> UUID | None:
    """The token to check, if the proposal is about the run that the sender holds."""
    if proposal.leased_flow_run_id in (None, flow_run_id):
        return proposal.lease_token
    return None


def _withheld(run: FlowRun | TaskRun, flow_run: FlowRun, state: RunState) -> Refused | None:
    """Why no agent may start a process for this run, or for the flow run of this task run."""
    if state.name != State.SUBMITTED:
        return None
    if flow_run.withheld:
        fields = {"id": str(run.id), "flow_id": str(flow_run.flow_id)}
        return Refused(code=Code.FLOW_WITHDRAWN, fields=fields)
    if flow_run.queue_is_closed:
        return Refused(code=Code.QUEUE_PAUSED, fields={"id": str(run.id)})
    return None


def _waits(run: FlowRun | TaskRun, limit: Limit) -> StateApplied:
    return StateApplied(
        id=run.id, version=run.version, state=run.state, status="QUEUED", message=limit.sentence
    )


def _not_found(proposal: StateProposal) -> Refused:
    fields = {"kind": proposal.run_kind.value.replace("_", " "), "id": str(proposal.run_id)}
    return Refused(code=Code.RUN_NOT_FOUND, fields=fields)
