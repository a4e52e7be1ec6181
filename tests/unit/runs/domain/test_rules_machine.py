"""Anybody may do anything in any order, by any clock: what stays true of a run's history."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from libs.contracts.states import FINISHED_FAMILY, SCHEDULED_FAMILY, State
from services.runs.domain.safeguards import (
    Intervention,
    LeftAlone,
    TaskPolicy,
    answer_lazarus,
    answer_zombie,
    end_cancellation,
)
from services.runs.domain.transitions import (
    FlowRun,
    FlowRunMoved,
    TaskRun,
    TaskRunMoved,
    cancel_flow_run,
    cancel_task_run,
    propose_flow_run_state,
    propose_task_run_state,
)
from tests.unit.runs.builders import NOW, a_run, a_state, a_task_run

STATES = st.sampled_from(list(State))
VERSIONS = st.one_of(st.none(), st.integers(-1, 1))  # relative to the current one
TOKENS = st.one_of(st.none(), st.sampled_from([UUID(int=n) for n in (7, 8)]))
TASKS = st.integers(0, 2)
BOOLEANS = st.booleans()


class Rules(RuleBasedStateMachine):
    """A flow run with three task runs, and everybody who may write them."""

    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = NOW
        self.run: FlowRun = a_run("Scheduled", version=1, state_timestamp=NOW)
        self.tasks: list[TaskRun] = [
            a_task_run("Pending", id=UUID(int=10 + n), version=0, state_timestamp=NOW)
            for n in range(3)
        ]
        self.history: list[FlowRun] = [self.run]
        self.task_histories: list[list[TaskRun]] = [[task] for task in self.tasks]
        self.claims = 0
        self.scheduled = 1

    @rule(seconds=st.integers(-30, 300))
    def a_clock_moves_perhaps_backwards(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(locking=BOOLEANS, lazarus=BOOLEANS, heartbeat=BOOLEANS)
    def somebody_changes_the_settings(
        self, *, locking: bool, lazarus: bool, heartbeat: bool
    ) -> None:
        self.run = _with(
            self.run, version_locking=locking, lazarus_enabled=lazarus, heartbeat_enabled=heartbeat
        )

    @rule(name=STATES, seen=VERSIONS, token=TOKENS)
    def a_client_proposes(self, name: State, seen: int | None, token: UUID | None) -> None:
        before = self.run
        decision = propose_flow_run_state(
            before,
            a_state(name),
            seen_version=None if seen is None else before.version + seen,
            lease_token=token,
            agent=None,
            now=self.now,
        )
        if not isinstance(decision, FlowRunMoved):
            return
        if before.is_finished and seen != 0:
            assert name in SCHEDULED_FAMILY | {State.PENDING}, (
                "only a restart leaves an end that was not seen"
            )
        if before.state == State.CANCELLING and name == State.RUNNING:
            assert seen == 0, "a cancellation is undone by those who saw it only"
        if before.version_locking:
            assert seen in (None, 0), "a stale version is never accepted where locking is on"
        if name == State.SUBMITTED:
            assert before.state in SCHEDULED_FAMILY, "what is claimed was waiting"
            self.claims += 1
        self._moved(decision)

    @rule(index=TASKS, name=STATES, seen=VERSIONS)
    def a_client_proposes_for_a_task_run(self, index: int, name: State, seen: int | None) -> None:
        task = self.tasks[index]
        decision = propose_task_run_state(
            task,
            self.run,
            a_state(name),
            seen_version=None if seen is None else task.version + seen,
            seen_flow_run_version=None,
            lease_token=None,
            now=self.now,
        )
        if isinstance(decision, TaskRunMoved):
            if name in (State.RUNNING, State.CANCELLING):
                assert self.run.state == State.RUNNING, "tasks run in running flow runs only"
            self._task_moved(decision)

    @rule()
    def a_person_cancels(self) -> None:
        was_finished = self.run.is_finished
        decision = cancel_flow_run(self.run, now=self.now)
        if isinstance(decision, FlowRunMoved):
            assert not was_finished
            self._moved(decision)

    @rule(seen=st.integers(-1, 1), limit=st.integers(0, 2), retries=st.integers(0, 1))
    def a_zombie_is_reported(self, seen: int, limit: int, retries: int) -> None:
        policy = TaskPolicy(name="t", max_retries=retries)
        self._intervene(
            answer_zombie(
                self.run,
                [(task, policy) for task in self.tasks],
                seen_version=self.run.version + seen,
                silent_since=self.now,
                last_seen=None,
                resurrection_limit=limit,
                now=self.now,
            ),
            seen=seen,
        )

    @rule(seen=st.integers(-1, 1), give_up=BOOLEANS)
    def lazarus_proposes(self, seen: int, *, give_up: bool) -> None:
        self._intervene(
            answer_lazarus(
                self.run,
                seen_version=self.run.version + seen,
                attempt=self.run.times_resurrected + 1,
                limit=10,
                give_up=give_up,
                now=self.now,
            ),
            seen=seen,
        )

    @precondition(lambda self: self.run.state == State.CANCELLING)
    @rule()
    def a_cancellation_falls_due(self) -> None:
        self._intervene(
            end_cancellation(
                self.run,
                seen_version=self.run.version,
                deadline=timedelta(minutes=1),
                now=self.now,
            ),
            seen=0,
        )

    @invariant()
    def versions_are_contiguous_and_times_go_forward(self) -> None:
        for history in self._histories():
            versions = [entry.version for entry in history]
            assert versions == list(range(versions[0], versions[0] + len(versions)))
            times = [entry.state_timestamp for entry in history]
            assert times == sorted(set(times))

    @invariant()
    def a_run_has_an_end_exactly_while_it_is_finished(self) -> None:
        for run in (history[-1] for history in self._histories()):
            assert (run.end_time is not None) == (run.state in FINISHED_FAMILY)

    @invariant()
    def a_start_once_set_stays(self) -> None:
        for history in self._histories():
            starts = [entry.start_time for entry in history if entry.start_time is not None]
            assert len(set(starts)) <= 1

    @invariant()
    def a_run_is_claimed_at_most_once_for_each_time_it_waited(self) -> None:
        assert self.claims <= self.scheduled

    def _histories(self) -> list[Sequence[FlowRun | TaskRun]]:
        return [self.history, *self.task_histories]

    def _intervene(self, found: Intervention | LeftAlone, *, seen: int) -> None:
        if isinstance(found, LeftAlone):
            return
        assert not self.run.is_finished, "a service never touches a finished run"
        assert seen == 0, "a service never touches a version that it did not see"
        for moved in found.task_runs:
            self._task_moved(moved)
        if found.flow_run is not None:
            self._moved(found.flow_run)

    def _moved(self, moved: FlowRunMoved) -> None:
        if moved.run.state in SCHEDULED_FAMILY:
            self.scheduled += 1
        self.run = moved.run
        self.history.append(moved.run)
        if moved.run.state == State.CANCELLED:
            for task in self.tasks:
                cascaded = cancel_task_run(task, moved.state, now=self.now)
                if cascaded is not None:
                    self._task_moved(cascaded)
            assert all(task.is_finished for task in self.tasks)

    def _task_moved(self, moved: TaskRunMoved) -> None:
        index = next(n for n, task in enumerate(self.tasks) if task.id == moved.run.id)
        self.tasks[index] = moved.run
        self.task_histories[index].append(moved.run)


def _with(run: FlowRun, **fields: bool) -> FlowRun:
    return a_run(**({name: getattr(run, name) for name in run.__dataclass_fields__} | fields))


TestRules = Rules.TestCase
TestRules.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
