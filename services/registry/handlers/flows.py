"""Changes of a version after its registration."""

from libs.contracts.base import Applied, Refused
from libs.contracts.errors import Code
from libs.contracts.registry import (
    FlowArchived,
    FlowCommand,
    FlowDeleted,
    FlowMoved,
    FlowScheduleChanged,
    FlowSettingsChanged,
    FlowUnarchived,
    MoveFlow,
    SetFlowSettings,
    SetScheduleActive,
)
from services.registry import draft_store, group_store, schedule_store, store
from services.registry.domain import registration
from services.registry.handlers.drafts import unfinished_refusal
from services.registry.handlers.groups import start_refusal
from services.registry.unit_of_work import NOT_FOUND, UnitsOfWork


class Flows:
    """The verbs on versions."""

    def __init__(self, units: UnitsOfWork) -> None:
        self._units = units

    async def archive_flow(self, command: FlowCommand) -> Applied | Refused:
        """Archive a version: from now on no run can be made of it. A repetition changes nothing."""
        return await self._set_archived(command, archived=True)

    async def unarchive_flow(self, command: FlowCommand) -> Applied | Refused:
        """Unarchive a version; other versions stay as they are; its schedule is as before."""
        return await self._set_archived(command, archived=False)

    async def _set_archived(self, command: FlowCommand, *, archived: bool) -> Applied:
        async with self._units.begin(command.tenant_id) as work:
            version = await store.set_archived(
                work.connection, work.tenant_id, command.flow_id, archived=archived
            )
            if version is None:
                return NOT_FOUND
            if version.changed:
                work.record(
                    FlowArchived if archived else FlowUnarchived,
                    flow_id=version.id,
                    flow_group_id=version.flow_group_id,
                )
        return Applied(id=command.flow_id)

    async def move_flow(self, command: MoveFlow) -> Applied | Refused:
        """Put a flow into another project of its tenant."""
        async with self._units.begin(command.tenant_id) as work:
            version = await store.move_flow(
                work.connection, work.tenant_id, command.flow_id, command.project_id
            )
            if version is None:
                return Refused(code=Code.FLOW_OR_PROJECT_INVALID)
            if version.changed:
                work.record(
                    FlowMoved,
                    flow_id=version.id,
                    flow_group_id=version.flow_group_id,
                    project_id=command.project_id,
                )
        return Applied(id=command.flow_id)

    async def delete_flow(self, command: FlowCommand) -> Applied | Refused:
        """Delete a version, or a draft; the ledger deletes its runs on the event."""
        async with self._units.begin(command.tenant_id) as work:
            at = (work.connection, work.tenant_id, command.flow_id)
            version = await store.delete_flow(*at)
            if version is None:
                given_up = await draft_store.delete_draft(*at)
                return Applied(id=command.flow_id) if given_up else NOT_FOUND
            work.record(FlowDeleted, flow_id=version.id, flow_group_id=version.flow_group_id)
        return Applied(id=command.flow_id)

    async def set_schedule_active(self, command: SetScheduleActive) -> Applied | Refused:
        """Start or pause a flow's schedule. One that could never plan a run is not started."""
        async with self._units.begin(command.tenant_id) as work:
            at = (work.connection, work.tenant_id, command.flow_id)
            if command.active:
                await schedule_store.hold_group_of(*at)
            flow = await schedule_store.hold_schedule(*at)
            if flow is None:
                return await unfinished_refusal(work, command.flow_id) or NOT_FOUND
            if command.active:
                fields = {"flow_id": str(command.flow_id)}
                if flow.archived:
                    return Refused(code=Code.ARCHIVED_UNSCHEDULABLE, fields=fields)
                if not flow.has_schedule:
                    return Refused(code=Code.SCHEDULE_MISSING, fields=fields)
                if refused := start_refusal(flow, now=work.now):
                    return refused
            if command.active is not flow.is_active:
                await schedule_store.set_schedule_active(*at, active=command.active)
            if command.active or flow.is_active:
                work.record(
                    FlowScheduleChanged,
                    flow_id=command.flow_id,
                    flow_group_id=flow.flow_group_id,
                    on_again=command.active and flow.is_active,
                )
        return Applied(id=command.flow_id)

    async def set_flow_settings(self, command: SetFlowSettings) -> Applied | Refused:
        """Set safeguards of the flow's group and of all its versions."""
        changes = registration.safeguard_changes(
            heartbeat=command.heartbeat_enabled,
            lazarus=command.lazarus_enabled,
            version_locking=command.version_locking_enabled,
        )
        async with self._units.begin(command.tenant_id) as work:
            group = await group_store.set_safeguards(
                work.connection, work.tenant_id, command.flow_id, changes
            )
            if group is None:
                return Refused(code=Code.FLOW_INVALID_ID)
            work.record(FlowSettingsChanged, flow_id=command.flow_id, flow_group_id=group)
        return Applied(id=command.flow_id)
