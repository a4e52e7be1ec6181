"""The SQL of projects. None commits; every statement names the tenant."""

from collections.abc import Mapping
from uuid import UUID

import asyncpg

from libs.runtime.database import Connection

UniqueViolation = asyncpg.UniqueViolationError


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
