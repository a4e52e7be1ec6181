"""Rows of key-values and secrets."""

from typing import Any
from uuid import UUID

from libs.contracts.base import Refused
from services.gateway.store.base import WHILE_IT_STANDS, Rows, tenant_not_found


class ValueRows(Rows):
    """Stores values (in clear) and secrets (sealed) for flows."""

    async def set_key_value(
        self, new_id: UUID, tenant_id: UUID, key: str, value: Any
    ) -> UUID | Refused:
        """The id of the pair, which stays when the value changes. Refused(TENANT_NOT_FOUND) when the tenant is gone."""
        made: UUID | None = await self._database.pool.fetchval(
            "INSERT INTO gateway.key_value (id, tenant_id, key, value) "
            f"SELECT $1, t.id, $3, $4 {WHILE_IT_STANDS} "
            "ON CONFLICT (tenant_id, key) DO UPDATE SET value = excluded.value, updated = now() "
            "RETURNING id",
            new_id, tenant_id, key, value,
        )  # fmt: skip
        return made if made is not None else tenant_not_found(tenant_id)

    async def delete_key_value(self, tenant_id: UUID, key_value_id: UUID) -> str | None:
        """The key of the pair; None when the tenant has no such pair."""
        deleted: str | None = await self._database.pool.fetchval(
            "DELETE FROM gateway.key_value WHERE tenant_id = $1 AND id = $2 RETURNING key",
            tenant_id, key_value_id,
        )  # fmt: skip
        return deleted

    async def set_secret(
        self, new_id: UUID, tenant_id: UUID, name: str, sealed: bytes
    ) -> UUID | Refused:
        """Store a sealed value; the id of the secret. Refused(TENANT_NOT_FOUND) when the tenant is gone."""
        made: UUID | None = await self._database.pool.fetchval(
            "INSERT INTO gateway.secret (id, tenant_id, name, value) "
            f"SELECT $1, t.id, $3, $4 {WHILE_IT_STANDS} "
            "ON CONFLICT (tenant_id, name) DO UPDATE SET value = excluded.value, updated = now() "
            "RETURNING id",
            new_id, tenant_id, name, sealed,
        )  # fmt: skip
        return made if made is not None else tenant_not_found(tenant_id)

    async def secret(self, tenant_id: UUID, name: str) -> bytes | None:
        """The sealed value."""
        sealed: bytes | None = await self._database.pool.fetchval(
            "SELECT value FROM gateway.secret WHERE tenant_id = $1 AND name = $2", tenant_id, name
        )
        return sealed

    async def sealed_secrets(self, tenant_id: UUID, names: list[str]) -> dict[str, bytes]:
        """The sealed values of those that exist, by name."""
        rows = await self._database.pool.fetch(
            "SELECT name, value FROM gateway.secret WHERE tenant_id = $1 AND name = ANY ($2)",
            tenant_id, names,
        )  # fmt: skip
        return {row["name"]: row["value"] for row in rows}

    async def secret_names(self, tenant_id: UUID) -> list[str]:
        """The names of the tenant's secrets, in order."""
        rows = await self._database.pool.fetch(
            "SELECT name FROM gateway.secret WHERE tenant_id = $1 ORDER BY name LIMIT 10000",
            tenant_id,
        )
        return [row["name"] for row in rows]

    async def delete_secret(self, tenant_id: UUID, name: str) -> bool:
        """False when the tenant has no such secret."""
        deleted = await self._database.pool.fetchval(
            "DELETE FROM gateway.secret WHERE tenant_id = $1 AND name = $2 RETURNING id",
            tenant_id, name,
        )  # fmt: skip
        return deleted is not None
