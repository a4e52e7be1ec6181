"""What the demo counts as a failure: each way in which the main job can go wrong has a sentence."""

from dataclasses import replace
from datetime import UTC, datetime

from deploy.demo.evidence import (
    Evidence,
    Expected,
    FlowRun,
    FlowVersion,
    LogLine,
    TaskRun,
    problems,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

EXPECTED = Expected(
    ad_hoc="run-1",
    parameters={"day": "today"},
    scheduled="run-2",
    mapped_task="fetch",
    mapped_children=2,
    retried_task="rates",
    ad_hoc_log="2 shops sold",
    scheduled_log="minutes old",
    superseded="flow-1",
    successor="flow-2",
)


def a_run(run_id: str, *, scheduled: bool) -> FlowRun:
    return FlowRun(
        id=run_id,
        name="able-otter",
        flow="report",
        version=1,
        state="Success",
        message="",
        scheduled=scheduled,
        parameters={} if scheduled else {"day": "today"},
        due=NOON,
        began=NOON,
        ended=NOON,
    )


def a_version(flow_id: str, *, version: int, archived: bool, waiting: int) -> FlowVersion:
    return FlowVersion(
        id=flow_id,
        name="freshness",
        version=version,
        archived=archived,
        schedule_active=True,
        waiting=waiting,
    )


def a_task(task: str, *history: str, map_index: int = -1) -> TaskRun:
    return TaskRun(
        task=task,
        map_index=map_index,
        state=history[-1],
        history=history,
        began=NOON,
        ended=NOON,
    )


def a_line(message: str) -> LogLine:
    return LogLine(at=NOON, level="INFO", name="prefect.task", message=message)


ALL_WELL = Evidence(
    flows=(
        a_version("flow-1", version=1, archived=True, waiting=0),
        a_version("flow-2", version=2, archived=False, waiting=10),
    ),
    runs=(a_run("run-1", scheduled=False), a_run("run-2", scheduled=True)),
    tasks=(
        a_task("fetch", "Pending", "Running", "Mapped"),
        a_task("fetch", "Pending", "Running", "Success", map_index=0),
        a_task("fetch", "Pending", "Running", "Success", map_index=1),
        a_task("rates", "Pending", "Running", "Retrying", "Running", "Success"),
    ),
    ad_hoc_logs=(a_line("2 shops sold for 3 EUR"),),
    scheduled_logs=(a_line("the order is 12 minutes old"),),
)


def test_nothing_is_wrong_when_all_is_well() -> None:
    assert problems(ALL_WELL, EXPECTED) == []


def test_a_run_that_failed_is_a_problem_and_says_why() -> None:
    failed = replace(ALL_WELL.runs[0], state="Failed", message="no such shop")
    seen = replace(ALL_WELL, runs=(failed, ALL_WELL.runs[1]))

    assert problems(seen, EXPECTED) == [
        "the ad-hoc run ended Failed (no such shop) and not Success"
    ]


def test_a_run_that_is_missing_is_a_problem() -> None:
    seen = replace(ALL_WELL, runs=ALL_WELL.runs[:1])

    assert problems(seen, EXPECTED) == ["the scheduled run run-2 is missing from the run history"]


def test_parameters_that_did_not_arrive_are_a_problem() -> None:
    seen = replace(ALL_WELL, runs=(replace(ALL_WELL.runs[0], parameters={}), ALL_WELL.runs[1]))

    assert problems(seen, EXPECTED) == [
        "the ad-hoc run has the parameters {}, not {'day': 'today'}"
    ]


def test_a_missing_mapped_child_is_a_problem() -> None:
    seen = replace(ALL_WELL, tasks=(*ALL_WELL.tasks[:2], ALL_WELL.tasks[3]))

    assert problems(seen, EXPECTED) == ["fetch has 1 mapped children of which 1 succeeded, not 2"]


def test_a_task_that_was_never_retried_is_a_problem() -> None:
    seen = replace(ALL_WELL, tasks=(*ALL_WELL.tasks[:3], a_task("rates", "Running", "Success")))

    assert problems(seen, EXPECTED) == [
        "rates was not retried to Success: [('Running', 'Success')]"
    ]


def test_logs_that_did_not_arrive_are_a_problem() -> None:
    seen = replace(ALL_WELL, scheduled_logs=())

    assert problems(seen, EXPECTED) == [
        "the scheduled run's 0 log lines have none that says 'minutes old'"
    ]


def test_an_old_version_that_is_not_archived_is_a_problem() -> None:
    old = a_version("flow-1", version=1, archived=False, waiting=10)
    seen = replace(ALL_WELL, flows=(old, ALL_WELL.flows[1]))

    assert problems(seen, EXPECTED) == [
        "the new version did not archive the old one",
        "the archived version's schedule is not paused: 10 of its runs wait",
    ]


def test_a_new_version_without_runs_ahead_is_a_problem() -> None:
    new = a_version("flow-2", version=2, archived=False, waiting=0)
    seen = replace(ALL_WELL, flows=(ALL_WELL.flows[0], new))

    assert problems(seen, EXPECTED) == ["the new version's schedule has made no runs"]
