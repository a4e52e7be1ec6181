"""The SQL of flow groups: their numbers, settings and safeguards. None commits; every statement names the tenant."""

from functools import partial
from uuid import UUID

from libs.contracts.base import JsonObject
from libs.runtime.database import Connection, statement
from services.registry.domain.registration import Group

_sql = partial(statement, __file__)


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


async def unarchived_of(connection: Connection, tenant_id: UUID, flow_group_id: UUID) -> list[UUID]:
    """The versions of a group that are not archived."""
    rows = await connection.fetch(
        "SELECT id FROM registry.flow WHERE tenant_id = $1 AND flow_group_id = $2 AND NOT archived",
        tenant_id,
        flow_group_id,
    )
    return [row["id"] for row in rows]


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


async def has_group(connection: Connection, tenant_id: UUID, flow_group_id: UUID) -> bool:
    """Whether the group is there."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM registry.flow_group WHERE id = $1 AND tenant_id = $2)",
            flow_group_id,
            tenant_id,
        )
    )


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
