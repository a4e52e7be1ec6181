"""Deletes many flows in transactions of a bounded size, so that others do not wait for long."""

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
    """Delete flows in transactions of a bounded size, then their project or group.

    Interrupted, it has deleted some flows, each completely; a repetition goes on. It ends when the owner is deleted, by
    this call or another one; flows that are registered meanwhile are deleted too.
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
