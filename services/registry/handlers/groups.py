"""What a flow group overrides for all its versions."""

from uuid import UUID

from libs.contracts.base import Applied, JsonObject, Refused
from libs.contracts.registry import (
    DeleteFlowGroup,
    FlowGroupChanged,
    FlowGroupDeleted,
    FlowScheduleChanged,
    UpdateFlowGroup,
)
from services.registry import store
from services.registry.domain import registration, schedules
from services.registry.domain.documents import encode
from services.registry.handlers.deletion import delete_flows_and
from services.registry.work import NOT_FOUND, Bench, Work


class Groups:
    """The verbs on flow groups."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

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
                return NOT_FOUND
            work.tell(
                FlowGroupChanged, flow_group_id=command.flow_group_id, columns=sorted(changes)
            )
            if "schedule" in changes:
                await _tell_of_schedule(work, command.flow_group_id)
        return Applied(id=command.flow_group_id)

    async def delete_flow_group(self, command: DeleteFlowGroup) -> Applied | Refused:
        """Delete a group with all its versions."""
        group_id = command.flow_group_id
        async with self._bench.work(command.tenant_id) as work:
            if not await store.has_group(work.connection, work.tenant_id, group_id):
                return NOT_FOUND
        return await delete_flows_and(
            self._bench,
            command.tenant_id,
            group_id,
            some_flows=lambda work: store.delete_some_flows(
                work.connection, work.tenant_id, of_group=group_id
            ),
            last=lambda work: store.delete_empty_group(work.connection, work.tenant_id, group_id),
            gone=(FlowGroupDeleted, {"flow_group_id": group_id}),
            still_there=lambda work: store.has_group(work.connection, work.tenant_id, group_id),
        )


async def _tell_of_schedule(work: Work, flow_group_id: UUID) -> None:
    """Archived versions have no runs ahead, so only the others need to hear of it."""
    for flow_id in await store.unarchived_of(work.connection, work.tenant_id, flow_group_id):
        work.tell(FlowScheduleChanged, flow_id=flow_id, flow_group_id=flow_group_id)
