"""The end of a Running run's process, as its agent reports it: decided at once, without waiting for a silence."""

from dataclasses import replace
from datetime import datetime, timedelta

from libs.contracts.states import RUNNING_FAMILY, SCHEDULED_FAMILY, State
from services.runs.domain.safeguards import (
    Intervention,
    LeftAlone,
    LogEntry,
    TaskPolicy,
    end_task_run,
)
from services.runs.domain.states import make_state
from services.runs.domain.transitions import (
    FlowRun,
    FlowRunMoved,
    TaskRun,
    move_flow_run,
)

LOGGER = "headwater.Dispatch.FlowRun"
_LONGEST_PAUSE = timedelta(minutes=10)


def answer_death(
    run: FlowRun,
    task_runs: list[tuple[TaskRun, TaskPolicy]],
    *,
    seen_version: int,
    said: str,
    resurrection_limit: int,
    now: datetime,
) -> Intervention | LeftAlone:
    """The process is gone although the run is Running. `task_runs` are the unfinished ones.

    Its exit code proves nothing: Core's runner leaves with 0 when it meets a task that runs elsewhere, and when a task
    waits. So Running task runs, which have no process either, are retried or failed. A run with a task that waits is
    brought back by that task. Any other is rescheduled in the place of Lazarus and by the same count, or failed. Each
    time it waits twice as long: a process that dies at once would otherwise use up its attempts in seconds.
    """
    if run.is_finished:
        return LeftAlone("finished")
    if run.version != seen_version:
        return LeftAlone("moved_on")
    if run.state != State.RUNNING:
        return LeftAlone("not_running")
    ended = [
        end_task_run(
            task_run, policy, may_retry=True, now=now, why=f"{said} The task run has no process:"
        )
        for task_run, policy in task_runs
        if task_run.state in RUNNING_FAMILY
    ]
    moves = tuple(moved for moved, _ in ended)
    logs = tuple(entry for _, entry in ended)
    waits = any(task_run.state in SCHEDULED_FAMILY for task_run, _ in task_runs)
    if waits or any(moved.run.state == State.RETRYING for moved in moves):
        return Intervention(task_runs=moves, logs=logs) if moves else LeftAlone("waits")
    moved, entry = _end_of_flow_run(run, said, limit=resurrection_limit, now=now)
    return Intervention(task_runs=moves, flow_run=moved, logs=(*logs, entry))


def _end_of_flow_run(
    run: FlowRun, said: str, *, limit: int, now: datetime
) -> tuple[FlowRunMoved, LogEntry]:
    times = run.times_resurrected
    if run.lazarus_enabled and run.heartbeat_enabled and times < limit:
        pause = min(timedelta(seconds=2.0 ** min(times + 1, 20)), _LONGEST_PAUSE)
        message = f"{said} The run is rescheduled. This is attempt {times + 1}."
        state = make_state(State.SCHEDULED, message, start_time=now + pause)
        moved = move_flow_run(run, state, now=now)
        # The old lease ends here: its holder has lost the run (ARCHITECTURE.md).
        revived = replace(moved.run, times_resurrected=times + 1, lease_token=None)
        return FlowRunMoved(revived, state, run.state), _entry(run, "WARNING", message)
    message = said
    if times:
        message += f" It was rescheduled {times} times without success."
    failed = move_flow_run(run, make_state(State.FAILED, message), now=now)
    return failed, _entry(run, "ERROR", message)


def _entry(run: FlowRun, level: str, message: str) -> LogEntry:
    return LogEntry(flow_run_id=run.id, task_run_id=None, name=LOGGER, level=level, message=message)
