"""The real service does what the rules say: generated histories, step by step and all at once."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.base import Refused
from libs.contracts.runs import FlowRunCancelled, RunKind, StateApplied, VersionConflict
from libs.contracts.states import State
from libs.runtime.bus import Bus
from services.runs.domain.states import RunState, read_state
from services.runs.domain.transitions import (
    Agreed,
    Denied,
    FlowRun,
    FlowRunMoved,
    Stale,
    TaskRun,
    TaskRunMoved,
    cancel_flow_run,
    cancel_task_run,
    propose_flow_run_state,
    propose_task_run_state,
)
from tests.support.engines import Stack
from tests.support.ledger import Client, register_flow

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Step:
    """A proposal for the flow run or its task run (`state`), or a cancellation (None)."""

    kind: RunKind
    state: State | None
    seen: int | None  # relative to the current version


USUAL = [State.SUBMITTED, State.RUNNING, State.SUCCESS, State.SCHEDULED]

STEPS = st.one_of(
    st.builds(
        Step,
        st.sampled_from(list(RunKind)),
        # mostly the road that runs take, so that histories get somewhere
        st.one_of(st.sampled_from(USUAL), st.sampled_from(list(State))),
        st.one_of(st.none(), st.integers(-1, 0)),
    ),
    st.just(Step(RunKind.FLOW_RUN, None, None)),
)  # fmt: skip


class Model:
    """The pure rules over one flow run and its task run."""

    def __init__(self, run_id: UUID, task_id: UUID, tenant_id: UUID, *, locking: bool) -> None:
        self.run = FlowRun(
            id=run_id,
            tenant_id=tenant_id,
            flow_id=run_id,
            version=1,
            state="Scheduled",
            state_timestamp=NOW,
            version_locking=locking,
        )
        self.task = TaskRun(
            id=task_id,
            tenant_id=tenant_id,
            flow_run_id=run_id,
            version=0,
            state="Pending",
            state_timestamp=NOW,
            version_locking=locking,
        )

    def seen(self, step: Step) -> int | None:
        current = self.run if step.kind is RunKind.FLOW_RUN else self.task
        return None if step.seen is None else current.version + step.seen

    def take(self, step: Step) -> str:
        """What the step leads to, in a word."""
        if step.state is None:
            decision = cancel_flow_run(self.run, now=NOW)
            if isinstance(decision, FlowRunMoved):
                self._moved(decision)
            return self.run.state
        state = read_state({"type": step.state}, now=NOW)
        assert isinstance(state, RunState)
        if step.kind is RunKind.TASK_RUN:
            return self._take_task(step, state)
        found = propose_flow_run_state(
            self.run,
            state,
            seen_version=self.seen(step),
            lease_token=None,
            agent=None,
            now=NOW,
        )
        match found:
            case FlowRunMoved():
                self._moved(found)
                return f"{self.run.state} {self.run.version}"
            case Agreed():
                return f"{self.run.state} {self.run.version}"
            case Stale():
                return f"conflict at {self.run.version}"
            case Denied(code):
                return code.value

    def _take_task(self, step: Step, state: RunState) -> str:
        found = propose_task_run_state(
            self.task,
            self.run,
            state,
            seen_version=self.seen(step),
            seen_flow_run_version=None,
            lease_token=None,
            now=NOW,
        )
        match found:
            case TaskRunMoved():
                self.task = found.run
                return f"{self.task.state} {self.task.version}"
            case Stale():
                return f"conflict at {self.task.version}"
            case Denied(code):
                return code.value

    def _moved(self, moved: FlowRunMoved) -> None:
        self.run = moved.run
        if moved.run.state == State.CANCELLED:
            cascaded = cancel_task_run(self.task, moved.state, now=NOW)
            self.task = cascaded.run if cascaded is not None else self.task


async def propose(client: Client, model: Model, step: Step) -> str:
    """The step on the real service, in the model's words."""
    if step.state is None:
        answer = await client.cancel(model.run.id)
        assert isinstance(answer, FlowRunCancelled)
        return answer.state
    run_id = model.run.id if step.kind is RunKind.FLOW_RUN else model.task.id
    outcome = await client.set(
        run_id, step.state.value, kind=step.kind, seen_version=model.seen(step)
    )
    match outcome:
        case StateApplied():
            return f"{outcome.state} {outcome.version}"
        case VersionConflict():
            return f"conflict at {outcome.current}"
        case Refused():
            return outcome.code.value


async def begin(stack: Stack, bus: Bus, *, locking: bool) -> tuple[Client, Model]:
    """A new run, and its model."""
    flow = await register_flow(stack.admin_pool, settings={"version_locking_enabled": locking})
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)
    task = await client.task_run(run_id, flow.task_ids[0])
    return client, Model(run_id, task.id, flow.tenant_id, locking=locking)


@given(steps=st.lists(STEPS, min_size=5, max_size=25), locking=st.booleans())
@settings(max_examples=30, deadline=None)
async def test_the_service_answers_every_step_as_the_rules_do(
    stack: Stack, bus: Bus, steps: list[Step], *, locking: bool
) -> None:
    client, model = await begin(stack, bus, locking=locking)

    for step in steps:
        answered = await propose(client, model, step)
        assert answered == model.take(step), step

    row = await stack.admin_pool.fetchrow(
        """
        SELECT r.state, r.version, t.state AS task_state, t.version AS task_version
        FROM runs.flow_run r JOIN runs.task_run t ON t.flow_run_id = r.id WHERE r.id = $1
        """,
        model.run.id,
    )
    assert row is not None
    assert tuple(row) == (
        model.run.state,
        model.run.version,
        model.task.state,
        model.task.version,
    )


@given(steps=st.lists(STEPS, min_size=10, max_size=40))
@settings(max_examples=20, deadline=None)
async def test_steps_taken_all_at_once_have_an_order_that_the_rules_allow(
    stack: Stack, bus: Bus, steps: list[Step]
) -> None:
    client, model = await begin(stack, bus, locking=True)
    unseen = [Step(step.kind, step.state, None) for step in steps if step.kind is RunKind.FLOW_RUN]

    await asyncio.gather(*(propose(client, model, step) for step in unseen))

    history = await stack.admin_pool.fetch(
        "SELECT version, state FROM runs.flow_run_state WHERE flow_run_id = $1 AND version > 1 ORDER BY version",
        model.run.id,
    )
    cancels = {"Cancelling", "Cancelled"}
    for row in history:
        step = Step(RunKind.FLOW_RUN, State(row["state"]), None)
        cancelled = Step(RunKind.FLOW_RUN, None, None)
        if step not in unseen:  # then it was the cancellation's doing
            assert row["state"] in cancels
            assert cancelled in unseen
            step = cancelled
        model.take(step)
        assert (model.run.version, model.run.state) == (row["version"], row["state"])
