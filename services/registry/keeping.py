"""Everything but registering: projects, archiving, schedules, safeguards, groups, deletion."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from libs.contracts.base import Applied, JsonObject, Refused
from libs.contracts.errors import Code
from libs.contracts.registry import (
    CreateProject,
    DeleteFlowGroup,
    DeleteProject,
    FlowArchived,
    FlowCommand,
    FlowDeleted,
    FlowScheduleChanged,
    FlowSettingsChanged,
    FlowUnarchived,
    MoveFlow,
    ProjectCreated,
    SetFlowSettings,
    SetScheduleActive,
    UpdateFlowGroup,
    UpdateProject,
)
from services.registry import store
from services.registry.domain import registration, schedules
from services.registry.domain.documents import encode, invalid
from services.registry.work import Bench, Work

_NOT_FOUND = Applied(success=False)


class Keeping:
    """The verbs on what is registered."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    # projects

    async def create_project(self, command: CreateProject) -> Applied | Refused:
        """Make a project."""
        if refused := registration.project_name_refusal(command.name):
            return refused
        if refused := registration.text_refusal(("description", command.description, None)):
            return refused
        async with self._bench.work(command.tenant_id) as work:
            if not await store.has_tenant(work.connection, work.tenant_id):
                return Refused(code=Code.FOREIGN_KEY_VIOLATION)
            project_id = work.ids()
            if not await store.insert_project(
                work.connection,
                work.tenant_id,
                project_id,
                name=command.name,
                description=command.description,
            ):
                return Refused(code=Code.UNIQUENESS_VIOLATION)
            work.tell(ProjectCreated, project_id=project_id)
        return Applied(id=project_id)

    async def update_project(self, command: UpdateProject) -> Applied | Refused:
        """Rename or describe a project."""
        if unknown := set(command.changes) - {"name", "description"}:
            return invalid(f"{min(unknown)}: a project has no such field")
        if "name" in command.changes and (
            refused := registration.project_name_refusal(command.changes["name"])
        ):
            return refused
        text = ("description", command.changes.get("description"), None)
        if refused := registration.text_refusal(text):
            return refused
        try:
            async with self._bench.work(command.tenant_id) as work:
                if not await store.update_project(
                    work.connection, work.tenant_id, command.project_id, command.changes
                ):
                    return Refused(code=Code.UPDATE_FAILED)
        except store.UniqueViolation:
            return Refused(code=Code.UNIQUENESS_VIOLATION)
        return Applied(id=command.project_id)

    async def delete_project(self, command: DeleteProject) -> Applied | Refused:
        """Delete a project with its flows. Groups stay, with their settings and version numbers."""
        async with self._bench.work(command.tenant_id) as work:
            if not await store.has_project(work.connection, work.tenant_id, command.project_id):
                return _NOT_FOUND
        return await self._delete_flows_until(
            command.tenant_id,
            command.project_id,
            some_flows=lambda work: store.delete_some_flows(
                work.connection, work.tenant_id, of_project=command.project_id
            ),
            last=lambda work: store.delete_empty_project(
                work.connection, work.tenant_id, command.project_id
            ),
            still_there=lambda work: store.has_project(
                work.connection, work.tenant_id, command.project_id
            ),
        )

    # versions

    async def archive_flow(self, command: FlowCommand) -> Applied | Refused:
        """Archive a version: no run can be made of it from here on. Archiving twice is once."""
        return await self._set_archived(command, archived=True)

    async def unarchive_flow(self, command: FlowCommand) -> Applied | Refused:
        """Take a version out of the archive, beside those that are not in it; its schedule is as it was."""
        return await self._set_archived(command, archived=False)

    async def _set_archived(self, command: FlowCommand, *, archived: bool) -> Applied:
        async with self._bench.work(command.tenant_id) as work:
            version = await store.set_archived(
                work.connection, work.tenant_id, command.flow_id, archived=archived
            )
            if version is None:
                return _NOT_FOUND
            if version.changed:
                work.tell(
                    FlowArchived if archived else FlowUnarchived,
                    flow_id=version.id,
                    flow_group_id=version.flow_group_id,
                )
        return Applied(id=command.flow_id)

    async def move_flow(self, command: MoveFlow) -> Applied | Refused:
        """Put a flow into another project of its tenant."""
        async with self._bench.work(command.tenant_id) as work:
            if not await store.move_flow(
                work.connection, work.tenant_id, command.flow_id, command.project_id
            ):
                return Refused(code=Code.FLOW_OR_PROJECT_INVALID)
        return Applied(id=command.flow_id)

    async def delete_flow(self, command: FlowCommand) -> Applied | Refused:
        """Delete a version; the ledger deletes its runs when it hears of it."""
        async with self._bench.work(command.tenant_id) as work:
            version = await store.delete_flow(work.connection, work.tenant_id, command.flow_id)
            if version is None:
                return _NOT_FOUND
            work.tell(FlowDeleted, flow_id=version.id, flow_group_id=version.flow_group_id)
        return Applied(id=command.flow_id)

    # schedules and safeguards

    async def set_schedule_active(self, command: SetScheduleActive) -> Applied | Refused:
        """Start or pause a flow's schedule (backend.md 4.4)."""
        async with self._bench.work(command.tenant_id) as work:
            flow = await store.hold_schedule(work.connection, work.tenant_id, command.flow_id)
            if flow is None:
                return _NOT_FOUND
            if command.active and not schedules.may_be_started(
                required=flow.required_parameters,
                group_defaults=flow.default_parameters,
                schedule=flow.schedule,
            ):
                return Refused(code=Code.REQUIRED_PARAMETERS_UNSCHEDULABLE)
            if command.active and not flow.has_schedule:
                return _NOT_FOUND
            if command.active is not flow.is_active:
                await store.set_schedule_active(
                    work.connection, work.tenant_id, command.flow_id, active=command.active
                )
                work.tell(
                    FlowScheduleChanged,
                    flow_id=command.flow_id,
                    flow_group_id=flow.flow_group_id,
                )
        return Applied(id=command.flow_id)

    async def set_flow_settings(self, command: SetFlowSettings) -> Applied | Refused:
        """Set safeguards of the flow's group and of all its versions."""
        changes = registration.safeguard_changes(
            heartbeat=command.heartbeat_enabled,
            lazarus=command.lazarus_enabled,
            version_locking=command.version_locking_enabled,
        )
        async with self._bench.work(command.tenant_id) as work:
            group = await store.set_safeguards(
                work.connection, work.tenant_id, command.flow_id, changes
            )
            if group is None:
                return Refused(code=Code.FLOW_INVALID_ID)
            work.tell(FlowSettingsChanged, flow_id=command.flow_id, flow_group_id=group)
        return Applied(id=command.flow_id)

    # groups

    async def update_flow_group(self, command: UpdateFlowGroup) -> Applied | Refused:
        """Overwrite what a group overrides."""
        changes: JsonObject = dict(command.changes)
        if refused := registration.group_change_refusal(changes):
            return refused
        if "labels" in changes:
            changes["labels"] = registration.without_repeats(changes["labels"])
        async with self._bench.work(command.tenant_id) as work:
            if changes.get("schedule") is not None:
                schedule = schedules.group_schedule(changes["schedule"], now=work.now)
                if isinstance(schedule, Refused):
                    return schedule
                changes["schedule"] = schedule
            if not await store.update_group(
                work.connection,
                work.tenant_id,
                command.flow_group_id,
                encode(changes, place="changes"),
            ):
                return _NOT_FOUND
            if "schedule" in changes:
                await _tell_of_schedule(work, command.flow_group_id)
        return Applied(id=command.flow_group_id)

    async def delete_flow_group(self, command: DeleteFlowGroup) -> Applied | Refused:
        """Delete a group with all its versions."""
        group_id = command.flow_group_id
        async with self._bench.work(command.tenant_id) as work:
            if not await store.has_group(work.connection, work.tenant_id, group_id):
                return _NOT_FOUND
        return await self._delete_flows_until(
            command.tenant_id,
            group_id,
            some_flows=lambda work: store.delete_some_flows(
                work.connection, work.tenant_id, of_group=group_id
            ),
            last=lambda work: store.delete_empty_group(work.connection, work.tenant_id, group_id),
            still_there=lambda work: store.has_group(work.connection, work.tenant_id, group_id),
        )

    async def _delete_flows_until(
        self,
        tenant_id: UUID,
        owner_id: UUID,
        *,
        some_flows: Callable[[Work], Awaitable[list[store.Version]]],
        last: Callable[[Work], Awaitable[bool]],
        still_there: Callable[[Work], Awaitable[bool]],
    ) -> Applied:
        """Delete flows in transactions of a bounded size, then what they belonged to.

        Cut short, it has deleted some flows, each wholly; asking again goes on. It ends when the owner is gone, by
        this call or by another; flows that are registered meanwhile are deleted too.
        """
        while True:
            async with self._bench.work(tenant_id) as work:
                versions = await some_flows(work)
                for version in versions:
                    work.tell(FlowDeleted, flow_id=version.id, flow_group_id=version.flow_group_id)
                if not versions and (await last(work) or not await still_there(work)):
                    return Applied(id=owner_id)


async def _tell_of_schedule(work: Work, flow_group_id: UUID) -> None:
    """Archived versions have no runs ahead, so only the others need to hear of it."""
    for flow_id in await store.unarchived_of(work.connection, work.tenant_id, flow_group_id):
        work.tell(FlowScheduleChanged, flow_id=flow_id, flow_group_id=flow_group_id)
