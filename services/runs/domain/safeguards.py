"""The actions of the safeguards: zombies, Lazarus, cancellations without effect.

All of them act on the version that they saw. A run that is finished, or has changed since, is not touched
(ARCHITECTURE.md). The messages are those of Prefect Server, which people search for, with its missing space corrected
(gateway/reference/runs.md).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from libs.contracts.states import LIVE_FAMILY, RUNNING_FAMILY, State
from services.runs.domain.states import make_state
from services.runs.domain.transitions import (
    FlowRun,
    FlowRunMoved,
    TaskRun,
    TaskRunMoved,
    move_flow_run,
    move_task_run,
)

LAZARUS_LOGGER = "prefect-server.Lazarus.FlowRun"
ZOMBIE_TASK_LOGGER = "prefect-server.ZombieKiller.TaskRun"
ZOMBIE_FLOW_LOGGER = "prefect-server.ZombieKiller.FlowRun"
CANCEL_LOGGER = "headwater.Cancellation.FlowRun"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """A line that the ledger writes on a run, in the transaction of the state it explains."""

    flow_run_id: UUID
    task_run_id: UUID | None
    name: str
    level: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPolicy:
    """The retry settings of a task."""

    name: str
    max_retries: int = 0
    retry_delay: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervention:
    """The action of a safeguard: states for task runs, then perhaps one for the flow run, and log lines with the
    reason."""

    task_runs: tuple[TaskRunMoved, ...] = ()
    flow_run: FlowRunMoved | None = None
    logs: tuple[LogEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """No action, with the reason."""

    reason: str


def answer_zombie(
    run: FlowRun,
    task_runs: list[tuple[TaskRun, TaskPolicy]],
    *,
    seen_version: int,
    silent_since: datetime,
    last_seen: datetime | None,
    resurrection_limit: int,
    now: datetime,
) -> Intervention | LeftAlone:
    """A live run fell silent. Its running tasks are retried or failed; the run itself is left to a retry or Lazarus.

    `last_seen` is the newest sign of life that the ledger finds; one after `silent_since` proves the event wrong.
    """
    if run.is_finished:
        return LeftAlone("finished")
    if run.version != seen_version:
        return LeftAlone("moved_on")
    if run.state not in LIVE_FAMILY:
        return LeftAlone("not_live")
    if not run.heartbeat_enabled:
        return LeftAlone("heartbeat_disabled")
    if last_seen is not None and last_seen > silent_since:
        return LeftAlone("alive")
    found = _end_of_zombie(run, task_runs, resurrection_limit=resurrection_limit, now=now)
    if not found.task_runs and found.flow_run is None:
        return found  # a repeated event writes nothing again
    heard = (
        f"The last heartbeat of this run was received at {silent_since:%Y-%m-%d %H:%M:%S} UTC, "
        f"{(now - silent_since).total_seconds():.0f} seconds ago."
    )
    return replace(found, logs=(*found.logs, _entry(run, ZOMBIE_FLOW_LOGGER, "ERROR", heard)))


def _end_of_zombie(
    run: FlowRun,
    task_runs: list[tuple[TaskRun, TaskPolicy]],
    *,
    resurrection_limit: int,
    now: datetime,
) -> Intervention:
    is_over = run.state == State.CANCELLING
    moves: list[TaskRunMoved] = []
    logs: list[LogEntry] = []
    for task_run, policy in task_runs:
        if task_run.state in RUNNING_FAMILY:
            moved, entry = end_task_run(task_run, policy, may_retry=not is_over, now=now)
            moves.append(moved)
            logs.append(entry)
    if is_over:
        return _failed_flow_run(run, tuple(moves), tuple(logs), now=now)
    will_retry = any(moved.run.state == State.RETRYING for moved in moves)
    # A due retry brings the run back through the queue; otherwise Lazarus does, until its limit.
    if will_retry or (run.lazarus_enabled and run.times_resurrected < resurrection_limit):
        return Intervention(task_runs=tuple(moves), logs=tuple(logs))
    return _failed_flow_run(run, tuple(moves), tuple(logs), now=now)


def answer_lazarus(
    run: FlowRun, *, seen_version: int, attempt: int, limit: int, give_up: bool, now: datetime
) -> Intervention | LeftAlone:
    """Lazarus proposes a new attempt, or to fail the run."""
    if run.is_finished:
        return LeftAlone("finished")
    if run.version != seen_version:
        return LeftAlone("moved_on")
    if give_up:
        message = (
            f"A Lazarus process attempted to reschedule this run {limit} times without success. "
            "Marking as failed."
        )
        moved = move_flow_run(run, make_state(State.FAILED, message), now=now)
        return Intervention(flow_run=moved, logs=(_entry(run, LAZARUS_LOGGER, "ERROR", message),))
    state = make_state(State.SCHEDULED, "Rescheduled by a Lazarus process.", start_time=now)
    moved = move_flow_run(run, state, now=now)
    # The old lease ends here: its holder has lost the run (ARCHITECTURE.md).
    revived = replace(moved.run, times_resurrected=attempt, lease_token=None)
    message = f"Rescheduled by a Lazarus process. This is attempt {attempt}."
    return Intervention(
        flow_run=FlowRunMoved(revived, state, run.state),
        logs=(_entry(run, LAZARUS_LOGGER, "INFO", message),),
    )


def end_cancellation(
    run: FlowRun, *, seen_version: int, deadline: timedelta, now: datetime
) -> Intervention | LeftAlone:
    """A run that should stop and did not by the deadline is Cancelled by the ledger."""
    if run.state != State.CANCELLING or run.version != seen_version:
        return LeftAlone("moved_on")
    if now - run.state_timestamp < deadline:
        return LeftAlone("not_due")
    message = (
        f"Flow run is cancelled: nothing confirmed the cancellation within {deadline.seconds} s."
    )
    moved = move_flow_run(run, make_state(State.CANCELLED, message), now=now)
    return Intervention(flow_run=moved, logs=(_entry(run, CANCEL_LOGGER, "WARNING", message),))


def end_left_task_runs(
    run: FlowRun,
    task_runs: list[tuple[TaskRun, TaskPolicy]],
    *,
    silence: timedelta,
    last_seen: datetime | None,
    now: datetime,
) -> Intervention | LeftAlone:
    """Task runs that run although their flow run does not, and was not heard for `silence`: their process is gone.

    A running flow run is judged by the heartbeat service (`answer_zombie`). Nothing would run the task again here, so
    there is no retry; a person's restart of the flow run handles them as other failed ones.
    """
    if run.state in RUNNING_FAMILY:
        return LeftAlone("at_work")
    if not run.heartbeat_enabled:
        return LeftAlone("heartbeat_disabled")
    since = now - silence
    if run.state_timestamp > since or (last_seen is not None and last_seen > since):
        return LeftAlone("alive")
    ended = [
        end_task_run(task_run, policy, may_retry=False, now=now)
        for task_run, policy in task_runs
        if task_run.state in RUNNING_FAMILY and task_run.state_timestamp <= since
    ]
    if not ended:
        return LeftAlone("moved_on")
    return Intervention(
        task_runs=tuple(moved for moved, _ in ended), logs=tuple(entry for _, entry in ended)
    )


def end_task_run(
    run: TaskRun,
    policy: TaskPolicy,
    *,
    may_retry: bool,
    now: datetime,
    why: str = "No heartbeat detected from the remote task;",
) -> tuple[TaskRunMoved, LogEntry]:
    """A Running task run without a process is retried if it may be, else failed; `why` begins its message."""
    attempt = run.retries + 1
    if may_retry and attempt <= policy.max_retries:
        message = f"{why} retrying the run. This will be retry {attempt} of {policy.max_retries}."
        state = make_state(
            State.RETRYING, message, start_time=now + policy.retry_delay, run_count=attempt
        )
    else:
        message = f"{why} marking the task run {run.id} ({policy.name}) as failed."
        state = make_state(State.FAILED, message)
    entry = LogEntry(
        flow_run_id=run.flow_run_id,
        task_run_id=run.id,
        name=ZOMBIE_TASK_LOGGER,
        level="ERROR",
        message=message,
    )
    return move_task_run(run, state, now=now), entry


def _failed_flow_run(
    run: FlowRun,
    moves: tuple[TaskRunMoved, ...],
    logs: tuple[LogEntry, ...],
    *,
    now: datetime,
) -> Intervention:
    message = "No heartbeat detected from the flow run; marking the run as failed."
    return Intervention(
        task_runs=moves,
        flow_run=move_flow_run(run, make_state(State.FAILED, message), now=now),
        logs=(*logs, _entry(run, ZOMBIE_FLOW_LOGGER, "ERROR", message)),
    )


def _entry(run: FlowRun, logger: str, level: str, message: str) -> LogEntry:
    return LogEntry(flow_run_id=run.id, task_run_id=None, name=logger, level=level, message=message)
