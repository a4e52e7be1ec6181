"""Runs for unit tests: each says only what matters to it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.runs.domain.states import RunState, read_state
from services.runs.domain.transitions import FlowRun, TaskRun

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RUN = UUID(int=1)
TASK_RUN = UUID(int=2)
TENANT = UUID(int=3)
FLOW = UUID(int=4)


def a_run(state: str = "Running", **fields: Any) -> FlowRun:
    run = FlowRun(
        id=RUN,
        tenant_id=TENANT,
        flow_id=FLOW,
        version=3,
        state=state,
        state_timestamp=NOW - timedelta(minutes=5),
    )
    return replace(run, **fields)


def a_task_run(state: str = "Running", **fields: Any) -> TaskRun:
    run = TaskRun(
        id=TASK_RUN,
        tenant_id=TENANT,
        flow_run_id=RUN,
        version=1,
        state=state,
        state_timestamp=NOW - timedelta(minutes=5),
    )
    return replace(run, **fields)


def a_state(name: str, **fields: Any) -> RunState:
    state = read_state({"type": name, **fields}, now=NOW)
    assert isinstance(state, RunState), state
    return state
