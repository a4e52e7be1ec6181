"""Rows of tenants."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime.departed import tables_of
from services.gateway.store.base import Rows, tenant_not_found
from services.gateway.store.keys import revoke_made_by

PAUSED = "work_queue_paused"
"""The setting that tells whether the tenant's work queue is paused, as the old web UI reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A tenant as its members see it."""

    id: UUID
    slug: str
    name: str
    settings: dict[str, Any]


class TenantRows(Rows):
    """Makes, changes, lists and deletes tenants."""

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
        """Refused(SLUG_TAKEN) when another tenant has it."""
        try:
            await self._database.pool.execute(
                "INSERT INTO gateway.tenant (id, name, slug) VALUES ($1, $2, $3)",
                tenant_id, name, slug,
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            return Refused(code=Code.SLUG_TAKEN, fields={"slug": slug})
        return tenant_id

    async def update_tenant(
        self, tenant_id: UUID, *, name: str | None, slug: str | None
    ) -> UUID | Refused:
        """Set what is given. Refused(TENANT_NOT_FOUND) for an unknown tenant, SLUG_TAKEN for a taken slug."""
        try:
            updated = await self._database.pool.fetchval(
                "UPDATE gateway.tenant SET name = coalesce($2, name), slug = coalesce($3, slug), "
                "updated = now() WHERE id = $1 RETURNING id",
                tenant_id, name, slug,
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            return Refused(code=Code.SLUG_TAKEN, fields={"slug": slug or ""})
        return tenant_id if updated else tenant_not_found(tenant_id)

    async def merge_tenant_settings(self, tenant_id: UUID, settings: dict[str, Any]) -> bool:
        """Merge into the settings, in one statement so that no concurrent merge is lost.

        Whether the work queue is paused stays as it is: `pause_work_queue` and `resume_work_queue` alone write that.
        """
        merged = {name: value for name, value in settings.items() if name != PAUSED}
        updated = await self._database.pool.fetchval(
            "UPDATE gateway.tenant SET settings = settings || $2, updated = now() "
            "WHERE id = $1 RETURNING id",
            tenant_id, merged,
        )  # fmt: skip
        return updated is not None

    async def pause_work_queue(self, tenant_id: UUID) -> bool:
        """From the commit on no run of the tenant is given to an agent; False when there is no such tenant.

        The lock waits for the claims under way, which hold it shared until they commit (migration 0024), and turns
        later ones away until this is committed.
        """
        async with self._database.transaction() as connection:
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtext('gateway.work_queue'), hashtext($1::uuid::text))",
                tenant_id,
            )
            paused = await connection.fetchval(
                "UPDATE gateway.tenant SET settings = settings || $2, updated = now() "
                "WHERE id = $1 RETURNING id",
                tenant_id, {PAUSED: True},
            )  # fmt: skip
        return paused is not None

    async def resume_work_queue(self, tenant_id: UUID) -> bool:
        """Runs are given out again; False when there is no such tenant. A queue that was not paused stays as it is."""
        resumed = await self._database.pool.fetchval(
            "UPDATE gateway.tenant SET settings = settings || $2, updated = now(), work_queue_resumed = "
            "CASE WHEN settings -> $3 = 'true' THEN now() ELSE work_queue_resumed END "
            "WHERE id = $1 RETURNING id",
            tenant_id, {PAUSED: False}, PAUSED,
        )  # fmt: skip
        return resumed is not None

    async def tenants(self, tenant_ids: Sequence[UUID]) -> dict[UUID, Tenant]:
        """Those of the tenants that exist, by id."""
        rows = await self._database.pool.fetch(
            "SELECT id, slug, name, settings FROM gateway.tenant WHERE id = ANY ($1::uuid[])",
            list(tenant_ids),
        )
        return {row["id"]: Tenant(**row) for row in rows}

    async def delete_tenant(self, tenant_id: UUID) -> list[UUID] | None:
        """Delete the tenant, its keys and its rows of this service; None when there is no such tenant.

        One transaction: after its commit no caller is admitted, and a writer that was under way finds no tenant. The
        other services delete their rows when they see the row of `deleted_tenant` (`libs.runtime.departed`). The audit
        trail stays. Answers the keys that ended: the tenant's, and those that its people made as guests of others.
        """
        async with self._database.transaction() as connection:
            deleted = await connection.fetchval(
                "SELECT id FROM gateway.tenant WHERE id = $1 FOR UPDATE", tenant_id
            )
            if deleted is None:
                return None
            abroad = await connection.fetch(
                "SELECT tenant_id, user_id, home_tenant_id FROM gateway.membership "
                "WHERE home_tenant_id = $1",
                tenant_id,
            )
            ended = [
                key_id
                for row in abroad
                for key_id in await revoke_made_by(connection, **row, within=None)
            ]
            keys = await connection.fetch(
                "DELETE FROM gateway.api_key WHERE tenant_id = $1 RETURNING id", tenant_id
            )
            for table in tables_of("gateway"):
                await connection.execute(
                    f"DELETE FROM {table.fullname} WHERE tenant_id = $1", tenant_id
                )
            await connection.execute(
                "DELETE FROM gateway.membership WHERE home_tenant_id = $1", tenant_id
            )
            await connection.execute("DELETE FROM gateway.tenant WHERE id = $1", tenant_id)
            await connection.execute(
                "INSERT INTO gateway.deleted_tenant (id) VALUES ($1) ON CONFLICT DO NOTHING",
                tenant_id,
            )
        return ended + [row["id"] for row in keys]
