"""One batch of commands as one transaction: share and lock, read, decide each in order, write all, commit.

The order of locks is the same in every transaction of the ledger, so that replicas wait for each other but never in a
circle: flows (shared), flow runs by id, task runs by id, concurrency limits by id, then unique keys of new rows in key
order.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.heartbeat import FlowRunZombieDetected
from libs.contracts.runs import (
    CancelFlowRun,
    FlowRunCancelled,
    FlowRunStateChanged,
    GetOrCreateTaskRun,
    Reschedule,
    RunKind,
    SetStates,
    StateApplied,
    StateProposal,
    StatesSet,
    TaskRunInfo,
    VersionConflict,
)
from libs.contracts.states import LIVE_FAMILY, SCHEDULED_FAMILY, State
from libs.runtime import faults, log, metrics, outbox
from libs.runtime.clock import Clock
from libs.runtime.database import Connection, Database
from libs.runtime.ids import NewId
from services.runs import logs, store
from services.runs.commands import (
    Answer,
    CancelArchived,
    Command,
    Done,
    EndCancellation,
    EndLeftTaskRuns,
    Safeguard,
)
from services.runs.creations import Creation, Creations
from services.runs.domain import limits
from services.runs.domain.limits import Limit
from services.runs.domain.queue import NOT_STARTED, is_soon
from services.runs.domain.safeguards import (
    Intervention,
    LeftAlone,
    LogEntry,
    TaskPolicy,
    answer_lazarus,
    answer_zombie,
    end_cancellation,
    end_left_task_runs,
)
from services.runs.domain.states import (
    InvalidState,
    RunState,
    TooLarge,
    make_state,
    read_state,
)
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
    cancel_task_run,
    move_flow_run,
    move_task_run,
    needs_flow_run,
    propose_flow_run_state,
    propose_task_run_state,
)
from services.runs.slots import Slots


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The numbers that rules need."""

    resurrection_limit: int
    cancel_deadline: timedelta


@dataclass(frozen=True, slots=True)
class Committed:
    """What to tell others after the commit. All are hints: who misses them finds out by asking."""

    work_ready: frozenset[UUID]
    """Tenants whose agents have something to fetch."""
    cancelling: tuple[tuple[UUID, UUID], ...]
    """(tenant, flow run) that a process should stop."""
    has_events: bool
    """Whether the outbox has something to publish; task runs alone give it nothing."""


class Ledger:
    """Applies batches. `told` is called after each commit with what happened."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        ids: NewId,
        names: Callable[[], str],
        policy: Policy,
        told: Callable[[Committed], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._names = names
        self._policy = policy
        self._told = told
        self._log = log.get("runs")

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Callable[[Sequence[Command]], Awaitable[list[Answer]]]]:
        """A transaction for one batch: call what it gives with the commands; it answers each, in order.

        Leaving it commits. Raises with nothing committed, except when the connection is lost on the way.
        """
        async with self._database.transaction() as connection:
            batch = _Batch(
                connection,
                clock=self._clock,
                ids=self._ids,
                policy=self._policy,
                creations=Creations(connection, self._ids, self._names),
            )
            yield batch.run
            await faults.reached(faults.Point.RUNS_BEFORE_COMMIT)
        try:
            batch.count()
            for line in batch.stale:
                self._log.info("proposal_stale", **line)
            self._told(batch.committed())
        except Exception as error:
            # Raised, it would be taken for the error of a batch that was rolled back, which is applied again.
            self._log.error("after_commit_failed", error=str(error), exc_info=True)


@dataclass(slots=True)
class _Read:
    """A client's proposal with its state read, or the refusal of a state that is none."""

    proposal: StateProposal
    state: RunState | None
    refusal: Refused | None


@dataclass(slots=True)
class _Needs:
    """What the commands of a batch must lock and know."""

    flow_runs: set[UUID] = field(default_factory=set)
    task_runs: set[UUID] = field(default_factory=set)
    bound: set[UUID] = field(default_factory=set)
    """Task runs that are decided by their flow run too."""
    reaching: set[UUID] = field(default_factory=set)
    """Flow runs whose decision may reach their unfinished task runs."""
    claimants: set[tuple[UUID, UUID]] = field(default_factory=set)
    to_submit: set[UUID] = field(default_factory=set)
    """Flow runs that an agent is about to start, which no archived flow's may be."""
    """Agents that claim runs, as (tenant, id)."""
    silent: set[UUID] = field(default_factory=set)
    """Flow runs that are judged by when they were last heard."""
    entering: dict[UUID, list[RunState]] = field(default_factory=dict)
    """States for which runs need slots of concurrency limits, if there are any."""

    def note(self, command: Command, read: Iterable[_Read]) -> None:
        match command:
            case SetStates(tenant_id=tenant_id, agent_id=agent_id):
                claimant = None if agent_id is None else (tenant_id, agent_id)
                for item in read:
                    if item.state is not None:
                        self._note_state(item.proposal, item.state, claimant)
            case FlowRunZombieDetected():
                self.silent.add(command.flow_run_id)
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
        if limits.enters(proposal.run_kind, state.name):
            self.entering.setdefault(proposal.run_id, []).append(state)
        if proposal.run_kind is RunKind.TASK_RUN:
            self.task_runs.add(proposal.run_id)
            if needs_flow_run(
                state,
                seen_flow_run_version=proposal.seen_flow_run_version,
                lease_token=proposal.lease_token,
            ):
                self.bound.add(proposal.run_id)
            return
        self.flow_runs.add(proposal.run_id)
        if state.name == State.CANCELLED:
            self.reaching.add(proposal.run_id)
        elif state.name == State.SUBMITTED:
            self.to_submit.add(proposal.run_id)
            if claimant is not None:
                self.claimants.add(claimant)


@dataclass(slots=True)
class _Batch:
    """The working set of one transaction; facts evolve as commands are decided in order."""

    connection: Connection
    clock: Clock
    ids: NewId
    policy: Policy
    creations: Creations
    now: datetime = field(init=False)
    flow_runs: dict[UUID, FlowRun] = field(default_factory=dict)
    task_runs: dict[UUID, TaskRun] = field(default_factory=dict)
    task_runs_of: dict[UUID, list[UUID]] = field(default_factory=dict)
    policies: dict[UUID, TaskPolicy] = field(default_factory=dict)
    last_seen: dict[UUID, datetime] = field(default_factory=dict)
    agents: dict[tuple[UUID, UUID], bool] = field(default_factory=dict)
    slots: Slots = field(default_factory=Slots)
    flow_run_moves: list[tuple[UUID, FlowRunMoved]] = field(default_factory=list)
    task_run_moves: list[tuple[UUID, TaskRunMoved]] = field(default_factory=list)
    events: list[FlowRunStateChanged] = field(default_factory=list)
    logs: list[LogEntry] = field(default_factory=list)
    stale: list[dict[str, Any]] = field(default_factory=list)
    ready: set[UUID] = field(default_factory=set)
    cancelling: list[tuple[UUID, UUID]] = field(default_factory=list)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    waits: list[timedelta] = field(default_factory=list)

    async def run(self, commands: Sequence[Command]) -> list[Answer]:
        self.now = self.clock()
        read = {
            place: [self._read(p) for p in command.proposals]
            for place, command in enumerate(commands)
            if isinstance(command, SetStates)
        }
        wanted = {n: c for n, c in enumerate(commands) if isinstance(c, Creation)}
        answers: dict[int, Answer] = {**await self.creations.prepare(wanted, now=self.now)}
        await self._lock(commands, read)
        for place, command in enumerate(commands):
            match command:
                case SetStates():
                    answers[place] = self._set_states(command, read[place])
                case CancelFlowRun():
                    answers[place] = self._cancel(command)
                case (
                    FlowRunZombieDetected()
                    | Reschedule()
                    | EndCancellation()
                    | CancelArchived()
                    | EndLeftTaskRuns()
                ):
                    answers[place] = self._safeguard(command)
                case _:
                    pass
        if self.flow_run_moves:
            await store.write_flow_run_states(self.connection, self.flow_run_moves, self.events)
        if self.task_run_moves:
            await store.write_task_run_states(self.connection, self.task_run_moves)
        await self.slots.write(self.connection, at=self.now)
        answers |= await self.creations.insert()
        await self._get_or_create_task_runs(commands, answers)
        await logs.insert_entries(self.connection, self._tenanted_logs(), at=self.now, ids=self.ids)
        await outbox.add(self.connection, "runs", self.creations.events)
        return [answers[place] for place in range(len(commands))]

    def count(self) -> None:
        """Show in metrics what has been committed and what was refused."""
        applied = Counter((RunKind.FLOW_RUN, m.run.state) for _, m in self.flow_run_moves)
        applied.update((RunKind.TASK_RUN, m.run.state) for _, m in self.task_run_moves)
        for (kind, state), number in applied.items():
            metrics.STATES_APPLIED.labels(kind, state).inc(number)
        for waited in self.waits:
            metrics.CLAIM_SECONDS.observe(max(0.0, waited.total_seconds()))
        for (refused_kind, code), number in self.refused.items():
            metrics.STATES_REFUSED.labels(refused_kind, code).inc(number)

    def committed(self) -> Committed:
        return Committed(
            frozenset(self.ready | self.creations.ready),
            tuple(self.cancelling),
            has_events=bool(self.events or self.creations.events),
        )

    # reading and locking

    def _read(self, proposal: StateProposal) -> _Read:
        found = read_state(proposal.state, now=self.now)
        match found:
            case InvalidState(reason):
                refusal = Refused(code=Code.STATE_INVALID, fields={"reason": reason})
                return _Read(proposal, None, refusal)
            case TooLarge(size):
                refusal = Refused(code=Code.STATE_TOO_LARGE, fields={"size": str(size)})
                return _Read(proposal, None, refusal)
            case RunState():
                return _Read(proposal, found, None)

    async def _lock(self, commands: Sequence[Command], read: dict[int, list[_Read]]) -> None:
        needs = _Needs()
        for place, command in enumerate(commands):
            needs.note(command, read.get(place, ()))
        flow_run_ids = needs.flow_runs | needs.reaching
        if flow_run_ids or needs.bound:
            self.flow_runs = await store.lock_flow_runs(
                self.connection,
                flow_run_ids,
                of_task_runs=needs.bound,
                to_submit=needs.to_submit,
            )
        task_run_ids = needs.task_runs
        if needs.reaching:
            task_run_ids |= await store.unfinished_task_runs(
                self.connection, sorted(needs.reaching)
            )
        if task_run_ids:
            self.task_runs = await store.lock_task_runs(self.connection, task_run_ids)
            for task_run in self.task_runs.values():
                self.task_runs_of.setdefault(task_run.flow_run_id, []).append(task_run.id)
        await self._load_slots(needs)
        if needs.claimants:
            self.agents = await store.known_agents(self.connection, needs.claimants)
        if needs.silent:
            self.last_seen = await store.last_seen(self.connection, sorted(needs.silent))
            self.policies = await store.task_policies(self.connection, sorted(self.task_runs))

    async def _load_slots(self, needs: _Needs) -> None:
        """Lock the limits that this batch may touch: after all runs, before anything is decided."""
        decided = needs.flow_runs | needs.reaching
        limited: dict[UUID, FlowRun | TaskRun] = {
            id_: task_run for id_, task_run in self.task_runs.items() if task_run.limited
        }
        limited |= {
            id_: run for id_, run in self.flow_runs.items() if run.limited and id_ in decided
        }
        if limited:
            self.slots = await Slots.load(
                self.connection,
                entering=[
                    (run, states)
                    for id_, states in needs.entering.items()
                    if (run := limited.get(id_)) is not None
                ],
                leaving=limited,
                ending=limited.keys() & self.flow_runs,
            )
            # Who held the limits before wrote its times before it let them go. Ours must be later, or histories would
            # show more runs at work than there ever were.
            self.now = max(self.now, self.clock())

    # states

    def _set_states(self, command: SetStates, read: list[_Read]) -> StatesSet:
        agent = None
        if command.agent_id is not None:
            is_sole = self.agents.get((command.tenant_id, command.agent_id))
            agent = None if is_sole is None else Claimant(command.agent_id, is_sole=is_sole)
        outcomes: list[StateApplied | VersionConflict | Refused] = []
        for item in read:
            if item.state is None:
                outcomes.append(item.refusal or Refused(code=Code.STATE_INVALID))
            elif item.proposal.run_kind is RunKind.FLOW_RUN:
                outcomes.append(
                    self._set_flow_run_state(
                        command.tenant_id, item.proposal, item.state, agent=agent
                    )
                )
            else:
                outcomes.append(
                    self._set_task_run_state(command.tenant_id, item.proposal, item.state)
                )
        for item, outcome in zip(read, outcomes, strict=True):
            if not isinstance(outcome, StateApplied):
                code = outcome.code if isinstance(outcome, Refused) else Code.VERSION_LOCKED
                self.refused[item.proposal.run_kind, code] += 1
        return StatesSet(outcomes=outcomes)

    def _set_flow_run_state(
        self, tenant_id: UUID, proposal: StateProposal, state: RunState, *, agent: Claimant | None
    ) -> StateApplied | VersionConflict | Refused:
        run = self.flow_runs.get(proposal.run_id)
        if run is None or run.tenant_id != tenant_id:
            return _not_found(proposal)
        decision = propose_flow_run_state(
            run,
            state,
            seen_version=proposal.seen_version,
            by_person=proposal.by_person,
            lease_token=_lease_token(proposal, run.id),
            agent=agent,
            now=self.now,
        )
        match decision:
            case FlowRunMoved():
                if run.withheld:
                    fields = {"id": str(run.id), "flow_id": str(run.flow_id)}
                    return Refused(code=Code.FLOW_WITHDRAWN, fields=fields)
                if run.limited and (full := self._enter(run, state)) is not None:
                    return self._queue_flow_run(run, state, full)
                self._move_flow_run(decision)
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
        self, tenant_id: UUID, proposal: StateProposal, state: RunState
    ) -> StateApplied | VersionConflict | Refused:
        run = self.task_runs.get(proposal.run_id)
        if run is None or run.tenant_id != tenant_id:
            return _not_found(proposal)
        decision = propose_task_run_state(
            run,
            self.flow_runs.get(run.flow_run_id),
            state,
            seen_version=proposal.seen_version,
            seen_flow_run_version=proposal.seen_flow_run_version,
            lease_token=_lease_token(proposal, run.flow_run_id),
            now=self.now,
        )
        match decision:
            case TaskRunMoved():
                if run.limited and (full := self._enter(run, state)) is not None:
                    return self._queue_task_run(run, state, full)
                self._move_task_run(decision)
                return StateApplied(
                    id=run.id, version=decision.run.version, state=decision.run.state
                )
            case Stale(given):
                return VersionConflict(id=run.id, given=given, current=run.version, state=run.state)
            case Denied(code, fields):
                return Refused(code=code, fields=fields)

    def _enter(self, run: FlowRun | TaskRun, state: RunState) -> Limit | None:
        """The limit that is too full for the run to take this state, if there is one."""
        kind = RunKind.FLOW_RUN if isinstance(run, FlowRun) else RunKind.TASK_RUN
        if not limits.enters(kind, state.name):
            return None
        full = self.slots.enter(run, state, is_at_work=limits.occupies(kind, run.state))
        if full is None:
            return None
        metrics.LIMITS_FULL.labels(kind).inc()
        return full.limit

    def _queue_flow_run(
        self, run: FlowRun, state: RunState, limit: Limit
    ) -> StateApplied | Refused:
        """A process that would run waits; a claim is refused, because agents start the process all the same."""
        if state.name == State.SUBMITTED or run.is_finished:
            fields = {"id": str(run.id), "reason": limit.sentence}
            return Refused(code=Code.LIMIT_FULL, fields=fields)
        waiting = self.slots.waiting[run.id]
        if not limits.still_waits(run.state, run.state_start_time, now=self.now):
            document = limits.queued(limit, waiting.serialized_state, names=(), now=self.now)
            moved = move_flow_run(run, document, now=self.now)
            self._move_flow_run(moved)
            run = moved.run
        return _waits(run, limit)

    def _queue_task_run(self, run: TaskRun, state: RunState, limit: Limit) -> StateApplied:
        """The task's process sleeps and asks again."""
        waiting = self.slots.waiting[run.id]
        if not limits.still_waits(run.state, waiting.state_start_time, now=self.now):
            names = limits.names_of(RunKind.TASK_RUN, waiting.names, state)
            document = limits.queued(limit, waiting.serialized_state, names=names, now=self.now)
            moved = move_task_run(run, document, now=self.now)
            self._move_task_run(moved)
            waiting.state_start_time = document.start_time
            run = moved.run
        return _waits(run, limit)

    def _cancel(self, command: CancelFlowRun) -> FlowRunCancelled | Refused:
        run = self.flow_runs.get(command.flow_run_id)
        if run is None or run.tenant_id != command.tenant_id:
            return Refused(code=Code.FLOW_RUN_INVALID_ID, fields={"id": str(command.flow_run_id)})
        decision = cancel_flow_run(run, now=self.now)
        if isinstance(decision, FlowRunMoved):
            self._move_flow_run(decision)
            run = decision.run
        return FlowRunCancelled(id=run.id, state=run.state)

    def _move_flow_run(self, moved: FlowRunMoved) -> None:
        run = moved.run
        if run.state == State.CANCELLED:
            self._cancel_task_runs(run, moved.state)
        due = self.flow_runs[run.id].state_start_time
        if run.state == State.SUBMITTED and due is not None:
            self.waits.append(run.state_timestamp - due)
        is_at_work = limits.occupies(RunKind.FLOW_RUN, run.state)
        if run.limited and not is_at_work and self.slots.end(run.id):
            self.ready.add(run.tenant_id)  # the slot is somebody else's now
        self.flow_runs[run.id] = run
        self.flow_run_moves.append((self.ids(), moved))
        self.events.append(
            FlowRunStateChanged(
                event_id=self.ids(),
                at=run.state_timestamp,
                tenant_id=run.tenant_id,
                flow_run_id=run.id,
                flow_id=run.flow_id,
                version=run.version,
                state=run.state,
                previous_state=moved.previous_state,
                message=moved.state.message,
            )
        )
        if run.state in SCHEDULED_FAMILY and is_soon(moved.state.start_time, now=self.now):
            self.ready.add(run.tenant_id)
        if run.state in (State.CANCELLING, State.CANCELLED) and moved.previous_state in LIVE_FAMILY:
            self.cancelling.append((run.tenant_id, run.id))

    def _cancel_task_runs(self, run: FlowRun, state: RunState) -> None:
        for task_run_id in self.task_runs_of.get(run.id, ()):
            moved = cancel_task_run(self.task_runs[task_run_id], state, now=self.now)
            if moved is not None:
                self._move_task_run(moved)

    def _move_task_run(self, moved: TaskRunMoved) -> None:
        if moved.run.limited and not limits.occupies(RunKind.TASK_RUN, moved.run.state):
            self.slots.leave(moved.run.id)
        self.task_runs[moved.run.id] = moved.run
        self.task_run_moves.append((self.ids(), moved))

    # safeguards

    def _safeguard(self, command: Safeguard) -> Done:
        run = self.flow_runs.get(command.flow_run_id)
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
            return Done(found.reason)
        for moved in found.task_runs:
            self._move_task_run(moved)
        if found.flow_run is not None:
            self._move_flow_run(found.flow_run)
        self.logs.extend(found.logs)
        return Done(count=1)

    def _intervention(self, run: FlowRun, command: Safeguard) -> Intervention | LeftAlone:
        match command:
            case FlowRunZombieDetected():
                return answer_zombie(
                    run,
                    self._with_policies(self.task_runs_of.get(run.id, ())),
                    seen_version=command.version,
                    silent_since=command.last_seen,
                    last_seen=self.last_seen.get(run.id),
                    resurrection_limit=self.policy.resurrection_limit,
                    now=self.now,
                )
            case Reschedule():
                return answer_lazarus(
                    run,
                    seen_version=command.seen_version,
                    attempt=command.attempt,
                    limit=command.limit,
                    give_up=command.give_up,
                    now=self.now,
                )
            case EndCancellation():
                return end_cancellation(
                    run,
                    seen_version=command.seen_version,
                    deadline=self.policy.cancel_deadline,
                    now=self.now,
                )
            case EndLeftTaskRuns():
                return end_left_task_runs(
                    run,
                    self._with_policies(
                        id_ for id_ in command.task_run_ids if id_ in self.task_runs
                    ),
                    silence=command.silence,
                    last_seen=self.last_seen.get(run.id),
                    now=self.now,
                )
            case CancelArchived():
                if run.state not in NOT_STARTED or run.start_time is not None:
                    return LeftAlone("moved_on")
                state = make_state(State.CANCELLED, f"Flow {run.flow_id} was archived.")
                return Intervention(flow_run=move_flow_run(run, state, now=self.now))

    def _with_policies(self, ids: Iterable[UUID]) -> list[tuple[TaskRun, TaskPolicy]]:
        unnamed = TaskPolicy(name="unknown")
        return [(self.task_runs[id_], self.policies.get(id_, unnamed)) for id_ in ids]

    def _tenanted_logs(self) -> list[tuple[UUID, LogEntry]]:
        return [(self.flow_runs[entry.flow_run_id].tenant_id, entry) for entry in self.logs]

    # task runs that are asked for

    async def _get_or_create_task_runs(
        self, commands: Sequence[Command], answers: dict[int, Answer]
    ) -> None:
        """Find or make those that are asked for."""
        asked = {
            place: command
            for place, command in enumerate(commands)
            if isinstance(command, GetOrCreateTaskRun)
        }
        for _ in range(_TASK_RUN_LOOKUPS):
            if not asked:
                return
            found = await store.get_or_create_task_runs(
                self.connection, list(asked.values()), at=self.now, ids=self.ids
            )
            answers |= {
                place: _task_run_info(row, command)
                for (place, command), row in zip(asked.items(), found, strict=True)
            }
            asked = {
                place: command
                for (place, command), row in zip(asked.items(), found, strict=True)
                if row.task_id is not None and row.id is None
            }


_TASK_RUN_LOOKUPS = 2
"""The second sees what another transaction made during the first."""


def _lease_token(proposal: StateProposal, flow_run_id: UUID) -> UUID | None:
    """The token that the proposal is held to, if it is about the run that the sender holds."""
    if proposal.leased_flow_run_id in (None, flow_run_id):
        return proposal.lease_token
    return None


def _waits(run: FlowRun | TaskRun, limit: Limit) -> StateApplied:
    return StateApplied(
        id=run.id, version=run.version, state=run.state, status="QUEUED", message=limit.sentence
    )


def _not_found(proposal: StateProposal) -> Refused:
    fields = {"kind": proposal.run_kind.value.replace("_", " "), "id": str(proposal.run_id)}
    return Refused(code=Code.RUN_NOT_FOUND, fields=fields)


def _task_run_info(found: store.AskedTaskRun, command: GetOrCreateTaskRun) -> TaskRunInfo | Refused:
    if found.flow_run_id is None:
        return Refused(code=Code.FLOW_RUN_INVALID_ID, fields={"id": str(command.flow_run_id)})
    if found.task_id is None or found.id is None:
        return Refused(code=Code.TASK_INVALID_ID)
    document = found.serialized_state
    return TaskRunInfo(
        id=found.id,
        version=found.version or 0,
        state=found.state or State.PENDING,
        serialized_state=store.PENDING.document if document is None else document,
    )
