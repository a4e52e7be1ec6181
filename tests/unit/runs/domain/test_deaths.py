"""What the reported end of a Running run's process means."""

from datetime import timedelta
from typing import Any

import pytest

from libs.contracts.states import FINISHED_FAMILY, SCHEDULED_FAMILY, State
from services.runs.domain.deaths import answer_death
from services.runs.domain.safeguards import Intervention, LeftAlone, TaskPolicy
from services.runs.domain.transitions import FlowRun
from tests.unit.runs.builders import NOW, a_run, a_task_run

SAID = "The flow run's process was ended by signal 9."
NO_RETRIES = TaskPolicy(name="load")
ONE_RETRY = TaskPolicy(name="load", max_retries=1, retry_delay=timedelta(seconds=30))


def death(run: FlowRun, *tasks: Any, seen: int = 3, limit: int = 10) -> Intervention | LeftAlone:
    return answer_death(
        run, list(tasks), seen_version=seen, said=SAID, resurrection_limit=limit, now=NOW
    )


@pytest.mark.parametrize("state", sorted(FINISHED_FAMILY))
def test_a_finished_run_is_left_alone(state: str) -> None:
    assert death(a_run(state)) == LeftAlone("finished")


@pytest.mark.parametrize("state", ["Submitted", "Scheduled", "Queued", "Cancelling"])
def test_a_run_that_is_not_running_is_left_alone(state: str) -> None:
    assert death(a_run(state)) == LeftAlone("not_running")


def test_a_run_that_moved_on_is_left_alone() -> None:
    assert death(a_run("Running"), seen=2) == LeftAlone("moved_on")


def test_a_running_task_without_retries_fails_and_its_run_is_rescheduled_at_once() -> None:
    found = death(a_run("Running"), (a_task_run("Running"), NO_RETRIES))

    assert isinstance(found, Intervention)
    assert found.flow_run is not None
    [task] = found.task_runs
    assert (task.run.state, found.flow_run.run.state) == (State.FAILED, State.SCHEDULED)
    assert task.state.message is not None
    assert task.state.message.startswith(
        f"{SAID} The task run has no process: marking the task run"
    )
    assert found.flow_run.state.message == f"{SAID} The run is rescheduled. This is attempt 1."
    assert (found.flow_run.run.times_resurrected, found.flow_run.run.lease_token) == (1, None)
    assert [entry.level for entry in found.logs] == ["ERROR", "WARNING"]


def test_a_running_task_with_a_retry_left_brings_the_run_back_itself() -> None:
    found = death(a_run("Running"), (a_task_run("Running"), ONE_RETRY))

    assert isinstance(found, Intervention)
    [task] = found.task_runs
    assert (task.run.state, found.flow_run) == (State.RETRYING, None)


@pytest.mark.parametrize("state", sorted(SCHEDULED_FAMILY))
def test_a_run_with_a_task_that_waits_waits_too(state: str) -> None:
    assert death(a_run("Running"), (a_task_run(state), NO_RETRIES)) == LeftAlone("waits")


def test_a_pending_task_does_not_bring_its_run_back() -> None:
    found = death(a_run("Running"), (a_task_run("Pending"), NO_RETRIES))

    assert isinstance(found, Intervention)
    assert found.flow_run is not None
    assert found.flow_run.run.state == State.SCHEDULED


@pytest.mark.parametrize(("times", "seconds"), [(0, 2), (1, 4), (7, 256), (9, 600), (10_000, 600)])
def test_each_attempt_waits_twice_as_long_up_to_ten_minutes(times: int, seconds: int) -> None:
    found = death(a_run("Running", times_resurrected=times), limit=20_000)

    assert isinstance(found, Intervention)
    assert found.flow_run is not None
    assert found.flow_run.state.start_time == NOW + timedelta(seconds=seconds)


def test_a_run_that_used_up_its_resurrections_fails() -> None:
    found = death(a_run("Running", times_resurrected=10))

    assert isinstance(found, Intervention)
    assert found.flow_run is not None
    assert found.flow_run.run.state == State.FAILED
    assert found.flow_run.state.message == f"{SAID} It was rescheduled 10 times without success."


@pytest.mark.parametrize("switch", ["lazarus_enabled", "heartbeat_enabled"])
def test_a_run_that_may_not_be_revived_fails_with_the_reason(switch: str) -> None:
    found = death(a_run("Running", **{switch: False}))

    assert isinstance(found, Intervention)
    assert found.flow_run is not None
    assert (found.flow_run.run.state, found.flow_run.state.message) == (State.FAILED, SAID)
