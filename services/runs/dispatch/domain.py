"""The rules of claims and leases: which agent gets a run, the standing of a lease, the meaning of a process's end."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from libs.contracts.agents import Outcome, Standing
from libs.contracts.base import JsonObject
from libs.contracts.states import FINISHED_FAMILY, SCHEDULED_FAMILY, State
from services.runs.domain.deaths import LOGGER
from services.runs.domain.safeguards import LogEntry
from services.runs.domain.states import META_STATES, RunState, make_state
from services.runs.domain.transitions import FlowRun, FlowRunMoved, move_flow_run

Labels = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingClaim:
    """A waiting claim, with room for `capacity` runs."""

    claim_id: UUID
    labels: Labels
    capacity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A run that could start now."""

    id: UUID
    labels: Labels


def is_servable(run: Labels, agent: Labels) -> bool:
    """Whether the agent may have the run: its labels cover the run's; a run without goes to an agent without."""
    return run <= agent and bool(run) == bool(agent)


def share(due: Iterable[Due], waiting: Sequence[WaitingClaim]) -> dict[UUID, list[UUID]]:
    """Run ids by claim id: runs oldest first, claims in turn, one run each until their room is used up.

    `waiting` is in the order of turns: the longest waiting claim comes first.
    """
    room = {claim.claim_id: claim.capacity for claim in waiting}
    # Claims that may have a label set, made once per set: a thousand runs share a handful of sets.
    turns: dict[Labels, deque[UUID]] = {}
    shared: dict[UUID, list[UUID]] = {}
    for run in due:
        if run.labels not in turns:
            turns[run.labels] = deque(
                claim.claim_id for claim in waiting if is_servable(run.labels, claim.labels)
            )
        queue = turns[run.labels]
        while queue:
            claim_id = queue.popleft()
            if room[claim_id] > 0:
                room[claim_id] -= 1
                shared.setdefault(claim_id, []).append(run.id)
                queue.append(claim_id)
                break
    return shared


def lease_token(claim_id: UUID, flow_run_id: UUID) -> UUID:
    """The token of a run under a claim. A repeated claim finds its runs by it, so nothing else must be stored."""
    return uuid5(claim_id, str(flow_run_id))


def submitted(serialized_state: JsonObject) -> RunState:
    """Submitted around the state that the run waited in, which runners unwrap."""
    inner = serialized_state
    while inner.get("type") in META_STATES and isinstance(inner.get("state"), dict):
        inner = inner["state"]
    return make_state(
        State.SUBMITTED, "Submitted for execution", state=inner, context={}, cached_inputs={}
    )


def standing_of(state: str | None, token: UUID | None, *, held: UUID) -> Standing:
    """The standing of a lease; `state` is None for an unknown run."""
    if state is None or token != held:
        return Standing.LOST
    if state in (State.CANCELLING, State.CANCELLED):
        return Standing.CANCEL
    if state in FINISHED_FAMILY:
        return Standing.OVER
    if state in SCHEDULED_FAMILY and state != State.QUEUED:
        return Standing.LOST  # it was restarted; or it is Queued, and its process waits for a slot
    return Standing.HELD


@dataclass(frozen=True, slots=True)
class Requeued:
    """The run waits again, as a later attempt."""

    moved: FlowRunMoved
    log: LogEntry


@dataclass(frozen=True, slots=True)
class Proposed:
    """Propose this state to the ledger, by the same rules as for clients."""

    state: State
    message: str


@dataclass(frozen=True, slots=True)
class Crashed:
    """The process of a Running run is gone; the ledger decides by the run's tasks (`domain/deaths.py`)."""

    message: str


@dataclass(frozen=True, slots=True)
class Released:
    """Nothing to decide: the run has ended, or no process of it was started."""


Ending = Requeued | Proposed | Crashed | Released


def end_of_process(
    run: FlowRun,
    outcome: Outcome,
    *,
    exit_code: int | None,
    message: str | None,
    attempts: int,
    now: datetime,
) -> Ending:
    """The decision after the end of a run's process. `attempts` is how often a run may fail to start; an attempt that
    was returned does not count.
    """
    if run.is_finished:
        return Released()
    said = describe_exit(outcome, exit_code, message)
    if run.state == State.CANCELLING:
        return Proposed(State.CANCELLED, f"Flow run is cancelled: {said}")
    if outcome is Outcome.UNSTARTED:
        return Proposed(State.FAILED, said)
    if run.state == State.SUBMITTED:
        if outcome is not Outcome.RETURNED and run.attempt >= attempts:
            return Proposed(State.FAILED, f"{said} It was tried {run.attempt} times.")
        if outcome is Outcome.RETURNED:
            return requeue(_untried(run), said, delay=timedelta(0), now=now)
        return requeue(run, said, delay=_pause(run.attempt), now=now)
    if run.state != State.RUNNING or outcome is Outcome.RETURNED:
        return Released()
    return Crashed(said)


def lapse(run: FlowRun, *, attempts: int, now: datetime) -> Requeued | Proposed | Released:
    """A lease expired. Only a run that has not begun is queued again; `run` is read under its lock."""
    if run.state != State.SUBMITTED or run.lease_token is None:
        return Released()
    said = "The agent that took this run was not heard of again before it started."
    if run.attempt >= attempts:
        return Proposed(State.FAILED, f"{said} It was tried {run.attempt} times.")
    return requeue(run, said, delay=timedelta(0), now=now)


def requeue(run: FlowRun, said: str, *, delay: timedelta, now: datetime) -> Requeued:
    """Scheduled again. The lease ends here: later writes of its holder are refused."""
    message = f"{said} It is queued again."
    state = make_state(State.SCHEDULED, message, start_time=now + delay)
    moved = move_flow_run(run, state, now=now)
    freed = replace(moved.run, lease_token=None)
    entry = LogEntry(
        flow_run_id=run.id, task_run_id=None, name=LOGGER, level="WARNING", message=message
    )
    return Requeued(FlowRunMoved(freed, state, moved.previous_state), entry)


def describe_exit(outcome: Outcome, exit_code: int | None, message: str | None) -> str:
    """A sentence for the run's state and log."""
    if message:
        return message if message.endswith((".", "!", "?")) else f"{message}."
    match outcome:
        case Outcome.EXITED if exit_code is not None and exit_code > 128:
            return f"The flow run's process was ended by signal {exit_code - 128}."
        case Outcome.EXITED:
            return f"The flow run's process ended with exit code {exit_code}."
        case Outcome.VANISHED:
            return "The flow run's process vanished while its agent was away."
        case Outcome.UNSTARTED:
            return "The flow run's process could not be started."
        case Outcome.RETURNED:
            return "The agent gave this run back before it started."


def _untried(run: FlowRun) -> FlowRun:
    """The attempt was never started, so it does not count. Otherwise departed agents would use up the attempts."""
    return replace(run, attempt=max(0, run.attempt - 1))


def _pause(attempt: int) -> timedelta:
    """A machine on which processes die at once would otherwise start hundreds of runs a minute."""
    return timedelta(seconds=min(2.0**attempt, 60.0))
