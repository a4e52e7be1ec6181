"""The SQL of flows: versions with their tasks and edges. None commits; every statement names the tenant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

import orjson

from libs.contracts.base import JsonObject
from libs.runtime.database import Connection, statement
from libs.runtime.records import RecordStatement
from services.registry.domain.flows import Edge, NewFlow, Task
from services.registry.domain.graph import Shape
from services.registry.domain.registration import Group, Registered

_sql = partial(statement, __file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A flow version after a command, and whether the command changed it."""

    id: UUID
    flow_group_id: UUID
    changed: bool = True


class NewTask(NamedTuple):
    """A task as it is stored. `tags` is JSON text."""

    id: UUID
    name: str | None
    slug: str
    description: str | None
    type: str | None
    max_retries: int
    retry_delay: timedelta | None
    trigger: str | None
    mapped: bool
    auto_generated: bool
    cache_key: str | None
    is_root: bool
    is_terminal: bool
    is_reference: bool
    tags: str


class NewEdge(NamedTuple):
    """An edge as it is stored, between two tasks of the flow."""

    id: UUID
    upstream: UUID
    downstream: UUID
    key: str | None
    mapped: bool


_INSERT_TASKS = RecordStatement(__file__, "insert_tasks", added=NewTask)
_INSERT_EDGES = RecordStatement(__file__, "insert_edges", added=NewEdge)


async def hold_flow_name(
    connection: Connection, tenant_id: UUID, project_id: UUID, name: str
) -> None:
    """Wait for other registrations of this name in this project without a group; the lock is held until the end of the
    transaction.

    An advisory lock, because there is no row to lock yet: the first registration of a name has neither a flow nor a
    group to lock, and locking the project would make all its flows wait for one another. Two names with the same hash
    only wait for each other.
    """
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
        f"registry.flow_name:{tenant_id}:{project_id}:{name}",
    )


async def default_version_group(
    connection: Connection, tenant_id: UUID, project_id: UUID, name: str
) -> str | None:
    """The group of the newest flow of this name in this project."""
    found: str | None = await connection.fetchval(
        _sql("default_group"), tenant_id, project_id, name
    )
    return found


async def newest_unarchived(
    connection: Connection, tenant_id: UUID, flow_group_id: UUID
) -> Registered | None:
    """The highest version of the group that is not archived."""
    row = await connection.fetchrow(
        "SELECT id, version FROM registry.flow WHERE tenant_id = $1 AND flow_group_id = $2 "
        "AND NOT archived ORDER BY version DESC LIMIT 1",
        tenant_id,
        flow_group_id,
    )
    return Registered(**row) if row else None


async def insert_flow(
    connection: Connection,
    tenant_id: UUID,
    flow_id: UUID,
    flow: NewFlow,
    *,
    project_id: UUID,
    group: Group,
    version: int,
    settings: JsonObject,
    is_schedule_active: bool,
    description: str | None,
    created_by: UUID | None,
) -> None:
    """Store a version without its tasks and edges."""
    await connection.execute(
        _sql("insert_flow"), flow_id, tenant_id, project_id, group.id, flow.name, version,
        group.name, description, flow.core_version, settings, is_schedule_active, flow.document,
        created_by,
    )  # fmt: skip


async def archive_others(
    connection: Connection, tenant_id: UUID, flow_group_id: UUID, *, but: UUID
) -> list[UUID]:
    """Archive all versions of the group except one; returns the ids of those that were not archived before."""
    rows = await connection.fetch(_sql("archive_others"), tenant_id, flow_group_id, but)
    return [row["id"] for row in rows]


async def insert_tasks(
    connection: Connection,
    tenant_id: UUID,
    flow_id: UUID,
    *,
    ids: Sequence[UUID],
    tasks: Sequence[Task],
    shapes: Sequence[Shape],
) -> set[UUID]:
    """Store tasks under these ids; returns the ids of the new ones."""
    if not tasks:
        return set()
    rows = await _INSERT_TASKS.fetch(
        connection,
        tenant_id=tenant_id,
        flow_id=flow_id,
        added=[
            NewTask(
                id=task_id,
                name=task.name,
                slug=task.slug,
                description=task.description,
                type=task.type,
                max_retries=task.max_retries,
                retry_delay=task.retry_delay,
                trigger=task.trigger,
                mapped=shape.mapped,
                auto_generated=task.auto_generated,
                cache_key=task.cache_key,
                is_root=shape.is_root,
                is_terminal=shape.is_terminal,
                is_reference=shape.is_reference,
                tags=orjson.dumps(task.tags).decode(),
            )
            for task_id, task, shape in zip(ids, tasks, shapes, strict=True)
        ],
    )
    return {row["id"] for row in rows}


async def insert_edges(
    connection: Connection,
    tenant_id: UUID,
    flow_id: UUID,
    *,
    ids: Sequence[UUID],
    edges: Sequence[Edge],
    tasks: Mapping[str, UUID],
) -> set[UUID]:
    """Store edges under these ids, between these tasks; returns the ids of the new ones."""
    if not edges:
        return set()
    rows = await _INSERT_EDGES.fetch(
        connection,
        tenant_id=tenant_id,
        flow_id=flow_id,
        added=[
            NewEdge(
                id=edge_id,
                upstream=tasks[edge.upstream_task],
                downstream=tasks[edge.downstream_task],
                key=edge.key,
                mapped=edge.mapped,
            )
            for edge_id, edge in zip(ids, edges, strict=True)
        ],
    )
    return {row["id"] for row in rows}


async def set_archived(
    connection: Connection, tenant_id: UUID, flow_id: UUID, *, archived: bool
) -> Version | None:
    """Archive or unarchive a version; None for an unknown one."""
    row = await connection.fetchrow(_sql("set_archived"), flow_id, tenant_id, archived)
    return Version(**row) if row else None


async def move_flow(
    connection: Connection, tenant_id: UUID, flow_id: UUID, project_id: UUID
) -> Version | None:
    """Put a flow into another project of the tenant; None when either is unknown there."""
    row = await connection.fetchrow(_sql("move_flow"), flow_id, tenant_id, project_id)
    return Version(**row) if row else None


async def delete_flow(connection: Connection, tenant_id: UUID, flow_id: UUID) -> Version | None:
    """Delete a version with its tasks and edges; None for an unknown one. Its group stays, with its numbers."""
    row = await connection.fetchrow(
        "DELETE FROM registry.flow WHERE id = $1 AND tenant_id = $2 RETURNING id, flow_group_id",
        flow_id,
        tenant_id,
    )
    return Version(**row) if row else None


async def delete_some_flows(
    connection: Connection,
    tenant_id: UUID,
    *,
    of_project: UUID | None = None,
    of_group: UUID | None = None,
) -> list[Version]:
    """Delete the next flows of a project or group, few enough for one transaction."""
    rows = await connection.fetch(_sql("delete_flows"), tenant_id, of_project, of_group)
    return [Version(**row) for row in rows]
