"""What zombies, Lazarus and deadlines may do."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.contracts.states import FINISHED_FAMILY, LIVE_FAMILY, RUNNING_FAMILY, State
from services.runs.domain.safeguards import (
    Intervention,
    LeftAlone,
    TaskPolicy,
    answer_lazarus,
    answer_zombie,
    end_cancellation,
    end_left_task_runs,
)
from services.runs.domain.transitions import FlowRun
from tests.unit.runs.builders import NOW, a_run, a_task_run

SILENT = NOW - timedelta(minutes=2)
NO_RETRIES = TaskPolicy(name="load")
TWO_RETRIES = TaskPolicy(name="load", max_retries=2, retry_delay=timedelta(seconds=30))


def zombie(
    run: FlowRun,
    *tasks: Any,
    seen: int = 3,
    last_seen: datetime | None = None,
    limit: int = 10,
) -> Intervention | LeftAlone:
    return answer_zombie(
        run,
        list(tasks),
        seen_version=seen,
        silent_since=SILENT,
        last_seen=last_seen,
        resurrection_limit=limit,
        now=NOW,
    )


@pytest.mark.parametrize("state", sorted(FINISHED_FAMILY))
def test_no_safeguard_touches_a_finished_run(state: str) -> None:
    run = a_run(state)

    assert zombie(run) == LeftAlone("finished")
    assert answer_lazarus(
        run, seen_version=3, attempt=1, limit=10, give_up=False, now=NOW
    ) == LeftAlone("finished")
    assert isinstance(
        end_cancellation(run, seen_version=3, deadline=timedelta(0), now=NOW), LeftAlone
    )


@pytest.mark.parametrize("seen", [2, 4])
def test_no_safeguard_touches_a_version_that_it_did_not_see(seen: int) -> None:
    assert zombie(a_run("Running"), seen=seen) == LeftAlone("moved_on")
    assert answer_lazarus(
        a_run("Running"), seen_version=seen, attempt=1, limit=10, give_up=True, now=NOW
    ) == LeftAlone("moved_on")
    assert end_cancellation(
        a_run("Cancelling"), seen_version=seen, deadline=timedelta(0), now=NOW
    ) == LeftAlone("moved_on")


@pytest.mark.parametrize("state", [s for s in State if s not in LIVE_FAMILY | FINISHED_FAMILY])
def test_a_run_that_waits_is_no_zombie(state: State) -> None:
    assert zombie(a_run(state)) == LeftAlone("not_live")


def test_a_flow_without_heartbeats_has_no_zombies() -> None:
    assert zombie(a_run("Running", heartbeat_enabled=False)) == LeftAlone("heartbeat_disabled")


@pytest.mark.parametrize(
    ("last_seen", "alive"),
    [(None, False), (SILENT, False), (SILENT + timedelta(microseconds=1), True)],
)
def test_a_ping_after_the_silence_proves_the_run_alive(
    last_seen: datetime | None, *, alive: bool
) -> None:
    found = zombie(a_run("Running"), last_seen=last_seen)

    assert (found == LeftAlone("alive")) is alive


def test_a_zombies_running_task_with_retries_left_is_retried() -> None:
    found = zombie(a_run("Running"), (a_task_run("Running", retries=1), TWO_RETRIES), limit=0)

    assert isinstance(found, Intervention)
    assert found.flow_run is None  # the retry brings the run back through the queue
    [moved] = found.task_runs
    assert moved.run.state == "Retrying"
    assert moved.state.start_time == NOW + timedelta(seconds=30)
    assert moved.state.document["run_count"] == 2
    entry = found.logs[0]
    assert entry.message == (
        "No heartbeat detected from the remote task; retrying the run. This will be retry 2 of 2."
    )
    assert (entry.level, entry.name) == ("ERROR", "prefect-server.ZombieKiller.TaskRun")


def test_a_zombies_running_task_without_retries_left_fails() -> None:
    found = zombie(a_run("Running"), (a_task_run("Running", retries=2), TWO_RETRIES))

    assert isinstance(found, Intervention)
    assert [moved.run.state for moved in found.task_runs] == ["Failed"]
    assert found.logs[0].message == (
        "No heartbeat detected from the remote task; marking the task run "
        "00000000-0000-0000-0000-000000000002 (load) as failed."
    )


@pytest.mark.parametrize("state", ["Running", "Cancelling"])
def test_a_zombies_log_says_when_it_was_last_heard(state: str) -> None:
    found = zombie(a_run(state), (a_task_run("Running"), NO_RETRIES))

    assert isinstance(found, Intervention)
    assert found.logs[-1].message == (
        f"The last heartbeat of this run was received at {SILENT:%Y-%m-%d %H:%M:%S} UTC, 120 seconds ago."
    )
    assert found.logs[-1].name == "prefect-server.ZombieKiller.FlowRun"


def test_a_zombie_that_is_told_again_is_not_logged_again() -> None:
    assert zombie(a_run("Running"), (a_task_run("Failed"), NO_RETRIES)) == Intervention()


@pytest.mark.parametrize("state", [s for s in State if s not in ("Running", "Cancelling")])
def test_a_zombies_other_task_runs_are_left_alone(state: State) -> None:
    found = zombie(a_run("Running"), (a_task_run(state), NO_RETRIES))

    assert isinstance(found, Intervention)
    assert found.task_runs == ()


@pytest.mark.parametrize(
    ("lazarus", "resurrected", "fails"),
    [(True, 0, False), (True, 9, False), (True, 10, True), (False, 0, True)],
)
def test_a_zombie_is_left_to_lazarus_while_he_may_still_revive_it(
    *, lazarus: bool, resurrected: int, fails: bool
) -> None:
    run = a_run("Running", lazarus_enabled=lazarus, times_resurrected=resurrected)

    found = zombie(run, (a_task_run("Running"), NO_RETRIES))

    assert isinstance(found, Intervention)
    assert (found.flow_run is not None) is fails
    if found.flow_run is not None:
        assert found.flow_run.run.state == "Failed"
        assert found.flow_run.state.message == (
            "No heartbeat detected from the flow run; marking the run as failed."
        )


def test_a_run_that_falls_silent_while_cancelling_fails() -> None:
    found = zombie(a_run("Cancelling"))

    assert isinstance(found, Intervention)
    assert found.flow_run is not None
    assert found.flow_run.run.state == "Failed"
    assert found.logs[0].name == "prefect-server.ZombieKiller.FlowRun"


def test_a_run_that_falls_silent_while_cancelling_takes_its_task_runs_with_it() -> None:
    found = zombie(a_run("Cancelling"), (a_task_run(), TWO_RETRIES))

    assert isinstance(found, Intervention)
    assert [moved.run.state for moved in found.task_runs] == ["Failed"]


SILENCE = timedelta(minutes=4)


def left(
    run: FlowRun, *task_runs: Any, last_seen: datetime | None = None
) -> Intervention | LeftAlone:
    return end_left_task_runs(
        run,
        [(task_run, TWO_RETRIES) for task_run in task_runs],
        silence=SILENCE,
        last_seen=last_seen,
        now=NOW,
    )


@pytest.mark.parametrize("state", [s for s in State if s not in RUNNING_FAMILY])
def test_what_runs_in_a_flow_run_that_does_not_ends_with_its_silence(state: State) -> None:
    found = left(a_run(state), a_task_run(), last_seen=NOW - SILENCE)

    assert isinstance(found, Intervention)
    assert [moved.run.state for moved in found.task_runs] == ["Failed"]
    assert found.flow_run is None
    assert found.logs[0].name == "prefect-server.ZombieKiller.TaskRun"


@pytest.mark.parametrize(
    ("run", "seen", "reason"),
    [
        (a_run("Running"), None, "at_work"),
        (a_run("Cancelling"), None, "at_work"),
        (a_run("Failed", heartbeat_enabled=False), None, "heartbeat_disabled"),
        (a_run("Failed"), NOW - SILENCE + timedelta(seconds=1), "alive"),
        (a_run("Scheduled", state_timestamp=NOW - timedelta(seconds=1)), None, "alive"),
    ],
)
def test_whose_process_may_live_keeps_its_task_runs(
    run: FlowRun, seen: datetime | None, reason: str
) -> None:
    assert left(run, a_task_run(), last_seen=seen) == LeftAlone(reason)


def test_of_a_silent_flow_run_only_what_has_run_all_the_while_ends() -> None:
    new = a_task_run(state_timestamp=NOW - timedelta(seconds=1))

    assert left(a_run("Failed"), new, a_task_run("Success")) == LeftAlone("moved_on")


def test_lazarus_schedules_a_new_attempt_and_ends_the_old_lease() -> None:
    run = a_run("Running", times_resurrected=2, lease_token=UUID(int=9))

    found = answer_lazarus(run, seen_version=3, attempt=3, limit=10, give_up=False, now=NOW)

    assert isinstance(found, Intervention)
    assert found.flow_run is not None
    revived = found.flow_run.run
    assert (revived.state, revived.times_resurrected, revived.lease_token) == ("Scheduled", 3, None)
    assert found.flow_run.state.start_time == NOW
    assert found.logs[0].message == "Rescheduled by a Lazarus process. This is attempt 3."


def test_lazarus_gives_up_with_the_limit_in_his_words() -> None:
    found = answer_lazarus(
        a_run("Running"), seen_version=3, attempt=11, limit=10, give_up=True, now=NOW
    )

    assert isinstance(found, Intervention)
    assert found.flow_run is not None
    assert found.flow_run.run.state == "Failed"
    assert found.logs[0].message == (
        "A Lazarus process attempted to reschedule this run 10 times without success. "
        "Marking as failed."
    )


@pytest.mark.parametrize(("waited", "ends"), [(59, False), (60, True), (61, True)])
def test_a_cancellation_has_a_deadline(waited: int, *, ends: bool) -> None:
    run = a_run("Cancelling", state_timestamp=NOW - timedelta(seconds=waited))

    found = end_cancellation(run, seen_version=3, deadline=timedelta(minutes=1), now=NOW)

    assert isinstance(found, Intervention) is ends
    if isinstance(found, Intervention):
        assert found.flow_run is not None
        assert found.flow_run.run.state == "Cancelled"
