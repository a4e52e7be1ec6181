"""Who may put a run into which state."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.contracts.errors import Code
from libs.contracts.states import FINISHED_FAMILY, SCHEDULED_FAMILY, State
from services.runs.domain.transitions import (
    Agreed,
    Claimant,
    Denied,
    FlowRun,
    FlowRunDecision,
    FlowRunMoved,
    Stale,
    TaskRun,
    TaskRunDecision,
    TaskRunMoved,
    cancel_flow_run,
    propose_flow_run_state,
    propose_task_run_state,
)
from tests.unit.runs.builders import NOW, a_run, a_state, a_task_run

TOKEN = UUID(int=7)
OTHER_TOKEN = UUID(int=8)
UNFINISHED = [s for s in State if s not in FINISHED_FAMILY]


def propose(
    run: FlowRun,
    name: str,
    *,
    seen: int | None = None,
    lease: UUID | None = None,
    by_person: bool = False,
    agent: Claimant | None = None,
    **fields: Any,
) -> FlowRunDecision:
    return propose_flow_run_state(
        run,
        a_state(name, **fields),
        seen_version=seen,
        by_person=by_person,
        lease_token=lease,
        agent=agent,
        now=NOW,
    )


def propose_task(
    run: TaskRun,
    name: str,
    *,
    flow_run: FlowRun | None = None,
    seen: int | None = None,
    seen_flow: int | None = None,
    lease: UUID | None = None,
    **fields: Any,
) -> TaskRunDecision:
    return propose_task_run_state(
        run,
        flow_run,
        a_state(name, **fields),
        seen_version=seen,
        seen_flow_run_version=seen_flow,
        lease_token=lease,
        now=NOW,
    )


@pytest.mark.parametrize("target", [s for s in State if s != State.SUBMITTED])
@pytest.mark.parametrize("state", UNFINISHED)
def test_an_unfinished_run_takes_any_state_but_a_claim(state: State, target: State) -> None:
    assert isinstance(propose(a_run(state), target, seen=3), FlowRunMoved)


@pytest.mark.parametrize("target", [s for s in State if s not in (State.SUBMITTED, State.RUNNING)])
@pytest.mark.parametrize("state", UNFINISHED)
def test_nobody_need_have_seen_the_version_of_an_unfinished_run(
    state: State, target: State
) -> None:
    assert isinstance(propose(a_run(state), target, seen=None), FlowRunMoved)


@pytest.mark.parametrize("seen", [None, 2])
def test_a_process_that_was_starting_does_not_undo_a_cancellation(seen: int | None) -> None:
    assert propose(a_run("Cancelling"), "Running", seen=seen) == Agreed()


@pytest.mark.parametrize("state", list(State))
def test_only_a_run_that_waits_can_be_submitted(state: State) -> None:
    decision = propose(a_run(state), "Submitted", seen=3)

    if state in SCHEDULED_FAMILY:
        assert isinstance(decision, FlowRunMoved)
    else:
        assert decision == Denied(Code.ALREADY_SUBMITTED, {})


@pytest.mark.parametrize("state", sorted(FINISHED_FAMILY))
@pytest.mark.parametrize("target", [s for s in State if s != State.SUBMITTED])
@pytest.mark.parametrize("seen", [None, 2])
def test_a_finished_run_is_left_only_by_a_restart_unless_its_end_was_seen(
    state: str, target: State, seen: int | None
) -> None:
    decision = propose(a_run(state), target, seen=seen)

    if target in SCHEDULED_FAMILY or target == State.PENDING:
        assert isinstance(decision, FlowRunMoved)
    elif target == state:
        assert decision == Agreed()
    else:
        assert decision == Denied(
            Code.RUN_FINISHED,
            {"id": "00000000-0000-0000-0000-000000000001", "state": state, "version": "3"},
        )


@pytest.mark.parametrize("state", sorted(FINISHED_FAMILY))
@pytest.mark.parametrize("target", [s for s in State if s != State.SUBMITTED])
def test_a_person_marks_a_finished_run_as_anything_without_naming_its_version(
    state: str, target: State
) -> None:
    decision = propose(a_run(state), target, by_person=True)

    if target == state:
        assert decision == Agreed()
    else:
        assert isinstance(decision, FlowRunMoved)


def test_a_person_is_bound_by_locks_and_claims_as_everybody() -> None:
    assert propose(a_run("Success"), "Submitted", by_person=True) == Denied(
        Code.ALREADY_SUBMITTED, {}
    )
    assert propose(a_run("Running", version_locking=True), "Failed", seen=2, by_person=True) == (
        Stale(2)
    )
    assert isinstance(propose(a_run("Cancelling"), "Running", by_person=True), FlowRunMoved)


@pytest.mark.parametrize("target", [s for s in State if s != State.SUBMITTED])
def test_a_person_who_saw_the_end_may_mark_the_run_as_anything(target: State) -> None:
    assert isinstance(propose(a_run("Success"), target, seen=3), FlowRunMoved)


@pytest.mark.parametrize(
    ("locking", "seen", "conflicts"),
    [
        (True, 3, False),
        (True, 2, True),
        (True, 4, True),
        (True, None, False),
        (False, 2, False),
        (False, 4, False),
    ],
)
def test_a_version_is_checked_where_the_flow_has_locking_on(
    *, locking: bool, seen: int | None, conflicts: bool
) -> None:
    run = a_run("Submitted", version_locking=locking)
    task_run = a_task_run("Pending", version=3, version_locking=locking)

    decision = propose(run, "Running", seen=seen)
    task_decision = propose_task(task_run, "Running", flow_run=a_run("Running"), seen=seen)

    expected = Stale(seen) if conflicts and seen is not None else None
    assert decision == expected if expected else isinstance(decision, FlowRunMoved)
    assert task_decision == expected if expected else isinstance(task_decision, TaskRunMoved)


def test_a_task_run_is_also_locked_by_its_flow_runs_version() -> None:
    task_run = a_task_run("Pending", version_locking=True)
    flow_run = a_run("Running", version=5)

    assert propose_task(task_run, "Running", flow_run=flow_run, seen_flow=4) == Stale(4)
    assert isinstance(
        propose_task(task_run, "Running", flow_run=flow_run, seen_flow=5), TaskRunMoved
    )


@pytest.mark.parametrize("flow_state", list(State))
@pytest.mark.parametrize("target", ["Running", "Cancelling"])
def test_a_task_run_runs_only_while_its_flow_run_is_running(flow_state: State, target: str) -> None:
    decision = propose_task(a_task_run("Pending"), target, flow_run=a_run(flow_state))

    if flow_state == State.RUNNING:
        assert isinstance(decision, TaskRunMoved)
    else:
        assert isinstance(decision, Denied)
        assert decision.code is Code.FLOW_RUN_NOT_RUNNING


@pytest.mark.parametrize("state", list(State))
def test_only_a_task_run_that_waits_can_be_submitted(state: State) -> None:
    decision = propose_task(a_task_run(state), "Submitted")

    if state in SCHEDULED_FAMILY or state == State.PENDING:
        assert isinstance(decision, TaskRunMoved)
    else:
        assert decision == Denied(Code.ALREADY_SUBMITTED, {})


@pytest.mark.parametrize(
    "target", [s for s in State if s not in ("Running", "Cancelling", "Submitted")]
)
@pytest.mark.parametrize("state", sorted(FINISHED_FAMILY))
def test_a_finished_task_run_may_be_taken_up_again(state: str, target: State) -> None:
    assert isinstance(propose_task(a_task_run(state), target), TaskRunMoved)


def test_a_claim_is_kept_with_its_token_and_counts_an_attempt() -> None:
    decision = propose(a_run("Scheduled", attempt=1), "Submitted", lease=TOKEN)

    assert isinstance(decision, FlowRunMoved)
    assert (decision.run.lease_token, decision.run.attempt) == (TOKEN, 2)


def test_a_claim_that_is_asked_for_again_with_its_own_token_stands() -> None:
    run = a_run("Submitted", lease_token=TOKEN)

    assert propose(run, "Submitted", lease=TOKEN) == Agreed()
    assert propose(run, "Submitted", lease=OTHER_TOKEN) == Denied(Code.ALREADY_SUBMITTED, {})


AGENT, OTHER_AGENT = UUID(int=9), UUID(int=10)


@pytest.mark.parametrize("seen", [None, 2])
def test_a_sole_agent_that_submits_again_is_told_that_it_has_the_run(seen: int | None) -> None:
    run = a_run("Submitted", agent_id=AGENT, version_locking=True)

    assert propose(run, "Submitted", seen=seen, agent=Claimant(AGENT, is_sole=True)) == Agreed()


@pytest.mark.parametrize(
    ("run", "agent", "seen"),
    [
        (a_run("Submitted", agent_id=AGENT), Claimant(AGENT), None),  # a replica beside it, maybe
        (a_run("Submitted", agent_id=AGENT), Claimant(OTHER_AGENT, is_sole=True), None),
        (a_run("Submitted", agent_id=AGENT), None, None),
        (a_run("Submitted", agent_id=AGENT), Claimant(AGENT, is_sole=True), 1),
        (a_run("Running", agent_id=AGENT), Claimant(AGENT, is_sole=True), None),
        (
            a_run("Submitted", agent_id=AGENT, lease_token=TOKEN),
            Claimant(AGENT, is_sole=True),
            None,
        ),
        (a_run("Submitted"), Claimant(AGENT, is_sole=True), None),
    ],
)
def test_who_may_be_a_rival_comes_second(
    run: FlowRun, agent: Claimant | None, seen: int | None
) -> None:
    assert propose(run, "Submitted", seen=seen, agent=agent) == Denied(Code.ALREADY_SUBMITTED, {})


def test_a_process_under_a_lease_that_says_running_again_is_told_that_it_is() -> None:
    run = a_run("Running", lease_token=TOKEN, version_locking=True)

    assert propose(run, "Running", seen=2, lease=TOKEN) == Agreed()
    assert propose(run, "Running", seen=1, lease=TOKEN) == Stale(1)
    assert propose(run, "Running", seen=2) == Stale(2)


@pytest.mark.parametrize("held", [OTHER_TOKEN, None])
def test_a_write_with_a_token_that_is_no_longer_the_runs_is_told_to_stop(held: UUID | None) -> None:
    run = a_run("Running", lease_token=held)

    decision = propose(run, "Success", lease=TOKEN)
    task_decision = propose_task(a_task_run(), "Success", flow_run=run, lease=TOKEN)

    assert isinstance(decision, Denied)
    assert isinstance(task_decision, Denied)
    assert (decision.code, task_decision.code) == (Code.LEASE_LOST, Code.LEASE_LOST)


def test_writes_without_a_token_are_not_fenced() -> None:
    assert isinstance(propose(a_run("Running", lease_token=TOKEN), "Success"), FlowRunMoved)


@pytest.mark.parametrize("target", sorted(FINISHED_FAMILY))
def test_every_finished_state_has_an_end_time(target: str) -> None:
    decision = propose(a_run("Running"), target)
    task_decision = propose_task(a_task_run("Running"), target)

    assert isinstance(decision, FlowRunMoved)
    assert isinstance(task_decision, TaskRunMoved)
    assert (decision.run.end_time, task_decision.run.end_time) == (NOW, NOW)


def test_a_restart_keeps_when_the_run_first_ran_and_forgets_when_it_ended() -> None:
    began = NOW - timedelta(hours=1)

    restarted = propose(a_run("Failed", start_time=began, end_time=NOW), "Scheduled")

    assert isinstance(restarted, FlowRunMoved)
    assert (restarted.run.start_time, restarted.run.end_time) == (began, None)


def test_a_run_starts_when_it_first_is_running() -> None:
    started = propose(a_run("Submitted"), "Running")
    cancelling = propose(a_run("Submitted"), "Cancelling")

    assert isinstance(started, FlowRunMoved)
    assert isinstance(cancelling, FlowRunMoved)
    assert (started.run.start_time, cancelling.run.start_time) == (NOW, None)


@pytest.mark.parametrize(
    ("target", "alive"),
    [("Submitted", True), ("Running", True), ("Cancelling", True), ("Success", False), ("Pending", False)],
)  # fmt: skip
def test_states_of_a_live_run_are_signs_of_life(target: str, *, alive: bool) -> None:
    decision = propose(a_run("Scheduled"), target)

    assert isinstance(decision, FlowRunMoved)
    assert (decision.run.heartbeat == NOW) is alive


def test_a_history_never_goes_back_in_time() -> None:
    ahead = NOW + timedelta(seconds=30)  # another replica's clock is ahead of ours

    decision = propose(a_run("Running", state_timestamp=ahead), "Success")

    assert isinstance(decision, FlowRunMoved)
    assert decision.run.state_timestamp == ahead + timedelta(microseconds=1)


def test_cached_inputs_are_carried_forward_until_new_ones_come() -> None:
    inputs = {"x": {"type": "PrefectResult", "location": "1"}}
    run = a_task_run("Running", cached_inputs=inputs)

    kept = propose_task(run, "Retrying")
    replaced = propose_task(run, "Retrying", cached_inputs={"y": {}})

    assert isinstance(kept, TaskRunMoved)
    assert isinstance(replaced, TaskRunMoved)
    assert kept.state.document["cached_inputs"] == inputs
    assert replaced.state.document["cached_inputs"] == {"y": {}}


def test_a_task_runs_retries_are_counted() -> None:
    decision = propose_task(a_task_run("Failed", retries=1), "Retrying")

    assert isinstance(decision, TaskRunMoved)
    assert decision.run.retries == 2


@pytest.mark.parametrize("state", list(State))
def test_cancelling_asks_what_runs_ends_what_waits_and_leaves_what_is_over(state: State) -> None:
    decision = cancel_flow_run(a_run(state), now=NOW)

    if state in FINISHED_FAMILY or state == State.CANCELLING:
        assert decision == Agreed()
    else:
        assert isinstance(decision, FlowRunMoved)
        expected = "Cancelling" if state in ("Running", "Submitted") else "Cancelled"
        assert decision.run.state == expected
