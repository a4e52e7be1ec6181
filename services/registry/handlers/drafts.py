"""Registering a flow in pieces (domain/drafts.py): the first one makes a draft, the last one a version."""

import asyncio
from uuid import UUID

from libs.contracts.base import Applied, Refused
from libs.contracts.errors import Code
from libs.contracts.registry import FlowRegisteredReply
from services.registry import draft_store, store
from services.registry.domain import drafts, flows
from services.registry.domain.drafts import SHARED_FOR, Draft
from services.registry.domain.flows import NewFlow, Pieces
from services.registry.domain.registration import Entry
from services.registry.handlers.versions import claim_group, group_name_of, make_version
from services.registry.unit_of_work import UnitOfWork


async def find(work: UnitOfWork, entry: Entry, flow: NewFlow) -> FlowRegisteredReply | None:
    """The draft that the same registration has just made. From here on others of this name wait."""
    at = (work.connection, work.tenant_id)
    # Two concurrent registrations must find each other; a group that the client names may not exist yet either.
    await store.hold_flow_name(*at, entry.project_id, entry.name)
    found = await draft_store.same_draft(*at, entry, flow, touched_within=SHARED_FOR)
    return FlowRegisteredReply(id=found, existing=True) if found else None


async def begin(work: UnitOfWork, entry: Entry, flow: NewFlow) -> FlowRegisteredReply:
    """Make a draft; the caller holds the project."""
    draft_id = work.ids()
    await draft_store.insert_draft(work.connection, work.tenant_id, draft_id, entry, flow)
    return FlowRegisteredReply(id=draft_id)


async def add(work: UnitOfWork, draft: Draft, pieces: Pieces, *, field: str) -> Applied | Refused:
    """Add tasks or edges (`field`) to a locked draft. The last piece makes it a version of its group."""
    if field == "edges" and (refused := await _unknown_task_refusal(work, draft, pieces)):
        return refused
    if draft.is_whole_with(pieces, field=field):
        return await _finish(work, draft, pieces, field=field)
    await draft_store.add_piece(
        work.connection, work.tenant_id, draft.id, piece_id=work.ids(), field=field, pieces=pieces
    )
    return Applied(id=draft.id)


async def _unknown_task_refusal(work: UnitOfWork, draft: Draft, edges: Pieces) -> Refused | None:
    ends = {slug for edge in edges.parts for slug in edge.identity[:2]}
    known = await draft_store.known_slugs(work.connection, work.tenant_id, draft.id, ends)
    return flows.unknown_task_refusal(edges.parts, known=dict.fromkeys(known))


async def _finish(
    work: UnitOfWork, draft: Draft, pieces: Pieces, *, field: str
) -> Applied | Refused:
    """Make the version. After a refusal the draft and the version that it would replace are unchanged."""
    at = (work.connection, work.tenant_id)
    parts = await draft_store.parts_of(*at, draft.id)
    parts[field] += pieces.given
    flow = await asyncio.to_thread(drafts.whole, draft, tasks=parts["tasks"], edges=parts["edges"])
    if isinstance(flow, Refused):
        return flow
    entry = Entry(
        project_id=draft.project_id,
        name=draft.name,
        version_group_id=draft.version_group_id,
        idempotency_key=draft.idempotency_key,
        set_schedule_active=False,
        description=draft.description,
        created_by=draft.created_by,
    )
    group = await claim_group(work, await group_name_of(work, entry))
    await draft_store.delete_draft(*at, draft.id)
    await make_version(work, entry, flow_id=draft.id, group=group, flow=flow)
    return Applied(id=draft.id)


async def unfinished_refusal(work: UnitOfWork, flow_id: UUID) -> Refused | None:
    """The refusal of an action that needs a complete flow, if this one is still a draft."""
    if not await draft_store.has_draft(work.connection, work.tenant_id, flow_id):
        return None
    return Refused(code=Code.FLOW_UNFINISHED, fields={"flow_id": str(flow_id)})
