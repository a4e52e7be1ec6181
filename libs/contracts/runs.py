"""The run ledger's verbs and events: flow runs, task runs, states, queue, agents, logs, artifacts.

Every command that changes a run may carry the version its sender saw (`seen_version`). For clients the check is made
only when the flow has version locking on; services always send it, and a stale proposal of a service is refused
(ARCHITECTURE.md).
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from libs.contracts import subjects
from libs.contracts.base import Applied, Event, JsonObject, Message, Refused, Rpc
from libs.contracts.subjects import Subject


class RunKind(StrEnum):
    """Which ledger a proposal is about."""

    FLOW_RUN = "flow_run"
    TASK_RUN = "task_run"


class CreateFlowRun(Message):
    """Create a run with its first state, Scheduled, in one transaction.

    Refused: FLOW_OR_GROUP_REQUIRED, FLOW_NOT_FOUND, VERSION_GROUP_EMPTY, FLOW_ARCHIVED, PARAMETERS_MISSING, INVALID.
    """

    tenant_id: UUID
    flow_id: UUID | None = None
    version_group_id: str | None = None
    parameters: JsonObject | None = None
    labels: list[str] | None = None
    run_config: JsonObject | None = None
    context: JsonObject | None = None
    scheduled_start_time: datetime | None = None
    idempotency_key: str | None = None
    flow_run_name: str | None = None
    created_by: UUID | None = None


class FlowRunCreated(Message):
    """`existing` is true when the idempotency key named an earlier run of this flow."""

    kind: Literal["applied"] = "applied"
    id: UUID
    existing: bool = False


class StateProposal(Message):
    """One proposed state, as a client sent it (`state` is its JSON).

    `by_person` is true for a write without a version. No process of a client sends that: Core always sends one, null if
    it does not matter. `lease_token` must be the token of the run's flow run. With `leased_flow_run_id` this is checked
    for that run only, because a process under a lease may also write other runs. `exact`: the versions are checked also
    when the flow has no version locking.
    """

    run_kind: RunKind
    run_id: UUID
    state: Any
    seen_version: int | None = None
    seen_flow_run_version: int | None = None
    by_person: bool = False
    lease_token: UUID | None = None
    leased_flow_run_id: UUID | None = None
    exact: bool = False


class SetStates(Message):
    """Propose states; each is decided by itself, in order, and answered by itself.

    `actor` is the user who sets them by hand; None for what a process reports.
    """

    tenant_id: UUID
    proposals: list[StateProposal]
    agent_id: UUID | None = None
    actor: UUID | None = None


class StateApplied(Message):
    """The state is in the ledger as `version`. `status` is what clients read: SUCCESS, or QUEUED with a `message`.

    `reopened` is true when the run had finished before and goes on now.
    """

    kind: Literal["applied"] = "applied"
    id: UUID
    version: int
    state: str
    status: Literal["SUCCESS", "QUEUED"] = "SUCCESS"
    message: str | None = None
    reopened: bool = False


class VersionConflict(Message):
    """The run has moved on since the sender looked (VERSION_LOCKING_ERROR to clients)."""

    kind: Literal["version_conflict"] = "version_conflict"
    id: UUID
    given: int
    current: int
    state: str


class StatesSet(Message):
    """One answer per proposal, in order."""

    kind: Literal["applied"] = "applied"
    outcomes: list[Annotated[StateApplied | VersionConflict | Refused, Field(discriminator="kind")]]


class GetOrCreateTaskRun(Message):
    """The task run of (flow run, task, map index), made if absent. Refused: TASK_INVALID_ID, FLOW_RUN_INVALID_ID."""

    tenant_id: UUID
    flow_run_id: UUID
    task_id: UUID
    map_index: int = -1


class TaskRunInfo(Message):
    """The row as it is now, also when another request made it."""

    kind: Literal["applied"] = "applied"
    id: UUID
    version: int
    state: str
    serialized_state: JsonObject


class CancelFlowRun(Message):
    """Cancel: Running or Submitted runs become Cancelling, other unfinished ones Cancelled, finished ones stay.

    Refused: FLOW_RUN_INVALID_ID. `actor` is the user who cancels.
    """

    tenant_id: UUID
    flow_run_id: UUID
    actor: UUID | None = None


class FlowRunCancelled(Message):
    """The name of the state that the run is in now."""

    kind: Literal["applied"] = "applied"
    id: UUID
    state: str


class GetRunsInQueue(Message):
    """Due runs for an agent with these labels, oldest first; also the agent's sign of life."""

    tenant_id: UUID
    labels: list[str] = []
    before: datetime | None = None
    agent_id: UUID | None = None
    limit: int = 25


class RunsInQueue(Message):
    """Ids of due flow runs."""

    kind: Literal["applied"] = "applied"
    flow_run_ids: list[UUID]


class RegisterAgent(Message):
    """Register an agent; the same (name, type, core version, labels) is the same agent."""

    tenant_id: UUID
    type: str
    name: str | None = None
    labels: list[str] = []
    core_version: str | None = None
    agent_config_id: UUID | None = None


class DeleteAgent(Message):
    """Forget an agent. `success` is false for an unknown id."""

    tenant_id: UUID
    agent_id: UUID


class UpdateRun(Message):
    """Set the name of a flow or task run, or the labels of a flow run. Refused: NAME_INVALID.

    `success` is false for an unknown id.
    """

    tenant_id: UUID
    run_kind: RunKind
    run_id: UUID
    name: str | None = None
    labels: list[str] | None = None


class DeleteFlowRun(Message):
    """Delete a run with its task runs, histories, logs and artifacts.

    `success` is false for an unknown id, and where the run is not at `seen_version` any more (None: any version).
    """

    tenant_id: UUID
    flow_run_id: UUID
    seen_version: int | None = None


class WriteArtifact(Message):
    """Create (`task_run_id`, `kind`, `data`), replace (`artifact_id`, `data`) or delete (`artifact_id` alone).

    Refused: ARTIFACT_TOO_LARGE, TASK_RUN_NOT_FOUND, TENANT_INVALID.
    """

    tenant_id: UUID
    artifact_id: UUID | None = None
    task_run_id: UUID | None = None
    artifact_kind: str | None = None
    data: Any = None


class SetConcurrencyLimit(Message):
    """Let at most `limit` flow runs with the label `name`, or task runs with the tag, run at once.

    One limit per name; its id stays when its number changes. With zero none starts. Refused: INVALID.
    """

    tenant_id: UUID
    run_kind: RunKind
    name: str
    limit: int


class DeleteConcurrencyLimit(Message):
    """Remove a limit. `success` is false for an unknown id."""

    tenant_id: UUID
    run_kind: RunKind
    limit_id: UUID


CREATE_FLOW_RUN = Rpc(subjects.CREATE_FLOW_RUN, CreateFlowRun, FlowRunCreated)
SET_STATES = Rpc(subjects.SET_STATES, SetStates, StatesSet)
GET_OR_CREATE_TASK_RUN = Rpc(subjects.GET_OR_CREATE_TASK_RUN, GetOrCreateTaskRun, TaskRunInfo)
CANCEL_FLOW_RUN = Rpc(subjects.CANCEL_FLOW_RUN, CancelFlowRun, FlowRunCancelled)
GET_RUNS_IN_QUEUE = Rpc(subjects.GET_RUNS_IN_QUEUE, GetRunsInQueue, RunsInQueue)
REGISTER_AGENT = Rpc(subjects.REGISTER_AGENT, RegisterAgent, Applied)
DELETE_AGENT = Rpc(subjects.DELETE_AGENT, DeleteAgent, Applied)
UPDATE_RUN = Rpc(subjects.UPDATE_RUN, UpdateRun, Applied)
DELETE_FLOW_RUN = Rpc(subjects.DELETE_FLOW_RUN, DeleteFlowRun, Applied)
WRITE_ARTIFACT = Rpc(subjects.WRITE_ARTIFACT, WriteArtifact, Applied)
SET_CONCURRENCY_LIMIT = Rpc(subjects.SET_CONCURRENCY_LIMIT, SetConcurrencyLimit, Applied)
DELETE_CONCURRENCY_LIMIT = Rpc(subjects.DELETE_CONCURRENCY_LIMIT, DeleteConcurrencyLimit, Applied)


class ScheduledInstant(Message):
    """One instant of a schedule. Its key is (flow version, `start_time` in UTC, `schedule_hash`): it gets one run,
    ever.

    `schedule_hash` is the canonical hash of the clock's parameters and labels.
    """

    start_time: datetime
    schedule_hash: str
    parameters: JsonObject = {}
    labels: list[str] | None = None


class CreateScheduled(Message):
    """Work for `runs`: make the missing runs of these instants (subject `hw.work.runs.create_scheduled.{flow_id}`), and
    update the inputs of planned ones that no person has changed.

    Nothing is made for a flow that is archived or whose schedule is not active at that time, nor for the past, nor for
    instants that a person deleted, nor for those that an archived version of the group has begun. `seen_schedule` is
    the md5 of the schedule's text as the sender saw it: a proposal for another schedule is stale. None: not said.
    """

    tenant_id: UUID
    flow_id: UUID
    instants: list[ScheduledInstant]
    seen_schedule: str | None = None


class ClearScheduled(Message):
    """Work for `runs`: delete the flow's pending auto-scheduled runs, except those whose key is in `keep`.

    `keep` holds `(start_time, schedule_hash)` pairs that the current schedule still yields; empty deletes all. Runs
    that start at `after` or before are kept: they are due. `seen_schedule` as in `CreateScheduled`; empty when the
    sender saw that the flow's schedule is not followed.
    """

    tenant_id: UUID
    flow_id: UUID
    keep: list[tuple[datetime, str]] = []
    after: datetime | None = None
    seen_schedule: str | None = None


class ForgetDeleted(Message):
    """Work for `runs`: a schedule that was on was switched on again. If all planned runs were deleted, they come back.

    If some are still planned, the instants that a person deleted stay deleted.
    """

    tenant_id: UUID
    flow_id: UUID


class Reschedule(Message):
    """Work for `runs`, proposed by Lazarus: bring the run back as attempt `attempt`, or fail it for good.

    A proposal for a run that is finished, or whose version is not `seen_version`, changes nothing.
    `limit` is the number of attempts after which it is given up, for the message.
    """

    tenant_id: UUID
    flow_run_id: UUID
    seen_version: int
    attempt: int
    limit: int
    give_up: bool = False


class LogLine(Message):
    """One line; `id` is made by the gateway before publishing and makes redelivery harmless."""

    id: UUID
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None
    timestamp: datetime
    name: str | None = None
    level: str = "INFO"
    message: str | None = None
    info: Any = None


class LogBatch(Message):
    """Lines of one flow run on `hw.lines.{tenant_id}.{flow_run_id}` (`none` when the run is unknown).

    `accepted` is when the gateway took them; it is the rows' `created`, so a redelivered batch has the same keys.
    """

    tenant_id: UUID
    accepted: datetime
    lines: list[LogLine]


class TaskRunChanged(Message):
    """A task run has a new state."""

    id: UUID
    flow_run_id: UUID
    version: int
    state: str


class Changed(Message):
    """The signal `changed`: changes of a tenant that the ledger has just committed and that have no event. May be lost.

    `logs` are flow runs with new lines, which can be read now.
    """

    task_runs: list[TaskRunChanged] = []
    logs: list[UUID] = []
    agents: list[UUID] = []


class FlowRunStateChanged(Event):
    """A flow run has a new state; `version` is contiguous per run."""

    subject: ClassVar[Subject] = subjects.FLOW_RUN_STATE_CHANGED
    flow_run_id: UUID
    flow_id: UUID
    version: int
    state: str
    previous_state: str | None = None
    message: str | None = None
