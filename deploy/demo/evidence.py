"""The API's data about the demo's flows and runs, and its check.

`collect` queries the API; `problems` checks the collected data, without I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deploy.demo.api import Api

FLOWS = """
query($project: String!) {
  flow(where: {project: {name: {_eq: $project}}}, order_by: [{name: asc}, {version: asc}]) {
    id name version archived is_schedule_active
    flow_runs_aggregate(where: {auto_scheduled: {_eq: true}, state: {_eq: "Scheduled"}}) {
      aggregate { count }
    }
  }
}"""

FLOW_RUNS = """
query($project: String!, $limit: Int!) {
  flow_run(
    where: {flow: {project: {name: {_eq: $project}}}, state: {_neq: "Scheduled"}}
    order_by: {scheduled_start_time: desc}, limit: $limit
  ) {
    id name state state_message auto_scheduled parameters
    scheduled_start_time start_time end_time
    flow { id name version }
  }
}"""

TASK_RUNS = """
query($flow_run_id: uuid!) {
  task_run(
    where: {flow_run_id: {_eq: $flow_run_id}}
    order_by: [{start_time: asc}, {task: {slug: asc}}, {map_index: asc}]
  ) {
    map_index state start_time end_time
    task { name }
    states(order_by: {timestamp: asc}) { state }
  }
}"""

LOGS = """
query($flow_run_id: uuid!) {
  flow_run_by_pk(id: $flow_run_id) {
    logs(order_by: {timestamp: asc}) { timestamp level name message }
  }
}"""

HISTORY_LENGTH = 12  # a repeated demo, or one left running for an hour, has more than fits a screen


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowVersion:
    id: str
    name: str
    version: int
    archived: bool
    schedule_active: bool
    """Whether the user switched it on; the schedule of an archived version is paused all the same."""
    waiting: int
    """Runs that its schedule has made and that wait for their start time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRun:
    id: str
    name: str
    flow: str
    version: int
    state: str
    message: str
    scheduled: bool
    parameters: dict[str, Any]
    due: datetime | None
    began: datetime | None
    ended: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRun:
    task: str
    map_index: int
    state: str
    history: tuple[str, ...]
    began: datetime | None
    ended: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    at: datetime | None
    level: str
    name: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The actions of the demo, and so the expected data."""

    ad_hoc: str
    """Id of the run that was created by hand."""
    parameters: dict[str, Any]
    scheduled: str
    """Id of the first run that the schedule made."""
    mapped_task: str
    mapped_children: int
    retried_task: str
    ad_hoc_log: str
    scheduled_log: str
    superseded: str
    """Id of the flow version that a newer one archived."""
    successor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    flows: tuple[FlowVersion, ...]
    runs: tuple[FlowRun, ...]
    tasks: tuple[TaskRun, ...]
    """Of the ad-hoc run."""
    ad_hoc_logs: tuple[LogLine, ...]
    scheduled_logs: tuple[LogLine, ...]


def collect(api: Api, *, project: str, ad_hoc: str, scheduled: str) -> Evidence:
    """Read everything back over GraphQL."""
    runs = api.ask(FLOW_RUNS, project=project, limit=HISTORY_LENGTH)["flow_run"]
    return Evidence(
        flows=flows(api, project=project),
        runs=tuple(_flow_run(row) for row in reversed(runs)),
        tasks=task_runs(api, flow_run_id=ad_hoc),
        ad_hoc_logs=logs(api, flow_run_id=ad_hoc),
        scheduled_logs=logs(api, flow_run_id=scheduled),
    )


def flows(api: Api, *, project: str) -> tuple[FlowVersion, ...]:
    return tuple(
        FlowVersion(
            id=row["id"],
            name=row["name"],
            version=row["version"],
            archived=row["archived"],
            schedule_active=row["is_schedule_active"],
            waiting=row["flow_runs_aggregate"]["aggregate"]["count"],
        )
        for row in api.ask(FLOWS, project=project)["flow"]
    )


def task_runs(api: Api, *, flow_run_id: str) -> tuple[TaskRun, ...]:
    return tuple(
        TaskRun(
            task=row["task"]["name"],
            map_index=row["map_index"],
            state=row["state"],
            history=tuple(state["state"] for state in row["states"]),
            began=_timestamp(row["start_time"]),
            ended=_timestamp(row["end_time"]),
        )
        for row in api.ask(TASK_RUNS, flow_run_id=flow_run_id)["task_run"]
    )


def logs(api: Api, *, flow_run_id: str) -> tuple[LogLine, ...]:
    run = api.ask(LOGS, flow_run_id=flow_run_id)["flow_run_by_pk"]
    return tuple(
        LogLine(
            at=_timestamp(row["timestamp"]),
            level=row["level"],
            name=row["name"] or "",
            message=row["message"] or "",
        )
        for row in (run or {}).get("logs", ())
    )


def problems(seen: Evidence, expected: Expected) -> list[str]:
    """Every deviation from the expected data, one sentence each; empty when all is well."""
    return [
        *_problems_of_run(seen, expected.ad_hoc, "ad-hoc", scheduled=False),
        *_problems_of_run(seen, expected.scheduled, "scheduled", scheduled=True),
        *_problems_of_parameters(seen, expected),
        *_problems_of_tasks(seen.tasks, expected),
        *_problems_of_logs(seen.ad_hoc_logs, expected.ad_hoc_log, "ad-hoc"),
        *_problems_of_logs(seen.scheduled_logs, expected.scheduled_log, "scheduled"),
        *_problems_of_versions(seen.flows, expected),
    ]


def _problems_of_run(seen: Evidence, run_id: str, kind: str, *, scheduled: bool) -> list[str]:
    run = next((run for run in seen.runs if run.id == run_id), None)
    if run is None:
        return [f"the {kind} run {run_id} is missing from the run history"]
    found = []
    if run.state != "Success":
        found.append(f"the {kind} run ended {run.state} ({run.message}) and not Success")
    if run.scheduled != scheduled:
        found.append(f"the {kind} run is marked auto_scheduled={run.scheduled}")
    if run.began is None or run.ended is None:
        found.append(f"the {kind} run has no start or no end time")
    return found


def _problems_of_parameters(seen: Evidence, expected: Expected) -> list[str]:
    run = next((run for run in seen.runs if run.id == expected.ad_hoc), None)
    if run is None or run.parameters == expected.parameters:
        return []
    return [f"the ad-hoc run has the parameters {run.parameters}, not {expected.parameters}"]


def _problems_of_tasks(tasks: tuple[TaskRun, ...], expected: Expected) -> list[str]:
    found = []
    children = [task for task in tasks if task.task == expected.mapped_task and task.map_index >= 0]
    succeeded = [task for task in children if task.state == "Success"]
    if not len(children) == len(succeeded) == expected.mapped_children:
        found.append(
            f"{expected.mapped_task} has {len(children)} mapped children of which "
            f"{len(succeeded)} succeeded, not {expected.mapped_children}"
        )
    histories = [task.history for task in tasks if task.task == expected.retried_task]
    if not any("Retrying" in history and history[-1] == "Success" for history in histories):
        found.append(f"{expected.retried_task} was not retried to Success: {histories}")
    return found


def _problems_of_logs(lines: tuple[LogLine, ...], expected: str, kind: str) -> list[str]:
    if any(expected in line.message for line in lines):
        return []
    return [f"the {kind} run's {len(lines)} log lines have none that says {expected!r}"]


def _problems_of_versions(flows: tuple[FlowVersion, ...], expected: Expected) -> list[str]:
    by_id = {flow.id: flow for flow in flows}
    old, new = by_id.get(expected.superseded), by_id.get(expected.successor)
    if old is None or new is None:
        return ["a registered flow version is missing"]
    found = []
    if new.version != old.version + 1:
        found.append(f"version {old.version} was followed by version {new.version}")
    if not old.archived or new.archived:
        found.append("the new version did not archive the old one")
    if old.waiting:
        found.append(
            f"the archived version's schedule is not paused: {old.waiting} of its runs wait"
        )
    if not new.waiting:
        found.append("the new version's schedule has made no runs")
    return found


def _flow_run(row: dict[str, Any]) -> FlowRun:
    return FlowRun(
        id=row["id"],
        name=row["name"],
        flow=row["flow"]["name"],
        version=row["flow"]["version"],
        state=row["state"],
        message=row["state_message"] or "",
        scheduled=row["auto_scheduled"],
        parameters=row["parameters"] or {},
        due=_timestamp(row["scheduled_start_time"]),
        began=_timestamp(row["start_time"]),
        ended=_timestamp(row["end_time"]),
    )


def _timestamp(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
