"""The evidence as tables a person likes to read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from deploy.demo.evidence import Evidence, FlowRun, FlowVersion, LogLine, TaskRun
from libs.contracts.states import COLORS

TASK_RUNNER = "prefect.CloudTaskRunner"
LEVEL_STYLE = {"DEBUG": "dim", "INFO": "", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


def everything(seen: Evidence) -> Group:
    return Group(
        "",
        _flows(seen.flows),
        "",
        _runs(seen.runs),
        "",
        _tasks(seen.tasks),
        "",
        _logs("Logs of the ad-hoc run", seen.ad_hoc_logs),
        "",
        _logs("Logs of the scheduled run", seen.scheduled_logs),
    )


def _flows(flows: tuple[FlowVersion, ...]) -> Table:
    table = _table("Flows")
    for heading in ("flow", "version", "", "schedule", "runs waiting"):
        table.add_column(
            heading, justify="right" if heading.startswith(("version", "runs")) else "left"
        )
    newest = {flow.name: flow.version for flow in flows}
    # After ten demos there are eleven versions; only the last two are interesting.
    for flow in (flow for flow in flows if flow.version > newest[flow.name] - 2):
        table.add_row(
            flow.name,
            str(flow.version),
            "archived" if flow.archived else "[green]current[/green]",
            _schedule(flow),
            str(flow.waiting or ""),
            style="dim" if flow.archived else "",
        )
    return table


def _schedule(flow: FlowVersion) -> str:
    if not flow.schedule_active:
        return "-"
    return "paused" if flow.archived else "active"


def _runs(runs: tuple[FlowRun, ...]) -> Table:
    table = _table("Run history (UTC)")
    for heading in ("run", "flow", "started by", "state", "due", "began", "took"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("state", "due", "began"))
    for run in runs:
        table.add_row(
            run.name,
            f"{run.flow} v{run.version}",
            "schedule" if run.scheduled else "hand",
            _state(run.state),
            _clock(run.due),
            _clock(run.began),
            _took(run.began, run.ended),
        )
    return table


def _tasks(tasks: tuple[TaskRun, ...]) -> Table:
    table = _table("Tasks of the ad-hoc run")
    for heading in ("task", "state", "how it got there", "took"):
        table.add_column(heading)
    for task in sorted(tasks, key=_beside_its_children(tasks)):
        index = f"[{task.map_index}]" if task.map_index >= 0 else ""
        table.add_row(
            Text(task.task + index),
            _state(task.state),
            Text(" > ").join(_state(state) for state in task.history),
            _took(task.began, task.ended),
        )
    return table


def _beside_its_children(tasks: tuple[TaskRun, ...]) -> Callable[[TaskRun], tuple[str, int]]:
    """In the order in which tasks began. A mapped parent never runs itself, so it has no time."""
    began: dict[str, str] = {}
    for task in tasks:
        if task.began:
            began[task.task] = min(began.get(task.task, "~"), task.began.isoformat())
    return lambda task: (began.get(task.task, "~"), task.map_index)


def _logs(title: str, lines: tuple[LogLine, ...]) -> Table:
    """Everything except the two lines that the client always logs for each task."""
    shown = [line for line in lines if line.level != "INFO" or line.name != TASK_RUNNER]
    table = _table(title)
    if len(shown) < len(lines):
        table.caption = f"and {len(lines) - len(shown)} lines of tasks starting and finishing"
    for heading in ("at", "level", "logger", "message"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("at", "level"))
    for line in shown:
        table.add_row(
            _clock(line.at),
            Text(line.level, LEVEL_STYLE.get(line.level, "")),
            Text(line.name.removeprefix("prefect.")),
            # The last line of a traceback has the error.
            Text(line.message.strip().splitlines()[-1] if line.message.strip() else ""),
        )
    return table


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        header_style="dim",
        pad_edge=False,
    )


def _state(state: str) -> Text:
    return Text(state, COLORS.get(state, ""))


def _clock(timestamp: datetime | None) -> str:
    return f"{timestamp:%H:%M:%S}" if timestamp else ""


def _took(began: datetime | None, ended: datetime | None) -> str:
    return f"{(ended - began).total_seconds():.1f} s" if began and ended else ""
