"""Many flows are deleted in transactions of a bounded size, so that nothing else waits for long."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from libs.contracts.base import Applied, Event
from libs.contracts.registry import FlowDeleted
from services.registry import store
from services.registry.unit_of_work import UnitOfWork, UnitsOfWork


async def delete_flows_and(
    units: UnitsOfWork,
    tenant_id: UUID,
    owner_id: UUID,
    *,
    some_flows: Callable[[UnitOfWork], Awaitable[list[store.Version]]],
    last: Callable[[UnitOfWork], Awaitable[bool]],
    still_there: Callable[[UnitOfWork], Awaitable[bool]],
    gone: tuple[type[Event], dict[str, UUID]],
) -> Applied:
    """Delete flows in transactions of a bounded size, then what they belonged to.

    Cut short, it has deleted some flows, each wholly; asking again goes on. It ends when the owner is gone, by
    this call or by another; flows that are registered meanwhile are deleted too.
    """
    while True:
        async with units.begin(tenant_id) as work:
            versions = await some_flows(work)
            for version in versions:
                work.record(FlowDeleted, flow_id=version.id, flow_group_id=version.flow_group_id)
            if not versions:
                if await last(work):
                    event, fields = gone
                    work.record(event, **fields)
                    return Applied(id=owner_id)
                if not await still_there(work):
                    return Applied(id=owner_id)
