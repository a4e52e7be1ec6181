"""Whether a run may take a state, and the run after it.

Clients are bound by few rules, because unchanged Core clients and the UI write any state after any other
(gateway/reference/requests.md). All rules:

1. Version locking, if the flow has it on: a given version must be the current one.
2. A given lease token must be the run's current one (native agents; ARCHITECTURE.md).
3. Submitted is a claim: only a waiting run can be submitted, so one of many claimants wins. If the winner repeats its
   request, because its answer was lost, it gets the same answer again.
4. A task run cannot run while its flow run is not Running.
5. A finished flow run is final, except for a person: an explicit restart (a scheduled state or Pending), or a state
   proposed with the very version at which the run had finished ("Mark as" in the UI) or with the version left out,
   which no process does. A late report of a process that lost the race is refused; if it has the same state as the
   ledger, it is answered as done. Task runs have no such rule: Core itself goes Failed -> Retrying and Looped ->
   Running.
6. A cancellation is not undone by a process that was starting when it came and now reports Running: it is answered as
   done, its task runs are refused by rule 4, and it finds the Cancelling itself (Core looks every 15 s, and once more
   before it ends). A client that names the version of the Cancelling has seen it, and may mark the run as Running; so
   may a person.

Services have more rules: they always name the version they saw, and never change a finished run (`safeguards`).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from libs.contracts.base import JsonObject
from libs.contracts.errors import Code
from libs.contracts.states import (
    FINISHED_FAMILY,
    LIVE_FAMILY,
    RUNNING_FAMILY,
    SCHEDULED_FAMILY,
    State,
)
from services.runs.domain.states import RunState, make_state, with_cached_inputs

_CLAIMABLE_TASK_STATES = SCHEDULED_FAMILY | {State.PENDING}
_RESTART_STATES = SCHEDULED_FAMILY | {State.PENDING}
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRun:
    """The facts about a flow run for a decision, read under the row's lock."""

    id: UUID
    tenant_id: UUID
    flow_id: UUID
    version: int
    state: str
    state_timestamp: datetime
    state_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    heartbeat: datetime | None = None
    agent_id: UUID | None = None
    times_resurrected: int = 0
    attempt: int = 0
    lease_token: UUID | None = None
    version_locking: bool = False
    heartbeat_enabled: bool = True
    lazarus_enabled: bool = True
    limited: bool = False
    """Whether its tenant has concurrency limits at all (see `concurrency_limits`)."""
    withheld: bool = False
    """Whether it has not begun and its flow was archived or deleted; known only of a run that is to be submitted."""
    queue_is_closed: bool = False
    """Whether its tenant's work queue is paused; known only in a batch that submits runs."""

    @property
    def is_finished(self) -> bool:
        """Whether the run has ended."""
        return self.state in FINISHED_FAMILY


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRun:
    """The facts about a task run for a decision, read under the row's lock."""

    id: UUID
    tenant_id: UUID
    flow_run_id: UUID
    version: int
    state: str
    state_timestamp: datetime
    start_time: datetime | None = None
    end_time: datetime | None = None
    heartbeat: datetime | None = None
    retries: int = 0
    cached_inputs: JsonObject | None = None
    version_locking: bool = False
    limited: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether the run has ended."""
        return self.state in FINISHED_FAMILY


@dataclass(frozen=True, slots=True)
class FlowRunMoved:
    """The flow run takes `state` and is then `run`; `actor` is the user who set it by hand."""

    run: FlowRun
    state: RunState
    previous_state: str
    actor: UUID | None = None


@dataclass(frozen=True, slots=True)
class TaskRunMoved:
    """The task run takes `state` and is then `run`; `actor` is the user who set it by hand."""

    run: TaskRun
    state: RunState
    actor: UUID | None = None


@dataclass(frozen=True, slots=True)
class Agreed:
    """The run has this state already; nothing is written, and the answer is "applied"."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """The agent that submits a run. `is_sole`: certainly one process, not one of several replicas under one id."""

    id: UUID
    is_sole: bool = False


@dataclass(frozen=True, slots=True)
class Stale:
    """The sender saw version `given`, which is not the current one."""

    given: int


@dataclass(frozen=True, slots=True)
class Denied:
    """Refused for a reason that has a code."""

    code: Code
    fields: dict[str, str]


FlowRunDecision = FlowRunMoved | Agreed | Stale | Denied
TaskRunDecision = TaskRunMoved | Stale | Denied


def propose_flow_run_state(
    run: FlowRun,
    state: RunState,
    *,
    seen_version: int | None,
    by_person: bool = False,
    exact: bool = False,
    lease_token: UUID | None,
    agent: Claimant | None,
    now: datetime,
) -> FlowRunDecision:
    """A client's proposal for a flow run, by the rules above."""
    is_claim = state.name == State.SUBMITTED
    if _is_repeated(run, state, seen_version=seen_version, lease_token=lease_token, agent=agent):
        return Agreed()  # the answer to the first request was lost; it is repeated
    is_locked = exact or run.version_locking
    if is_locked and seen_version is not None and seen_version != run.version:
        return Stale(seen_version)
    if lease_token is not None and not is_claim and lease_token != run.lease_token:
        return Denied(Code.LEASE_LOST, {"id": str(run.id)})
    if is_claim and run.state not in SCHEDULED_FAMILY:
        return Denied(Code.ALREADY_SUBMITTED, {})
    has_seen = seen_version == run.version
    if run.is_finished and state.name not in _RESTART_STATES and not has_seen:
        if state.name == run.state:
            return Agreed()
        if not by_person:
            fields = {"id": str(run.id), "state": run.state, "version": str(run.version)}
            return Denied(Code.RUN_FINISHED, fields)
    if (
        run.state == State.CANCELLING
        and state.name == State.RUNNING
        and not (has_seen or by_person)
    ):
        return Agreed()
    moved = move_flow_run(run, state, now=now)
    if not is_claim:
        if state.name in _RESTART_STATES and state.name != State.QUEUED:
            # The run is started anew; its former holder writes nothing more. (A Queued run has a process that waits.)
            return FlowRunMoved(replace(moved.run, lease_token=None), state, run.state)
        return moved
    claimed = replace(
        moved.run,
        agent_id=run.agent_id if agent is None else agent.id,
        attempt=run.attempt + 1,
        lease_token=lease_token,
    )
    return FlowRunMoved(claimed, state, run.state)


def propose_task_run_state(
    run: TaskRun,
    flow_run: FlowRun | None,
    state: RunState,
    *,
    seen_version: int | None,
    seen_flow_run_version: int | None,
    exact: bool = False,
    lease_token: UUID | None,
    now: datetime,
) -> TaskRunDecision:
    """A client's proposal for a task run. `flow_run` is loaded whenever a rule needs it (`needs_flow_run`)."""
    is_locked = exact or run.version_locking
    if is_locked and seen_version is not None and seen_version != run.version:
        return Stale(seen_version)
    if flow_run is not None:
        if (
            is_locked
            and seen_flow_run_version is not None
            and seen_flow_run_version != flow_run.version
        ):
            return Stale(seen_flow_run_version)
        if lease_token is not None and lease_token != flow_run.lease_token:
            return Denied(Code.LEASE_LOST, {"id": str(run.id)})
    if state.name in RUNNING_FAMILY and (flow_run is None or flow_run.state != State.RUNNING):
        return Denied(
            Code.FLOW_RUN_NOT_RUNNING,
            {"task_run_id": str(run.id), "flow_run_id": str(run.flow_run_id)},
        )
    if state.name == State.SUBMITTED and run.state not in _CLAIMABLE_TASK_STATES:
        return Denied(Code.ALREADY_SUBMITTED, {})
    return move_task_run(run, state, now=now)


def needs_flow_run(
    state: RunState, *, seen_flow_run_version: int | None, lease_token: UUID | None
) -> bool:
    """Whether a task run's proposal is decided by its flow run too, which must then be locked first."""
    return (
        state.name in RUNNING_FAMILY or seen_flow_run_version is not None or lease_token is not None
    )


def cancel_flow_run(run: FlowRun, *, now: datetime) -> FlowRunMoved | Agreed:
    """A person cancels: a running process is asked to stop; without a process the run ends at once."""
    if run.is_finished or run.state == State.CANCELLING:
        return Agreed()
    if run.state in LIVE_FAMILY:
        return move_flow_run(run, make_state(State.CANCELLING, "Flow run is cancelling"), now=now)
    return move_flow_run(run, make_state(State.CANCELLED, "Flow run is cancelled"), now=now)


def cancel_task_run(run: TaskRun, state: RunState, *, now: datetime) -> TaskRunMoved | None:
    """A cancelled flow run takes its unfinished task runs with it."""
    if run.is_finished:
        return None
    return move_task_run(run, state, now=now)


def move_flow_run(run: FlowRun, state: RunState, *, now: datetime) -> FlowRunMoved:
    """The mechanical part: version, times, signs of life.

    `start_time` is when the run first ran and stays through restarts; `end_time` is when it last finished, and is
    empty while it is unfinished. A run's history never goes back in time, whatever the clocks of two replicas say.
    """
    at = max(now, run.state_timestamp + _TICK)
    # Written out, because dataclasses.replace costs more than the decision, thousands of times a second.
    moved = FlowRun(
        id=run.id,
        tenant_id=run.tenant_id,
        flow_id=run.flow_id,
        version=run.version + 1,
        state=state.name,
        state_timestamp=at,
        state_start_time=state.start_time,
        start_time=_start_time(run.start_time, state, at),
        end_time=at if state.name in FINISHED_FAMILY else None,
        heartbeat=at if state.name in LIVE_FAMILY else run.heartbeat,
        agent_id=run.agent_id,
        times_resurrected=run.times_resurrected,
        attempt=run.attempt,
        lease_token=run.lease_token,
        version_locking=run.version_locking,
        heartbeat_enabled=run.heartbeat_enabled,
        lazarus_enabled=run.lazarus_enabled,
        limited=run.limited,
    )
    return FlowRunMoved(moved, state, run.state)


def move_task_run(run: TaskRun, state: RunState, *, now: datetime) -> TaskRunMoved:
    """As for flow runs; cached inputs are carried forward."""
    at = max(now, run.state_timestamp + _TICK)
    if run.cached_inputs and not state.has_cached_inputs:
        state = with_cached_inputs(state, run.cached_inputs)
    moved = TaskRun(
        id=run.id,
        tenant_id=run.tenant_id,
        flow_run_id=run.flow_run_id,
        version=run.version + 1,
        state=state.name,
        state_timestamp=at,
        start_time=_start_time(run.start_time, state, at),
        end_time=at if state.name in FINISHED_FAMILY else None,
        heartbeat=at if state.name in RUNNING_FAMILY else run.heartbeat,
        retries=run.retries + (state.name == State.RETRYING),
        cached_inputs=state.document.get("cached_inputs"),
        version_locking=run.version_locking,
        limited=run.limited,
    )
    return TaskRunMoved(moved, state)


def _is_repeated(
    run: FlowRun,
    state: RunState,
    *,
    seen_version: int | None,
    lease_token: UUID | None,
    agent: Claimant | None,
) -> bool:
    """Whether this request is a repetition of the one that made the current state.

    The holder of the lease is one process; so is an agent without a second registration. From others the same request
    may come from a second claimant, which must be refused.
    """
    if state.name != run.state or state.name not in (State.SUBMITTED, State.RUNNING):
        return False
    if lease_token is not None:
        is_same = lease_token == run.lease_token
        return is_same and (state.name == State.SUBMITTED or seen_version == run.version - 1)
    return (
        state.name == State.SUBMITTED
        and run.lease_token is None
        and agent is not None
        and agent.is_sole
        and agent.id == run.agent_id
        and seen_version in (None, run.version - 1)
    )


def _start_time(known: datetime | None, state: RunState, now: datetime) -> datetime | None:
    return now if known is None and state.name == State.RUNNING else known
