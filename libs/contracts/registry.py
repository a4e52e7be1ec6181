"""The registry's verbs and events: projects, flows (versions), flow groups."""

from typing import Any, ClassVar, Literal
from uuid import UUID

from libs.contracts import subjects
from libs.contracts.base import Applied, Event, JsonObject, Message, Refused, Rpc
from libs.contracts.subjects import Subject


class CreateProject(Message):
    """Make a project. Refused: UNIQUENESS_VIOLATION (same name in the tenant), TENANT_NOT_FOUND."""

    tenant_id: UUID
    name: str
    description: str | None = None


class DeleteProject(Message):
    """Delete a project with all its flows and their runs. `success` is false for an unknown id."""

    tenant_id: UUID
    project_id: UUID


class UpdateProject(Message):
    """Set the fields named in `changes` (name, description). Refused: UPDATE_FAILED, PROJECT_NAME_TAKEN."""

    tenant_id: UUID
    project_id: UUID
    changes: dict[str, str | None]


class RegisterFlow(Message):
    """Register a version. Exactly one of `serialized_flow` (JSON object) and `compressed_flow` (its gzip in base64).

    `set_schedule_active`: True/False as the client says; None leaves the schedule inactive. `default_project`: the
    client has no projects; without a `project_id` the flow goes into the tenant's project "default", which is made if
    necessary. Without either: PROJECT_INVALID_ID.

    A flow with neither `tasks` nor `edges`, whose schedule is not to be started, comes in pieces: it becomes a version,
    and the others of its group are archived, when `RegisterTasks` and `RegisterEdges` have brought a last piece each.
    """

    tenant_id: UUID
    project_id: UUID | None
    default_project: bool = False
    serialized_flow: Any = None
    compressed_flow: str | None = None
    version_group_id: str | None = None
    set_schedule_active: bool | None = True
    description: str | None = None
    idempotency_key: str | None = None
    created_by: UUID | None = None


class FlowRegisteredReply(Message):
    """`existing` is true when the idempotency key matched and nothing was made.

    For a flow that comes in pieces only the id is known: its group and version are decided with the last piece.
    `schedule_refused` says why the schedule was not started although this was requested; the version is made anyway.
    """

    kind: Literal["applied"] = "applied"
    id: UUID
    flow_group_id: UUID | None = None
    version: int | None = None
    existing: bool = False
    schedule_refused: Refused | None = None


class RegisterTasks(Message):
    """Append tasks to a flow; slugs that exist are skipped. `serialized_tasks` may be empty.

    For a flow that comes in pieces, 500 tasks mean that more will come, fewer that these are the last; the same for
    edges.
    """

    tenant_id: UUID
    flow_id: UUID
    serialized_tasks: Any


class RegisterEdges(Message):
    """Append edges to a flow; edges that exist are skipped. Refused: EDGES_UNKNOWN_TASKS."""

    tenant_id: UUID
    flow_id: UUID
    serialized_edges: Any


class FlowCommand(Message):
    """A command whose only argument is a flow: archive, unarchive, delete. `success` is false for an unknown id."""

    tenant_id: UUID
    flow_id: UUID


class MoveFlow(Message):
    """Move a flow to another project of the tenant. Refused: FLOW_OR_PROJECT_INVALID."""

    tenant_id: UUID
    flow_id: UUID
    project_id: UUID


class SetScheduleActive(Message):
    """Start or pause a flow's schedule. `success` is false for an unknown flow.

    Refused: REQUIRED_PARAMETERS_UNSCHEDULABLE, ARCHIVED_UNSCHEDULABLE, SCHEDULE_ENDED, SCHEDULE_MISSING,
    SCHEDULE_EMPTY, FLOW_UNFINISHED.
    """

    tenant_id: UUID
    flow_id: UUID
    active: bool


class SetFlowSettings(Message):
    """Set safeguards of the flow's group; only the named ones. Refused: FLOW_INVALID_ID."""

    tenant_id: UUID
    flow_id: UUID
    heartbeat_enabled: bool | None = None
    lazarus_enabled: bool | None = None
    version_locking_enabled: bool | None = None


class CheckSchedule(Message):
    """Show how a group's schedule would be stored, and store nothing. `asked` has the form of `UpdateFlowGroup`.

    Refused: as `UpdateFlowGroup`.
    """

    tenant_id: UUID
    asked: JsonObject


class CheckedSchedule(Message):
    """The schedule as it would be stored."""

    kind: Literal["checked_schedule"] = "checked_schedule"
    schedule: JsonObject


class UpdateFlowGroup(Message):
    """Overwrite the columns named in `changes`: description, labels, default_parameters, run_config, schedule.

    `schedule` is `{"cron_clocks": [...], "interval_clocks": [...], "timezone": ...}` as clients send it, or null.
    Refused: REQUIRED_PARAMETERS_UNSCHEDULABLE, when a schedule that is followed could plan no runs any more.
    """

    tenant_id: UUID
    flow_group_id: UUID
    changes: JsonObject


class DeleteFlowGroup(Message):
    """Delete a group with its flows and their runs. `success` is false for an unknown id."""

    tenant_id: UUID
    flow_group_id: UUID


CREATE_PROJECT = Rpc(subjects.CREATE_PROJECT, CreateProject, Applied)
DELETE_PROJECT = Rpc(subjects.DELETE_PROJECT, DeleteProject, Applied)
UPDATE_PROJECT = Rpc(subjects.UPDATE_PROJECT, UpdateProject, Applied)
REGISTER_FLOW = Rpc(subjects.REGISTER_FLOW, RegisterFlow, FlowRegisteredReply)
REGISTER_TASKS = Rpc(subjects.REGISTER_TASKS, RegisterTasks, Applied)
REGISTER_EDGES = Rpc(subjects.REGISTER_EDGES, RegisterEdges, Applied)
ARCHIVE_FLOW = Rpc(subjects.ARCHIVE_FLOW, FlowCommand, Applied)
UNARCHIVE_FLOW = Rpc(subjects.UNARCHIVE_FLOW, FlowCommand, Applied)
DELETE_FLOW = Rpc(subjects.DELETE_FLOW, FlowCommand, Applied)
MOVE_FLOW = Rpc(subjects.MOVE_FLOW, MoveFlow, Applied)
SET_SCHEDULE_ACTIVE = Rpc(subjects.SET_SCHEDULE_ACTIVE, SetScheduleActive, Applied)
SET_FLOW_SETTINGS = Rpc(subjects.SET_FLOW_SETTINGS, SetFlowSettings, Applied)
CHECK_SCHEDULE = Rpc(subjects.CHECK_SCHEDULE, CheckSchedule, CheckedSchedule)
UPDATE_FLOW_GROUP = Rpc(subjects.UPDATE_FLOW_GROUP, UpdateFlowGroup, Applied)
DELETE_FLOW_GROUP = Rpc(subjects.DELETE_FLOW_GROUP, DeleteFlowGroup, Applied)


class ProjectCreated(Event):
    """A project was made."""

    subject: ClassVar[Subject] = subjects.PROJECT_CREATED
    project_id: UUID


class ProjectChanged(Event):
    """A project has another name or description."""

    subject: ClassVar[Subject] = subjects.PROJECT_CHANGED
    project_id: UUID


class ProjectDeleted(Event):
    """A project was deleted. An event for each of its flows came before."""

    subject: ClassVar[Subject] = subjects.PROJECT_DELETED
    project_id: UUID


class FlowGroupChanged(Event):
    """The overrides of a group changed: these columns. For a schedule there is also an event for each of its flows."""

    subject: ClassVar[Subject] = subjects.FLOW_GROUP_CHANGED
    flow_group_id: UUID
    columns: list[str]


class FlowGroupDeleted(Event):
    """A group was deleted. An event for each of its flows came before."""

    subject: ClassVar[Subject] = subjects.FLOW_GROUP_DELETED
    flow_group_id: UUID


class FlowEvent(Event):
    """Something happened to one flow version."""

    flow_id: UUID
    flow_group_id: UUID


class FlowRegistered(FlowEvent):
    """A version was registered."""

    subject: ClassVar[Subject] = subjects.FLOW_REGISTERED
    version: int


class FlowPieceRegistered(FlowEvent):
    """Tasks or edges were added to a version after its registration; their numbers. No event for a piece that adds
    nothing.

    `whole`: its document is complete now; its schedule is not followed before. The last piece of edges makes a version
    whole; if a client sends none, the registry does so after a few seconds, in an event that adds nothing. A
    registration in pieces has one event, `registered`, when it is complete.
    """

    subject: ClassVar[Subject] = subjects.FLOW_PIECE_REGISTERED
    tasks: int
    edges: int
    whole: bool


class FlowArchived(FlowEvent):
    """A version was archived: from now on no run can be created for it."""

    subject: ClassVar[Subject] = subjects.FLOW_ARCHIVED


class FlowUnarchived(FlowEvent):
    """A version was taken out of the archive."""

    subject: ClassVar[Subject] = subjects.FLOW_UNARCHIVED


class FlowScheduleChanged(FlowEvent):
    """The schedule, or whether it is active, changed; readers take the current value from the registry's tables.

    `on_again`: a schedule that was on was switched on again.
    """

    subject: ClassVar[Subject] = subjects.FLOW_SCHEDULE_CHANGED

    on_again: bool = False


class FlowSettingsChanged(FlowEvent):
    """Safeguards changed; they hold for future runs."""

    subject: ClassVar[Subject] = subjects.FLOW_SETTINGS_CHANGED


class FlowMoved(FlowEvent):
    """A version is in another project now."""

    subject: ClassVar[Subject] = subjects.FLOW_MOVED
    project_id: UUID


class FlowDeleted(FlowEvent):
    """A version was deleted."""

    subject: ClassVar[Subject] = subjects.FLOW_DELETED
