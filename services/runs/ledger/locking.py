"""The locks of a batch, and the facts for its decisions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.heartbeat import FlowRunZombieDetected
from libs.contracts.runs import CancelFlowRun, Reschedule, RunKind, SetStates, StateProposal
from libs.contracts.states import State
from libs.runtime.database import Connection
from services.runs.domain import concurrency_limits
from services.runs.domain.safeguards import TaskPolicy
from services.runs.domain.states import InvalidState, RunState, TooLarge, read_state
from services.runs.domain.transitions import FlowRun, TaskRun, needs_flow_run
from services.runs.ledger import reads
from services.runs.ledger.commands import (
    CancelArchived,
    Command,
    EndCancellation,
    EndLeftTaskRuns,
    EndProcess,
)
from services.runs.ledger.journal import Journal


@dataclass(slots=True)
class ReadProposal:
    """A client's proposal with its parsed state, or the refusal of an invalid state."""

    proposal: StateProposal
    state: RunState | None
    refusal: Refused | None


def read_proposal(proposal: StateProposal, *, now: datetime) -> ReadProposal:
    """Parse the state that a client proposes."""
    found = read_state(proposal.state, now=now)
    match found:
        case InvalidState(reason):
            refusal = Refused(code=Code.STATE_INVALID, fields={"reason": reason})
            return ReadProposal(proposal, None, refusal)
        case TooLarge(size):
            refusal = Refused(code=Code.STATE_TOO_LARGE, fields={"size": str(size)})
            return ReadProposal(proposal, None, refusal)
        case RunState():
            return ReadProposal(proposal, found, None)


@dataclass(slots=True)
class Facts:
    """The facts of the batch, read under locks; runs change as commands are decided in order."""

    flow_runs: dict[UUID, FlowRun] = field(default_factory=dict)
    task_runs: dict[UUID, TaskRun] = field(default_factory=dict)
    task_runs_of: dict[UUID, list[UUID]] = field(default_factory=dict)
    """The locked task runs of each flow run."""
    policies: dict[UUID, TaskPolicy] = field(default_factory=dict)
    last_seen: dict[UUID, datetime] = field(default_factory=dict)
    agents: dict[tuple[UUID, UUID], bool] = field(default_factory=dict)
    """Existing agents, as (tenant, id), and whether each is certainly one process."""
    has_limits: bool = False
    """Whether concurrency limits were locked."""


@dataclass(slots=True)
class Needs:
    """The locks and facts that the commands of a batch need."""

    flow_runs: set[UUID] = field(default_factory=set)
    task_runs: set[UUID] = field(default_factory=set)
    bound: set[UUID] = field(default_factory=set)
    """Task runs whose decision depends on their flow run."""
    reaching: set[UUID] = field(default_factory=set)
    """Flow runs whose decision may change their unfinished task runs."""
    claimants: set[tuple[UUID, UUID]] = field(default_factory=set)
    """Agents that claim runs, as (tenant, id)."""
    to_submit: set[UUID] = field(default_factory=set)
    """Flow runs that an agent will start; their flows must not be archived."""
    task_runs_to_submit: set[UUID] = field(default_factory=set)
    """Task runs that an agent will start a process for; the work queue must not be paused."""
    silent: set[UUID] = field(default_factory=set)
    """Flow runs whose decision needs the time of their last ping, and the retries of their tasks."""
    judged: set[UUID] = field(default_factory=set)
    """Flow runs whose decision needs the retries of their tasks only."""
    entering: dict[UUID, list[RunState]] = field(default_factory=dict)
    """States for which runs need slots of concurrency limits, if there are any."""

    def note(self, command: Command, proposals: Iterable[ReadProposal]) -> None:
        """Add the needs of this command; `proposals` are those of a `SetStates`."""
        match command:
            case SetStates(tenant_id=tenant_id, agent_id=agent_id):
                claimant = None if agent_id is None else (tenant_id, agent_id)
                for item in proposals:
                    if item.state is not None:
                        self._note_state(item.proposal, item.state, claimant)
            case FlowRunZombieDetected():
                self.silent.add(command.flow_run_id)
                self.reaching.add(command.flow_run_id)
            case EndProcess():
                self.judged.add(command.flow_run_id)
                self.reaching.add(command.flow_run_id)
            case CancelFlowRun() | EndCancellation() | CancelArchived():
                self.reaching.add(command.flow_run_id)
            case EndLeftTaskRuns():
                self.silent.add(command.flow_run_id)
                self.flow_runs.add(command.flow_run_id)
                self.task_runs.update(command.task_run_ids)
            case Reschedule():
                self.flow_runs.add(command.flow_run_id)
            case _:
                pass

    def _note_state(
        self, proposal: StateProposal, state: RunState, claimant: tuple[UUID, UUID] | None
    ) -> None:
        if concurrency_limits.enters(proposal.run_kind, state.name):
            self.entering.setdefault(proposal.run_id, []).append(state)
        if proposal.run_kind is RunKind.TASK_RUN:
            self.task_runs.add(proposal.run_id)
            if needs_flow_run(
                state,
                seen_flow_run_version=proposal.seen_flow_run_version,
                lease_token=proposal.lease_token,
            ):
                self.bound.add(proposal.run_id)
            if state.name == State.SUBMITTED:
                self.bound.add(proposal.run_id)
                self.task_runs_to_submit.add(proposal.run_id)
            return
        self.flow_runs.add(proposal.run_id)
        if state.name == State.CANCELLED:
            self.reaching.add(proposal.run_id)
        elif state.name == State.SUBMITTED:
            self.to_submit.add(proposal.run_id)
            if claimant is not None:
                self.claimants.add(claimant)


async def lock(
    connection: Connection,
    journal: Journal,
    commands: Sequence[Command],
    proposals: Mapping[int, Sequence[ReadProposal]],
) -> Facts:
    """Lock and read the rows for these commands, in the ledger's order. `proposals` are by the index of their
    command."""
    needs = Needs()
    for index, command in enumerate(commands):
        needs.note(command, proposals.get(index, ()))
    facts = Facts()
    flow_run_ids = needs.flow_runs | needs.reaching
    if flow_run_ids or needs.bound:
        facts.flow_runs = await reads.lock_flow_runs(
            connection,
            flow_run_ids,
            of_task_runs=needs.bound,
            to_submit=needs.to_submit,
            task_runs_to_submit=needs.task_runs_to_submit,
        )
    task_run_ids = needs.task_runs
    if needs.reaching:
        task_run_ids |= await reads.unfinished_task_runs(connection, sorted(needs.reaching))
    if task_run_ids:
        facts.task_runs = await reads.lock_task_runs(connection, task_run_ids)
        for task_run in facts.task_runs.values():
            facts.task_runs_of.setdefault(task_run.flow_run_id, []).append(task_run.id)
    await _lock_limits(journal, facts, needs)
    if needs.claimants:
        facts.agents = await reads.known_agents(connection, needs.claimants)
    if needs.silent:
        facts.last_seen = await reads.last_seen(connection, sorted(needs.silent))
    if needs.silent or needs.judged:
        facts.policies = await reads.task_policies(connection, sorted(facts.task_runs))
    return facts


async def _lock_limits(journal: Journal, facts: Facts, needs: Needs) -> None:
    """Lock the limits that this batch may touch: after all runs, before anything is decided."""
    decided = needs.flow_runs | needs.reaching
    limited: dict[UUID, FlowRun | TaskRun] = {
        id_: task_run for id_, task_run in facts.task_runs.items() if task_run.limited
    }
    limited |= {id_: run for id_, run in facts.flow_runs.items() if run.limited and id_ in decided}
    if not limited:
        return
    await journal.load_slots(
        entering=[
            (run, states)
            for id_, states in needs.entering.items()
            if (run := limited.get(id_)) is not None
        ],
        leaving=limited,
        ending=limited.keys() & facts.flow_runs,
    )
    facts.has_limits = True
