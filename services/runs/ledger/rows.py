"""The rows that the journal writes, each a record set of its statement (`libs/runtime/records.py`)."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID


class StateRow(NamedTuple):
    """A state of a run: its history row, and the run's row after it. Beside it stands what its kind of run has more.

    `replaces` is the version of the run's row before the batch; None for a state that a later one of the same batch
    replaces. `serialized_state` is JSON text.
    """

    history_id: UUID
    run_id: UUID
    tenant_id: UUID
    version: int
    state: str
    at: datetime
    message: str | None
    state_start_time: datetime | None
    serialized_state: str
    start_time: datetime | None
    end_time: datetime | None
    heartbeat: datetime | None
    actor: UUID | None
    replaces: int | None


class FlowRunPart(NamedTuple):
    """Beside the `StateRow` of a flow run."""

    agent_id: UUID | None
    times_resurrected: int
    attempt: int
    lease_token: UUID | None


class TaskRunPart(NamedTuple):
    """Beside the `StateRow` of a task run."""

    retries: int


class WantedLimit(NamedTuple):
    """A limit that a run may enter: `kind` is that of the run, `name` a label or a tag."""

    tenant_id: UUID
    kind: str
    name: str


class NewFlowRun(NamedTuple):
    """A flow run to insert. JSON columns are JSON text. `schedule_hash` makes it an instant of a schedule."""

    id: UUID
    tenant_id: UUID
    flow_id: UUID
    flow_group_id: UUID
    name: str
    parameters: str
    labels: str
    run_config: str | None
    context: str
    scheduled_start_time: datetime
    auto_scheduled: bool
    schedule_hash: str | None
    idempotency_key: str | None
    message: str
    serialized_state: str
    history_id: UUID
    created_by: UUID | None
    at: datetime


class NewTaskRun(NamedTuple):
    """A Pending task run to insert."""

    id: UUID
    tenant_id: UUID
    flow_run_id: UUID
    task_id: UUID
    map_index: int
    cache_key: str | None
    history_id: UUID


class WantedTaskRun(NamedTuple):
    """A task run that is found or made; `number` is its index in the request."""

    number: int
    tenant_id: UUID
    flow_run_id: UUID
    task_id: UUID
    map_index: int
    id: UUID
    history_id: UUID


class FreedSlot(NamedTuple):
    """A slot of a concurrency limit that its run frees."""

    limit_id: UUID
    run_id: UUID


class TakenSlot(NamedTuple):
    """A slot of a concurrency limit that a run takes; for a flow run, `flow_run_id` is `run_id`."""

    limit_id: UUID
    run_id: UUID
    flow_run_id: UUID
    tenant_id: UUID


class LeaseRow(NamedTuple):
    """A run that an agent has claimed, and its lease token."""

    id: UUID
    token: UUID | None
    agent_id: UUID | None
    attempt: int
