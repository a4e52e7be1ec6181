"""Rows of cloud hooks. What a deleted one had is kept for an hour: the web UI edits a hook by deleting it first."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway.cloud_hooks import HOOK_LIMIT, MASKED_CONFIG, CloudHookType
from services.gateway.store.base import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCloudHook:
    """A checked cloud hook that is to be stored. Without `version_group_id` it is for every flow."""

    id: UUID
    tenant_id: UUID
    name: str | None
    type: CloudHookType
    states: list[str]
    config: dict[str, Any]
    version_group_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudHookChanges:
    """What changes of a cloud hook whose configuration was `seen`. An empty `version_group_id` is for every flow."""

    name: str | None
    states: list[str] | None
    config: dict[str, Any] | None
    version_group_id: str | None
    seen: dict[str, Any]


class CloudHookRows(Rows):
    """Makes, switches and deletes cloud hooks."""

    async def create_cloud_hook(self, hook: NewCloudHook) -> UUID | Refused:
        """Refused(FOREIGN_KEY_VIOLATION) when the tenant is gone, and INVALID when it has too many."""
        async with self._database.transaction() as connection:
            stands = await connection.fetchval(
                "SELECT id FROM gateway.tenant WHERE id = $1 FOR NO KEY UPDATE", hook.tenant_id
            )
            if stands is None:
                return Refused(code=Code.FOREIGN_KEY_VIOLATION)
            # Counted under the tenant's lock, so that no two make the last one.
            count = await connection.fetchval(
                "SELECT count(*) FROM gateway.cloud_hook WHERE tenant_id = $1", hook.tenant_id
            )
            if count >= HOOK_LIMIT:
                reason = f"the tenant has {count} cloud hooks, and at most {HOOK_LIMIT} are kept: delete some"
                return Refused(code=Code.INVALID, fields={"reason": reason})
            await connection.execute(
                "INSERT INTO gateway.cloud_hook (id, tenant_id, name, type, states, config, version_group_id) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7)",
                hook.id, hook.tenant_id, hook.name, hook.type, hook.states, hook.config, hook.version_group_id,
            )  # fmt: skip
        return hook.id

    async def cloud_hook_configs(
        self, tenant_id: UUID, kind: CloudHookType
    ) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """The configurations of this type, also of hooks deleted within the hour, each with how it is shown."""
        shown = MASKED_CONFIG.replace("{t}", "k")
        rows = await self._database.pool.fetch(
            f"SELECT k.config, {shown} AS shown FROM ("
            "SELECT config FROM gateway.cloud_hook WHERE tenant_id = $1 AND type = $2 "
            "UNION ALL SELECT config FROM gateway.former_cloud_hook WHERE tenant_id = $1 AND type = $2"
            ") k LIMIT 2000",
            tenant_id, kind,
        )  # fmt: skip
        return [(row["config"], row["shown"]) for row in rows]

    async def cloud_hook(
        self, tenant_id: UUID, hook_id: UUID
    ) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
        """Its type, its configuration, and how that is shown; None when the tenant has no such hook."""
        shown = MASKED_CONFIG.replace("{t}", "k")
        row = await self._database.pool.fetchrow(
            f"SELECT k.type, k.config, {shown} AS shown FROM gateway.cloud_hook k WHERE k.tenant_id = $1 AND k.id = $2",
            tenant_id, hook_id,
        )  # fmt: skip
        return None if row is None else (row["type"], row["config"], row["shown"])

    async def update_cloud_hook(
        self, tenant_id: UUID, hook_id: UUID, changes: CloudHookChanges
    ) -> bool:
        """What is None stays. False when the tenant has no such hook, or its configuration is not `seen` any more:
        two people change it at the same time, and what the second one read hides what the first one wrote."""
        found = await self._database.pool.fetchval(
            "UPDATE gateway.cloud_hook SET name = coalesce($3, name), states = coalesce($4::jsonb, states), "
            "config = coalesce($5::jsonb, config), "
            "version_group_id = nullif(coalesce($6, version_group_id), ''), updated = now() "
            "WHERE tenant_id = $1 AND id = $2 AND ($5::jsonb IS NULL OR config = $7::jsonb) RETURNING id",
            tenant_id, hook_id, changes.name, changes.states, changes.config, changes.version_group_id, changes.seen,
        )  # fmt: skip
        return found is not None

    async def delete_cloud_hook(self, tenant_id: UUID, hook_id: UUID) -> bool:
        """False when the tenant has no such hook."""
        deleted = await self._database.pool.fetchval(
            "WITH gone AS ("
            "DELETE FROM gateway.cloud_hook WHERE tenant_id = $1 AND id = $2 RETURNING id, tenant_id, type, config"
            ") INSERT INTO gateway.former_cloud_hook (id, tenant_id, type, config) SELECT * FROM gone RETURNING id",
            tenant_id, hook_id,
        )  # fmt: skip
        return deleted is not None

    async def set_cloud_hook_active(self, tenant_id: UUID, hook_id: UUID, *, active: bool) -> bool:
        """False when the tenant has no such hook."""
        found = await self._database.pool.fetchval(
            "UPDATE gateway.cloud_hook SET active = $3, updated = now() "
            "WHERE tenant_id = $1 AND id = $2 RETURNING id",
            tenant_id, hook_id, active,
        )  # fmt: skip
        return found is not None

    async def has_cloud_hook(self, tenant_id: UUID, hook_id: UUID) -> bool:
        """Whether the tenant has such a hook."""
        return bool(
            await self._database.pool.fetchval(
                "SELECT true FROM gateway.cloud_hook WHERE tenant_id = $1 AND id = $2",
                tenant_id, hook_id,
            )
        )  # fmt: skip

    async def forget_former_hooks(self) -> int:
        """Delete what deleted hooks had, an hour after; returns how many."""
        tag = await self._database.pool.execute(
            "DELETE FROM gateway.former_cloud_hook WHERE deleted < now() - interval '1 hour'"
        )
        return int(tag.rpartition(" ")[2])
