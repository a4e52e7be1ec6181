"""The registry's SQL. Functions are named by question or change; none commits. Every statement names the tenant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import asyncpg
import orjson

from libs.contracts.base import JsonObject
from libs.runtime.database import Connection, statement
from services.registry.domain.flows import Edge, NewFlow, Task
from services.registry.domain.graph import Shape
from services.registry.domain.registration import Group, Registered

_sql = partial(statement, __file__)

UniqueViolation = asyncpg.UniqueViolationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A flow version that was touched, and whether anything about it changed."""

    id: UUID
    flow_group_id: UUID
    changed: bool = True


# Projects


async def insert_project(
    connection: Connection, tenant_id: UUID, project_id: UUID, *, name: str, description: str | None
) -> bool:
    """Make a project; False when the tenant has one of this name."""
    made = await connection.fetchval(
        "INSERT INTO registry.project (id, tenant_id, name, description) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (tenant_id, name) DO NOTHING RETURNING id",
        project_id,
        tenant_id,
        name,
        description,
    )
    return made is not None


async def has_tenant(connection: Connection, tenant_id: UUID) -> bool:
    """Whether the gateway knows the tenant."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM gateway.tenant WHERE id = $1)", tenant_id
        )
    )


async def has_project(connection: Connection, tenant_id: UUID, project_id: UUID) -> bool:
    """Whether the project is there; it stays until the transaction ends."""
    return bool(
        await connection.fetchval(
            "SELECT true FROM registry.project WHERE id = $1 AND tenant_id = $2 FOR KEY SHARE",
            project_id,
            tenant_id,
        )
    )


async def project_named(connection: Connection, tenant_id: UUID, name: str) -> UUID | None:
    """The tenant's project of this name; it stays until the transaction ends."""
    found: UUID | None = await connection.fetchval(
        "SELECT id FROM registry.project WHERE tenant_id = $1 AND name = $2 FOR KEY SHARE",
        tenant_id,
        name,
    )
    return found


async def update_project(
    connection: Connection, tenant_id: UUID, project_id: UUID, changes: Mapping[str, str | None]
) -> bool:
    """Set the named columns; False for an unknown project. Raises UniqueViolation when the name is taken."""
    return bool(
        await connection.fetchval(
            "UPDATE registry.project SET "
            "name = CASE WHEN $3 ? 'name' THEN $3 ->> 'name' ELSE name END, "
            "description = CASE WHEN $3 ? 'description' THEN $3 ->> 'description' ELSE description END, "
            "updated = clock_timestamp() WHERE id = $1 AND tenant_id = $2 RETURNING true",
            project_id,
            tenant_id,
            dict(changes),
        )
    )


async def delete_empty_project(connection: Connection, tenant_id: UUID, project_id: UUID) -> bool:
    """Delete the project if it has no flows. The row lock comes first, so no flow can be registered in between."""
    await connection.execute(
        "SELECT FROM registry.project WHERE id = $1 AND tenant_id = $2 FOR UPDATE",
        project_id,
        tenant_id,
    )
    return bool(
        await connection.fetchval(
            "DELETE FROM registry.project p WHERE p.id = $1 AND p.tenant_id = $2 "
            "AND NOT EXISTS (SELECT FROM registry.flow f WHERE f.project_id = p.id) RETURNING true",
            project_id,
            tenant_id,
        )
    )


# Registration


async def hold_flow_name(
    connection: Connection, tenant_id: UUID, project_id: UUID, name: str
) -> None:
    """Wait for other registrations of this name in this project that were given no group; held until the end.

    An advisory lock, because what must be locked does not exist yet: the first registration of a name has neither a
    flow nor a group to lock, and locking the project would make all its flows wait for one another. Two names that
    share a hash merely wait for each other.
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


async def claim_group(
    connection: Connection, tenant_id: UUID, group_id: UUID, name: str, settings: JsonObject
) -> Group:
    """The group of this name, made if need be, locked until the transaction ends."""
    rows = await connection.fetch(_sql("claim_group"), group_id, tenant_id, name, settings)
    return Group(**rows[0])  # an upsert always returns its row


async def group_named(connection: Connection, tenant_id: UUID, name: str) -> Group | None:
    """The group of this name, as it is now; it is not locked."""
    row = await connection.fetchrow(
        "SELECT id, name, settings, default_parameters, last_version, schedule "
        "FROM registry.flow_group WHERE tenant_id = $1 AND name = $2",
        tenant_id,
        name,
    )
    return Group(**row) if row else None


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


async def take_version(
    connection: Connection, tenant_id: UUID, flow_group_id: UUID, changes: JsonObject
) -> int:
    """The group's next version number; `changes` go into its settings. The caller holds the group."""
    version: int = await connection.fetchval(
        "UPDATE registry.flow_group SET last_version = last_version + 1, settings = settings || $3, "
        "updated = clock_timestamp() WHERE id = $1 AND tenant_id = $2 RETURNING last_version",
        flow_group_id,
        tenant_id,
        changes,
    )
    return version


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
    """Archive all versions of the group but one; the ids of those that were not yet."""
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
    """Store tasks under these ids; the ids of those that were not there yet."""
    if not tasks:
        return set()
    rows = await connection.fetch(
        _sql("insert_tasks"), tenant_id, flow_id, ids,
        [t.name for t in tasks], [t.slug for t in tasks], [t.description for t in tasks],
        [t.type for t in tasks], [t.max_retries for t in tasks], [t.retry_delay for t in tasks],
        [t.trigger for t in tasks], [s.mapped for s in shapes], [t.auto_generated for t in tasks],
        [t.cache_key for t in tasks], [s.is_root for s in shapes], [s.is_terminal for s in shapes],
        [s.is_reference for s in shapes], [orjson.dumps(t.tags).decode() for t in tasks],
    )  # fmt: skip
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
    """Store edges under these ids, between these tasks; the ids of those that were not there yet."""
    if not edges:
        return set()
    rows = await connection.fetch(
        _sql("insert_edges"), tenant_id, flow_id, ids,
        [tasks[e.upstream_task] for e in edges], [tasks[e.downstream_task] for e in edges],
        [e.key for e in edges], [e.mapped for e in edges],
    )  # fmt: skip
    return {row["id"] for row in rows}


# Versions


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


# Groups


async def set_safeguards(
    connection: Connection, tenant_id: UUID, flow_id: UUID, changes: JsonObject
) -> UUID | None:
    """Set safeguards of the flow's group, and show them on all its versions; the group, or None for an unknown flow."""
    group: UUID | None = await connection.fetchval(
        _sql("set_safeguards"), flow_id, tenant_id, changes
    )
    if group is not None:
        await connection.execute(_sql("show_safeguards"), group, tenant_id, changes)
    return group


async def update_group(
    connection: Connection, tenant_id: UUID, flow_group_id: UUID, changes: str
) -> bool:
    """Overwrite the columns named in this JSON text; False for an unknown group."""
    found = await connection.fetchval(_sql("update_group"), flow_group_id, tenant_id, changes)
    return found is not None


async def unarchived_of(connection: Connection, tenant_id: UUID, flow_group_id: UUID) -> list[UUID]:
    """The versions of a group that are not archived."""
    rows = await connection.fetch(
        "SELECT id FROM registry.flow WHERE tenant_id = $1 AND flow_group_id = $2 AND NOT archived",
        tenant_id,
        flow_group_id,
    )
    return [row["id"] for row in rows]


async def delete_empty_group(connection: Connection, tenant_id: UUID, flow_group_id: UUID) -> bool:
    """Delete the group if it has no flows. The row lock comes first, so no version can be registered in between."""
    await connection.execute(
        "SELECT FROM registry.flow_group WHERE id = $1 AND tenant_id = $2 FOR UPDATE",
        flow_group_id,
        tenant_id,
    )
    return bool(
        await connection.fetchval(
            "DELETE FROM registry.flow_group g WHERE g.id = $1 AND g.tenant_id = $2 AND NOT EXISTS "
            "(SELECT FROM registry.flow f WHERE f.flow_group_id = g.id) RETURNING true",
            flow_group_id,
            tenant_id,
        )
    )


async def has_group(connection: Connection, tenant_id: UUID, flow_group_id: UUID) -> bool:
    """Whether the group is there."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM registry.flow_group WHERE id = $1 AND tenant_id = $2)",
            flow_group_id,
            tenant_id,
        )
    )
