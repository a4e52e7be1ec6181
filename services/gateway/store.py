"""The gateway's own tables: tenants (and later keys). The only place of the gateway that writes SQL rows."""

from typing import Any
from uuid import UUID

import asyncpg

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime.database import Database


class Store:
    """Each method is one statement or one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tenant_ids(self) -> list[UUID]:
        """Every tenant's id, oldest first."""
        rows = await self._database.pool.fetch("SELECT id FROM gateway.tenant ORDER BY created, id")
        return [row["id"] for row in rows]

    async def ensure_first_tenant(self, tenant_id: UUID) -> None:
        """Make the tenant `default` if there is none at all: clients in server mode take the first they see."""
        async with self._database.transaction() as connection:
            # Two gateways starting at once must not make two.
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtext('gateway.first_tenant'))"
            )
            await connection.execute(
                "INSERT INTO gateway.tenant (id, name, slug) SELECT $1, 'default', 'default' "
                "WHERE NOT EXISTS (SELECT FROM gateway.tenant)",
                tenant_id,
            )

    async def create_tenant(self, tenant_id: UUID, *, name: str, slug: str) -> UUID | Refused:
        """Refused(UNIQUENESS_VIOLATION) when the slug is taken."""
        try:
            await self._database.pool.execute(
                "INSERT INTO gateway.tenant (id, name, slug) VALUES ($1, $2, $3)",
                tenant_id, name, slug,
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            return Refused(code=Code.UNIQUENESS_VIOLATION)
        return tenant_id

    async def update_tenant(
        self, tenant_id: UUID, *, name: str | None, slug: str | None
    ) -> UUID | Refused:
        """Set what is given. Refused(UPDATE_FAILED) for an unknown tenant, UNIQUENESS_VIOLATION for a taken slug."""
        try:
            updated = await self._database.pool.fetchval(
                "UPDATE gateway.tenant SET name = coalesce($2, name), slug = coalesce($3, slug), "
                "updated = now() WHERE id = $1 RETURNING id",
                tenant_id, name, slug,
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            return Refused(code=Code.UNIQUENESS_VIOLATION)
        return tenant_id if updated else Refused(code=Code.UPDATE_FAILED)

    async def merge_tenant_settings(self, tenant_id: UUID, settings: dict[str, Any]) -> bool:
        """Merge into the settings, in one statement so that no concurrent merge is lost."""
        updated = await self._database.pool.fetchval(
            "UPDATE gateway.tenant SET settings = settings || $2, updated = now() "
            "WHERE id = $1 RETURNING id",
            tenant_id, settings,
        )  # fmt: skip
        return updated is not None
