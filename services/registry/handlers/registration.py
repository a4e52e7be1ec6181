"""Registration of a flow, at once or in pieces. Each call is one transaction."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from libs.contracts.base import Applied, Refused
from libs.contracts.errors import Code
from libs.contracts.registry import (
    FlowPieceRegistered,
    FlowRegisteredReply,
    ProjectCreated,
    RegisterEdges,
    RegisterFlow,
    RegisterTasks,
)
from services.registry import draft_store, group_store, piece_store, project_store, store
from services.registry.domain import flows, registration
from services.registry.domain.documents import invalid
from services.registry.domain.drafts import Draft, is_first_piece
from services.registry.domain.flows import Edge, NewFlow, Pieces
from services.registry.domain.graph import Shapes, find_cycle, may_close_cycle
from services.registry.domain.parts import LONGEST_NAME
from services.registry.domain.registration import Entry, Group, Registered
from services.registry.handlers import drafts
from services.registry.handlers.versions import claim_group, group_name_of, make_version
from services.registry.piece_store import LockedFlow, StoredTask
from services.registry.unit_of_work import UnitOfWork, UnitsOfWork


class Registration:
    """The verbs that make versions and add tasks and edges to them."""

    def __init__(self, units: UnitsOfWork, *, flow_json_limit: int) -> None:
        self._units = units
        self._flow_json_limit = flow_json_limit

    async def register_flow(self, command: RegisterFlow) -> FlowRegisteredReply | Refused:
        """Make the next version of a flow and archive the others; or answer with the version that has the key.

        A flow whose tasks and edges come after it becomes a version, and replaces the others, with the last of them.
        """
        if refused := _argument_refusal(command):
            return refused
        # In a thread: decompressing and parsing a flow of thousands of tasks takes a while; other requests go on.
        flow = await asyncio.to_thread(self._read, command)
        if isinstance(flow, Refused):
            return flow
        async with self._units.begin(command.tenant_id) as work:
            project_id = await _project_of(work, command)
            if isinstance(project_id, Refused):
                return project_id
            entry = _entry(command, project_id, flow.name)
            if is_first_piece(flow, set_schedule_active=command.set_schedule_active):
                return await _begin(work, entry, flow)
            group = await claim_group(work, await group_name_of(work, entry))
            if existing := await _existing(work, entry, group):
                return existing
            made = await make_version(work, entry, flow_id=work.ids(), group=group, flow=flow)
            return _reply(made, group, existing=False)

    def _read(self, command: RegisterFlow) -> NewFlow | Refused:
        if command.compressed_flow is not None:
            return flows.read_compressed_flow(command.compressed_flow, limit=self._flow_json_limit)
        return flows.read_flow(command.serialized_flow)

    async def register_tasks(self, command: RegisterTasks) -> Applied | Refused:
        """Add tasks to a flow."""
        pieces = await asyncio.to_thread(flows.read_tasks, command.serialized_tasks)
        if isinstance(pieces, Refused):
            return pieces
        async with self._units.begin(command.tenant_id) as work:
            if draft := await _hold_draft(work, command.flow_id):
                return await drafts.add(work, draft, pieces, field="tasks")
            at = (work.connection, work.tenant_id, command.flow_id)
            held = await piece_store.hold_flow(*at)
            if held is None:
                return Refused(code=Code.FLOW_INVALID_ID)
            ids = [work.ids() for _ in pieces.parts]
            alone = Shapes([], reference_tasks=held.reference_tasks)  # its edges come later
            shapes = [alone.of(task.slug, mapped=task.mapped) for task in pieces.parts]
            new = await store.insert_tasks(*at, ids=ids, tasks=pieces.parts, shapes=shapes)
            await _keep(work, command.flow_id, "tasks", _only(new, ids, pieces.documents))
            _tell_piece(work, command.flow_id, held, tasks=len(new))
        return Applied(id=command.flow_id)

    async def register_edges(self, command: RegisterEdges) -> Applied | Refused:
        """Add edges between a flow's tasks."""
        pieces = await asyncio.to_thread(flows.read_edges, command.serialized_edges)
        if isinstance(pieces, Refused):
            return pieces
        async with self._units.begin(command.tenant_id) as work:
            if draft := await _hold_draft(work, command.flow_id):
                return await drafts.add(work, draft, pieces, field="edges")
            at = (work.connection, work.tenant_id, command.flow_id)
            held = await piece_store.hold_flow(*at)
            if held is None:
                return Refused(code=Code.FLOW_INVALID_ID)
            added = await _add_edges(work, command.flow_id, pieces, held.reference_tasks)
            if isinstance(added, Refused):
                return added
            # Core sends tasks first and edges after them, so the last piece of edges completes the flow.
            joined = pieces.is_last and await piece_store.join_pieces(*at)
            _tell_piece(work, command.flow_id, held, edges=added, whole=joined)
        return Applied(id=command.flow_id)


def _argument_refusal(command: RegisterFlow) -> Refused | None:
    if (command.serialized_flow is None) == (command.compressed_flow is None):
        return invalid("serialized_flow: one flow is expected, as JSON or compressed")
    return registration.text_refusal(
        ("version_group_id", command.version_group_id, LONGEST_NAME),
        ("description", command.description, None),
        ("idempotency_key", command.idempotency_key, None),
    )


async def _project_of(work: UnitOfWork, command: RegisterFlow) -> UUID | Refused:
    """The project that the flow goes into; it cannot be deleted before the transaction ends."""
    at = (work.connection, work.tenant_id)
    if command.project_id is not None:
        found = await project_store.has_project(*at, command.project_id)
        return command.project_id if found else Refused(code=Code.PROJECT_NOT_FOUND)
    if not command.default_project:
        return Refused(code=Code.PROJECT_INVALID_ID)
    made_id = work.ids()
    if await project_store.insert_project(
        *at,
        made_id,
        name=registration.DEFAULT_PROJECT,
        description=registration.ABOUT_DEFAULT_PROJECT,
    ):
        work.record(ProjectCreated, project_id=made_id)
        return made_id
    found_id = await project_store.project_named(*at, registration.DEFAULT_PROJECT)
    # None: it was deleted between the two statements; the client may try again.
    return found_id or Refused(code=Code.PROJECT_NOT_FOUND)


def _entry(command: RegisterFlow, project_id: UUID, name: str) -> Entry:
    return Entry(
        project_id=project_id,
        name=name,
        version_group_id=command.version_group_id or None,  # some clients send "" for none
        idempotency_key=command.idempotency_key or None,
        set_schedule_active=bool(command.set_schedule_active),
        description=command.description,
        created_by=command.created_by,
    )


async def _begin(work: UnitOfWork, entry: Entry, flow: NewFlow) -> FlowRegisteredReply:
    """Answer with the version that has the key, or with a draft. No group is made yet."""
    if not entry.idempotency_key:
        return await drafts.begin(work, entry, flow)
    if existing := await _version_with_key(work, entry):
        return existing
    if draft := await drafts.find(work, entry, flow):
        return draft
    # The draft may have become a version between the two: its last piece does not wait for those who begin. Whoever
    # finds no draft any more finds the version, since both changed in one commit.
    return await _version_with_key(work, entry) or await drafts.begin(work, entry, flow)


async def _version_with_key(work: UnitOfWork, entry: Entry) -> FlowRegisteredReply | None:
    name = await group_name_of(work, entry)
    if name is None:
        return None
    group = await group_store.group_named(work.connection, work.tenant_id, name)
    return await _existing(work, entry, group) if group else None


async def _existing(work: UnitOfWork, entry: Entry, group: Group) -> FlowRegisteredReply | None:
    """The group's newest version, if this registration only repeats the one that made it."""
    if not registration.repeats(group, entry.idempotency_key):
        return None
    newest = await store.newest_unarchived(work.connection, work.tenant_id, group.id)
    return _reply(newest, group, existing=True) if newest else None


def _reply(made: Registered, group: Group, *, existing: bool) -> FlowRegisteredReply:
    return FlowRegisteredReply(
        id=made.id,
        flow_group_id=group.id,
        version=made.version,
        existing=existing,
        schedule_refused=made.schedule_refused,
    )


async def _hold_draft(work: UnitOfWork, flow_id: UUID) -> Draft | None:
    """The draft of this id and its project, both locked: in this order, because the last piece puts a flow into the
    project.

    None if it is not a draft: a complete flow, one that another piece has just completed, or unknown.
    """
    at = (work.connection, work.tenant_id)
    project_id = await draft_store.project_of(*at, flow_id)
    if project_id is None or not await project_store.has_project(*at, project_id):
        return None
    return await draft_store.hold_draft(*at, flow_id)


async def _add_edges(
    work: UnitOfWork, flow_id: UUID, pieces: Pieces, reference_tasks: Sequence[str]
) -> int | Refused:
    """Store edges and update the flags of their tasks; returns how many are new, or why none was stored."""
    if not pieces.parts:
        return 0
    at = (work.connection, work.tenant_id, flow_id)
    ends = {slug for edge in pieces.parts for slug in edge.identity[:2]}
    tasks = await piece_store.tasks_named(*at, ends)
    if refused := flows.unknown_task_refusal(pieces.parts, known=tasks):
        return refused
    if refused := await _cycle_refusal(work, flow_id, tasks, pieces.parts):
        return refused
    ids = [work.ids() for _ in pieces.parts]
    new = await store.insert_edges(
        *at,
        ids=ids,
        edges=pieces.parts,
        tasks={slug: task.id for slug, task in tasks.items()},
    )
    await piece_store.update_task_flags(
        *at, new_edges=new, has_reference_tasks=bool(reference_tasks)
    )
    await _keep(work, flow_id, "edges", _only(new, ids, pieces.documents))
    return len(new)


async def _cycle_refusal(
    work: UnitOfWork, flow_id: UUID, tasks: dict[str, StoredTask], new: Sequence[Edge]
) -> Refused | None:
    """Old and new edges together must have no cycle. The old ones are read only if the new ones do not decide it."""
    if not may_close_cycle(
        [(edge.upstream_task, edge.downstream_task) for edge in new],
        with_upstream=[slug for slug, task in tasks.items() if task.has_upstream],
        with_downstream=[slug for slug, task in tasks.items() if task.has_downstream],
    ):
        return None
    at = (work.connection, work.tenant_id, flow_id)
    packed = {slug: task.id.bytes for slug, task in tasks.items()}
    together = await piece_store.edges_of(*at)
    together += [(packed[edge.upstream_task], packed[edge.downstream_task]) for edge in new]
    cycle = [UUID(bytes=packed) for packed in await asyncio.to_thread(find_cycle, together)]
    if not cycle:
        return None
    slugs = await piece_store.slugs_of(*at, cycle)
    return flows.cycle_refused([slugs[task_id] for task_id in cycle])


def _tell_piece(
    work: UnitOfWork,
    flow_id: UUID,
    held: LockedFlow,
    *,
    tasks: int = 0,
    edges: int = 0,
    whole: bool = False,
) -> None:
    """Publish what a piece added. A repeated piece adds nothing, and has no event."""
    if tasks or edges or whole:
        work.record(
            FlowPieceRegistered,
            flow_id=flow_id,
            flow_group_id=held.flow_group_id,
            tasks=tasks,
            edges=edges,
            whole=whole,
        )


async def _keep(work: UnitOfWork, flow_id: UUID, field: str, documents: Sequence[str]) -> None:
    """Store pieces; the last one joins them to the flow's document.

    If a client dies before its last piece, the upkeep joins them.
    """
    await piece_store.keep_piece(
        work.connection,
        work.tenant_id,
        flow_id,
        piece_id=work.ids(),
        field=field,
        documents=documents,
    )


def _only(new: set[UUID], ids: Sequence[UUID], documents: Sequence[str]) -> list[str]:
    return [document for made_id, document in zip(ids, documents, strict=True) if made_id in new]
