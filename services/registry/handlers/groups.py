"""The overrides of a flow group for all its versions."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from libs.contracts.base import Applied, JsonObject, Refused
from libs.contracts.errors import Code
from libs.contracts.registry import (
    CheckedSchedule,
    CheckSchedule,
    DeleteFlowGroup,
    FlowGroupChanged,
    FlowGroupDeleted,
    FlowScheduleChanged,
    UpdateFlowGroup,
)
from services.registry import group_store, schedule_store, store
from services.registry.domain import registration, schedules
from services.registry.domain.documents import encode
from services.registry.domain.firing import end_of
from services.registry.handlers.deletion import delete_flows_and
from services.registry.schedule_store import Schedulable
from services.registry.unit_of_work import NOT_FOUND, UnitOfWork, UnitsOfWork


class Groups:
    """The verbs on flow groups."""

    def __init__(self, units: UnitsOfWork) -> None:
        self._units = units

    def check_schedule(self, command: CheckSchedule) -> CheckedSchedule | Refused:
        """Show how a schedule would be stored."""
        schedule = schedules.group_schedule(command.asked, now=self._units.now())
        return schedule if isinstance(schedule, Refused) else CheckedSchedule(schedule=schedule)

    async def update_flow_group(self, command: UpdateFlowGroup) -> Applied | Refused:
        """Replace overrides of a group."""
        changes: JsonObject = dict(command.changes)
        if refused := registration.group_change_refusal(changes):
            return refused
        if "labels" in changes:
            changes["labels"] = registration.without_repeats(changes["labels"])
        async with self._units.begin(command.tenant_id) as work:
            if changes.get("schedule") is not None:
                schedule = schedules.group_schedule(changes["schedule"], now=work.now)
                if isinstance(schedule, Refused):
                    return schedule
                changes["schedule"] = schedule
            if refused := await _unschedulable_flow(work, command.flow_group_id, changes):
                return refused
            if not await group_store.update_group(
                work.connection,
                work.tenant_id,
                command.flow_group_id,
                encode(changes, path="changes"),
            ):
                return NOT_FOUND
            work.record(
                FlowGroupChanged, flow_group_id=command.flow_group_id, columns=sorted(changes)
            )
            if "schedule" in changes:
                await _tell_of_schedule(work, command.flow_group_id)
        return Applied(id=command.flow_group_id)

    async def delete_flow_group(self, command: DeleteFlowGroup) -> Applied | Refused:
        """Delete a group with all its versions."""
        group_id = command.flow_group_id
        async with self._units.begin(command.tenant_id) as work:
            if not await group_store.has_group(work.connection, work.tenant_id, group_id):
                return NOT_FOUND
        return await delete_flows_and(
            self._units,
            command.tenant_id,
            group_id,
            some_flows=lambda work: store.delete_some_flows(
                work.connection, work.tenant_id, of_group=group_id
            ),
            last=lambda work: group_store.delete_empty_group(
                work.connection, work.tenant_id, group_id
            ),
            gone=(FlowGroupDeleted, {"flow_group_id": group_id}),
            still_there=lambda work: group_store.has_group(
                work.connection, work.tenant_id, group_id
            ),
        )


async def _unschedulable_flow(
    work: UnitOfWork, flow_group_id: UUID, changes: JsonObject
) -> Refused | None:
    """The refusal of a change after which an active schedule could plan no runs any more.

    New default parameters are not the cause when a flow lacked one before.
    """
    if not changes.keys() & {"schedule", "default_parameters"}:
        return None
    for flow in await schedule_store.followed_of(work.connection, work.tenant_id, flow_group_id):
        then = replace(
            flow,
            group_schedule=changes.get("schedule", flow.group_schedule),
            default_parameters=changes.get("default_parameters", flow.default_parameters),
        )
        if "schedule" not in changes and unschedulable_refusal(flow):
            continue
        if refused := unschedulable_refusal(then):
            return refused
    return None


def start_refusal(flow: Schedulable, *, now: datetime) -> Refused | None:
    """Why the schedule of this flow would plan no run from now on, or None."""
    schedule = schedules.in_force(of_group=flow.group_schedule, of_flow=flow.schedule)
    if schedule is None:
        return Refused(code=Code.SCHEDULE_EMPTY, fields={"flow": flow.title})
    if refused := unschedulable_refusal(flow):
        return refused
    if (end := end_of(schedule)) is not None and end < now:
        fields = {"flow": flow.title, "at": end.isoformat()}
        return Refused(code=Code.SCHEDULE_ENDED, fields=fields)
    return None


def unschedulable_refusal(flow: Schedulable) -> Refused | None:
    """Why the schedule that this flow follows could plan no runs, or None."""
    names = schedules.ungiven(
        required=flow.required_parameters,
        group_defaults=flow.default_parameters,
        schedule=schedules.in_force(of_group=flow.group_schedule, of_flow=flow.schedule),
    )
    if not names:
        return None
    return Refused(
        code=Code.REQUIRED_PARAMETERS_UNSCHEDULABLE,
        fields={"flow": flow.title, "names": ", ".join(map(repr, names))},
    )


async def _tell_of_schedule(work: UnitOfWork, flow_group_id: UUID) -> None:
    """Archived versions have no planned runs, so only the others need an event."""
    for flow_id in await group_store.unarchived_of(work.connection, work.tenant_id, flow_group_id):
        work.record(FlowScheduleChanged, flow_id=flow_id, flow_group_id=flow_group_id)
