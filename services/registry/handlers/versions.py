"""Makes the next version of a group, from a complete registration."""

from collections.abc import Sequence
from uuid import UUID

from libs.contracts.registry import FlowArchived, FlowRegistered, FlowScheduleChanged
from services.registry import group_store, store
from services.registry.domain import registration
from services.registry.domain.flows import NewFlow
from services.registry.domain.graph import Shape
from services.registry.domain.registration import Entry, Group, Registered
from services.registry.handlers.groups import start_refusal
from services.registry.schedule_store import Schedulable
from services.registry.unit_of_work import UnitOfWork, log


async def group_name_of(work: UnitOfWork, entry: Entry) -> str | None:
    """The version group that the client names, or else the one of the flow's name; None for a new flow.

    From here on registrations of this name wait for each other.
    """
    if entry.version_group_id is not None:
        return entry.version_group_id
    at = (work.connection, work.tenant_id, entry.project_id, entry.name)
    await store.hold_flow_name(*at)
    return await store.default_version_group(*at)


async def claim_group(work: UnitOfWork, name: str | None) -> Group:
    """The group of this name, or a new one; locked."""
    new_id = work.ids()
    return await group_store.claim_group(
        work.connection,
        work.tenant_id,
        new_id,
        name if name is not None else str(new_id),
        registration.first_settings(),
    )


async def make_version(
    work: UnitOfWork, entry: Entry, *, flow_id: UUID, group: Group, flow: NewFlow
) -> Registered:
    """Store the next version with its tasks and edges, and archive the others; the caller holds the group's lock."""
    at = (work.connection, work.tenant_id)
    version = await group_store.take_version(
        *at, group.id, {registration.KEY: entry.idempotency_key or None}
    )
    schedulable = _schedulable(group, flow, version)
    wants_schedule = entry.set_schedule_active and schedulable.has_schedule
    refused = None
    if wants_schedule and (refused := start_refusal(schedulable, now=work.now)):
        log.warning("schedule_not_activated", flow_id=flow_id, version=version, **refused.fields)
    is_active = wants_schedule and refused is None
    await store.insert_flow(
        *at,
        flow_id,
        flow,
        project_id=entry.project_id,
        group=group,
        version=version,
        settings=registration.safeguards(group.settings),
        is_schedule_active=is_active,
        description=entry.description,
        created_by=entry.created_by,
    )
    await _insert_parts(work, flow_id, flow, flow.shapes)
    for archived in await store.archive_others(*at, group.id, but=flow_id):
        work.record(FlowArchived, flow_id=archived, flow_group_id=group.id)
    work.record(FlowRegistered, flow_id=flow_id, flow_group_id=group.id, version=version)
    if is_active:
        work.record(FlowScheduleChanged, flow_id=flow_id, flow_group_id=group.id)
    return Registered(id=flow_id, version=version, schedule_refused=refused)


def _schedulable(group: Group, flow: NewFlow, version: int) -> Schedulable:
    return Schedulable(
        flow_group_id=group.id,
        title=f"{flow.name} version {version}",
        archived=False,
        is_active=False,
        schedule=flow.schedule,
        required_parameters=frozenset(flow.required_parameters),
        group_schedule=group.schedule,
        default_parameters=group.default_parameters,
    )


async def _insert_parts(
    work: UnitOfWork, flow_id: UUID, flow: NewFlow, shapes: Sequence[Shape]
) -> None:
    tasks = {task.slug: work.ids() for task in flow.tasks}
    await store.insert_tasks(
        work.connection,
        work.tenant_id,
        flow_id,
        ids=list(tasks.values()),
        tasks=flow.tasks,
        shapes=shapes,
    )
    await store.insert_edges(
        work.connection,
        work.tenant_id,
        flow_id,
        ids=[work.ids() for _ in flow.edges],
        edges=flow.edges,
        tasks=tasks,
    )
