"""Rows of people and service accounts: what a tenant calls those whose ids its runs, flows and trail hold.

A row is written with the first key of a user and with a membership, and stays when they end: histories show the name.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway.keys import Role
from services.gateway.store.base import Rows, tenant_not_found

USER, SERVICE = "USER", "SERVICE"
"""The types of accounts, as Cloud's scripts know them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody that a tenant has a name for; `deleted_at` is set of a service account that is gone."""

    id: UUID
    name: str
    account_type: str
    created: datetime
    deleted_at: datetime | None


class PeopleRows(Rows):
    """Names them, and makes and ends service accounts."""

    async def people(
        self, tenant_id: UUID, ids: Collection[UUID] | None = None
    ) -> dict[UUID, Person]:
        """Those of these ids with a name in the tenant; without ids all, oldest first."""
        rows = await self._database.pool.fetch(
            "SELECT id, name, account_type, created, deleted_at FROM gateway.person "
            "WHERE tenant_id = $1 AND ($2::uuid[] IS NULL OR id = ANY ($2)) ORDER BY created, id LIMIT 10000",
            tenant_id, None if ids is None else list(ids),
        )  # fmt: skip
        return {row["id"]: Person(**row) for row in rows}

    async def rename_person(self, tenant_id: UUID, user_id: UUID, name: str) -> bool:
        """Set the name of a user, in histories too; False for an unknown user."""
        found = await self._database.pool.fetchval(
            "UPDATE gateway.person SET name = $3, updated = now() WHERE tenant_id = $1 AND id = $2 RETURNING id",
            tenant_id, user_id, name,
        )  # fmt: skip
        return found is not None

    async def create_service_account(
        self, new_id: UUID, tenant_id: UUID, name: str
    ) -> UUID | Refused:
        """Refused(TENANT_NOT_FOUND) when the tenant is unknown."""
        made = await self._database.pool.fetchval(
            "INSERT INTO gateway.person (tenant_id, id, name, account_type) "
            "SELECT t.id, $1, $3, $4 FROM gateway.tenant t WHERE t.id = $2 FOR KEY SHARE OF t RETURNING id",
            new_id, tenant_id, name, SERVICE,
        )  # fmt: skip
        return new_id if made is not None else tenant_not_found(tenant_id)

    async def delete_service_account(
        self, tenant_id: UUID, user_id: UUID
    ) -> tuple[bool, list[UUID]] | Refused:
        """Whether the tenant had this service account, and its keys, which end with it. Its name stays in histories.

        Refused(LAST_ADMIN_KEY) where nobody else has a good key of an administrator.
        """
        async with self._database.transaction() as connection:
            # As in `revoke_key`: who revokes keys of administrators takes turns.
            await connection.execute(
                "SELECT FROM gateway.tenant WHERE id = $1 FOR NO KEY UPDATE", tenant_id
            )
            good = "k.revoked_at IS NULL AND k.role = $3 AND (k.expires_at IS NULL OR k.expires_at > now())"
            is_last = await connection.fetchval(
                f"SELECT EXISTS (SELECT FROM gateway.api_key k WHERE k.tenant_id = $1 AND k.user_id = $2 AND {good}) "
                f"AND NOT EXISTS (SELECT FROM gateway.api_key k WHERE k.tenant_id = $1 AND k.user_id <> $2 AND {good}) "
                "AND EXISTS (SELECT FROM gateway.person WHERE tenant_id = $1 AND id = $2 AND account_type = 'SERVICE')",
                tenant_id, user_id, Role.TENANT_ADMIN.value,
            )  # fmt: skip
            if is_last:
                return Refused(code=Code.LAST_ADMIN_KEY)
            deleted = await connection.fetchval(
                "UPDATE gateway.person SET deleted_at = now(), updated = now() WHERE tenant_id = $1 AND id = $2 "
                "AND account_type = 'SERVICE' AND deleted_at IS NULL RETURNING id",
                tenant_id, user_id,
            )  # fmt: skip
            if deleted is None:
                return False, []
            ended = await connection.fetch(
                "UPDATE gateway.api_key SET revoked_at = now(), updated = now() "
                "WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL RETURNING id",
                tenant_id, user_id,
            )  # fmt: skip
        return True, [row["id"] for row in ended]
