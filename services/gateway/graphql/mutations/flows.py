"""Flows: registering, versions, archiving, settings, schedules (the founding document; reference/registration.md)."""

from dataclasses import dataclass
from uuid import UUID

from libs.contracts import registry
from libs.contracts.base import Applied, Rpc
from libs.contracts.errors import Code
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import (
    Id,
    IdAndError,
    IdAndSuccess,
    Success,
    success_of,
    success_with_id,
)
from services.gateway.graphql.scalars import JSON


@dataclass
class CreateFlow:
    """`set_schedule_active` left out means true, an explicit null means no (reference/registration.md)."""

    serialized_flow: JSON
    project_id: UUID | None = None
    version_group_id: str | None = None
    set_schedule_active: bool | None = True
    description: str | None = None
    idempotency_key: str | None = None


@mutation("create_flow")
async def create_flow(context: Context, input: CreateFlow) -> IdAndError:
    """Register a version of a flow from the JSON of `flow.serialize()`; `error` says why its schedule was left off."""
    return await _register(context, input, serialized_flow=input.serialized_flow)


@dataclass
class CreateFlowFromCompressedString:
    """The same with the JSON gzipped and in base64."""

    serialized_flow: str
    project_id: UUID | None = None
    version_group_id: str | None = None
    set_schedule_active: bool | None = True
    description: str | None = None
    idempotency_key: str | None = None


@mutation("create_flow_from_compressed_string")
async def create_flow_from_compressed_string(
    context: Context, input: CreateFlowFromCompressedString
) -> IdAndError:
    """Register a version of a flow from compressed JSON, as Core's `flow.register` sends it."""
    return await _register(context, input, compressed_flow=input.serialized_flow)


async def _register(
    context: Context,
    given: CreateFlow | CreateFlowFromCompressedString,
    *,
    serialized_flow: object = None,
    compressed_flow: str | None = None,
) -> IdAndError:
    reply = await context.ask(
        registry.REGISTER_FLOW,
        registry.RegisterFlow(
            tenant_id=context.tenant_id,
            project_id=given.project_id,
            default_project=compat.knows_no_projects(context.core_version),
            serialized_flow=serialized_flow,
            compressed_flow=compressed_flow,
            version_group_id=given.version_group_id,
            set_schedule_active=given.set_schedule_active,
            description=given.description,
            idempotency_key=given.idempotency_key,
            created_by=context.identity.user_id,
        ),
    )
    refused = reply.schedule_refused
    error = None if refused is None else compat.error_of(refused).message
    return IdAndError(id=reply.id, error=error)


@dataclass
class RegisterTasks:
    """Tasks in the shape of `serialized_flow.tasks`; Core sends 500 at a time, and sometimes none."""

    serialized_tasks: JSON
    flow_id: UUID


@mutation("register_tasks")
async def register_tasks(context: Context, input: RegisterTasks) -> Success:
    """Append tasks to a flow."""
    reply = await context.ask(
        registry.REGISTER_TASKS,
        registry.RegisterTasks(
            tenant_id=context.tenant_id,
            flow_id=input.flow_id,
            serialized_tasks=input.serialized_tasks,
        ),
    )
    return success_of("flow", input.flow_id, success=reply.success)


@dataclass
class RegisterEdges:
    """Edges in the shape of `serialized_flow.edges`."""

    serialized_edges: JSON
    flow_id: UUID


@mutation("register_edges")
async def register_edges(context: Context, input: RegisterEdges) -> Success:
    """Append edges to a flow; both ends must be registered."""
    reply = await context.ask(
        registry.REGISTER_EDGES,
        registry.RegisterEdges(
            tenant_id=context.tenant_id,
            flow_id=input.flow_id,
            serialized_edges=input.serialized_edges,
        ),
    )
    return success_of("flow", input.flow_id, success=reply.success)


@dataclass
class FlowInput:
    """A flow version by its id."""

    flow_id: UUID


@mutation("archive_flow")
async def archive_flow(context: Context, input: FlowInput) -> IdAndSuccess:
    """Archive a version: its schedule is paused and no run can be created for it."""
    return await _command(context, registry.ARCHIVE_FLOW, input.flow_id)


@mutation("unarchive_flow")
async def unarchive_flow(context: Context, input: FlowInput) -> IdAndSuccess:
    """Take a version out of the archive and restore its schedule; other versions stay as they are."""
    return await _command(context, registry.UNARCHIVE_FLOW, input.flow_id)


@mutation("delete_flow")
async def delete_flow(context: Context, input: FlowInput) -> IdAndSuccess:
    """Delete a version with all its runs."""
    return await _command(context, registry.DELETE_FLOW, input.flow_id)


async def _command(
    context: Context, rpc: Rpc[registry.FlowCommand, Applied], flow_id: UUID
) -> IdAndSuccess:
    reply = await context.ask(
        rpc, registry.FlowCommand(tenant_id=context.tenant_id, flow_id=flow_id)
    )
    return success_with_id("flow", flow_id, success=reply.success)


@dataclass
class UpdateFlowProject:
    """Both must belong to the tenant."""

    flow_id: UUID
    project_id: UUID


@mutation("update_flow_project")
async def update_flow_project(context: Context, input: UpdateFlowProject) -> Id:
    """Move a flow to another project."""
    await context.ask(
        registry.MOVE_FLOW,
        registry.MoveFlow(
            tenant_id=context.tenant_id, flow_id=input.flow_id, project_id=input.project_id
        ),
    )
    return Id(id=input.flow_id)


# Schedules


@mutation("set_schedule_active")
async def set_schedule_active(context: Context, input: FlowInput) -> Success:
    """Start the flow's schedule; false, with an `error`, when it has none. Refused when it would plan nothing."""
    return await _set_schedule(context, input.flow_id, active=True)


@mutation("set_schedule_inactive")
async def set_schedule_inactive(context: Context, input: FlowInput) -> Success:
    """Pause the flow's schedule and delete its pending auto-scheduled runs."""
    return await _set_schedule(context, input.flow_id, active=False)


@dataclass
class SetFlowScheduleState:
    """Core 0.8's one mutation for both."""

    flow_id: UUID
    set_active: bool


@mutation(None, camel="setFlowScheduleState")
async def set_flow_schedule_state(context: Context, input: SetFlowScheduleState) -> IdAndSuccess:
    """Start or pause the flow's schedule."""
    result = await _set_schedule(context, input.flow_id, active=input.set_active)
    return IdAndSuccess(id=input.flow_id, success=result.success, error=result.error)


async def _set_schedule(context: Context, flow_id: UUID, *, active: bool) -> Success:
    reply = await context.answer(
        registry.SET_SCHEDULE_ACTIVE,
        registry.SetScheduleActive(tenant_id=context.tenant_id, flow_id=flow_id, active=active),
    )
    if isinstance(reply, Applied):
        return success_of("flow", flow_id, success=reply.success)
    error = compat.error_of(reply)
    is_of_core = reply.code in _NOT_TO_START and compat.registers(context.core_version)
    if reply.code is Code.SCHEDULE_MISSING or is_of_core:
        return Success(success=False, error=error.message)
    raise error


_NOT_TO_START = {
    Code.REQUIRED_PARAMETERS_UNSCHEDULABLE,
    Code.ARCHIVED_UNSCHEDULABLE,
    Code.SCHEDULE_ENDED,
    Code.SCHEDULE_EMPTY,
}
"""Why a schedule would plan nothing, though the flow itself is as it should be."""


# Safeguards. The old dialect sets with a value, the new one has a pair of verbs.


@dataclass
class Toggle:
    """`value` true does what the mutation's name says, false undoes it (the founding document)."""

    flow_id: UUID
    value: bool = True


@mutation(None, camel="disableFlowHeartbeat")
async def disable_flow_heartbeat_value(context: Context, input: Toggle) -> Success:
    """Switch heartbeats and the Zombie Killer off (true) or on (false) for future runs of the flow."""
    return await _set(context, input.flow_id, heartbeat_enabled=not input.value)


@mutation(None, camel="disableLazarusForFlow")
async def disable_lazarus_for_flow(context: Context, input: Toggle) -> Success:
    """Switch Lazarus off (true) or on (false) for future runs of the flow."""
    return await _set(context, input.flow_id, lazarus_enabled=not input.value)


@mutation(None, camel="enableFlowVersionLocking")
async def enable_flow_version_locking(context: Context, input: Toggle) -> Success:
    """Switch version locking on (true) or off (false) for the flow and its tasks."""
    return await _set(context, input.flow_id, version_locking_enabled=input.value)


@mutation(None, camel="disableFlowVersionLocking")
async def disable_flow_version_locking(context: Context, input: Toggle) -> Success:
    """Switch version locking off (true) or on (false) for the flow and its tasks."""
    return await _set(context, input.flow_id, version_locking_enabled=not input.value)


@mutation("enable_flow_heartbeat", camel=None)
async def enable_flow_heartbeat(context: Context, input: FlowInput) -> Success:
    """Switch heartbeats and the Zombie Killer on for future runs of the flow."""
    return await _set(context, input.flow_id, heartbeat_enabled=True)


@mutation("disable_flow_heartbeat", camel=None)
async def disable_flow_heartbeat(context: Context, input: FlowInput) -> Success:
    """Switch heartbeats and the Zombie Killer off for future runs of the flow."""
    return await _set(context, input.flow_id, heartbeat_enabled=False)


@mutation("enable_flow_lazarus_process", camel=None)
async def enable_flow_lazarus_process(context: Context, input: FlowInput) -> Success:
    """Switch Lazarus on for future runs of the flow."""
    return await _set(context, input.flow_id, lazarus_enabled=True)


@mutation("disable_flow_lazarus_process", camel=None)
async def disable_flow_lazarus_process(context: Context, input: FlowInput) -> Success:
    """Switch Lazarus off for future runs of the flow."""
    return await _set(context, input.flow_id, lazarus_enabled=False)


@mutation("enable_flow_version_lock", camel=None)
async def enable_flow_version_lock(context: Context, input: FlowInput) -> Success:
    """Switch version locking on for the flow and its tasks."""
    return await _set(context, input.flow_id, version_locking_enabled=True)


@mutation("disable_flow_version_lock", camel=None)
async def disable_flow_version_lock(context: Context, input: FlowInput) -> Success:
    """Switch version locking off for the flow and its tasks."""
    return await _set(context, input.flow_id, version_locking_enabled=False)


async def _set(
    context: Context,
    flow_id: UUID,
    *,
    heartbeat_enabled: bool | None = None,
    lazarus_enabled: bool | None = None,
    version_locking_enabled: bool | None = None,
) -> Success:
    reply = await context.ask(
        registry.SET_FLOW_SETTINGS,
        registry.SetFlowSettings(
            tenant_id=context.tenant_id,
            flow_id=flow_id,
            heartbeat_enabled=heartbeat_enabled,
            lazarus_enabled=lazarus_enabled,
            version_locking_enabled=version_locking_enabled,
        ),
    )
    return success_of("flow", flow_id, success=reply.success)
