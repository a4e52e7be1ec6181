"""Rows of people and service accounts: what a tenant calls those whose ids its runs, flows and trail hold.

A row is written with the first key of a user and with a membership, and stays when they end: histories show the name.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway.roles import Rights, stored
from services.gateway.store.base import WHILE_IT_STANDS, Rows, tenant_not_found
from services.gateway.store.memberships import is_last_admin
from services.gateway.store.roles import rights_of, role_in, role_not_found

USER, SERVICE = "USER", "SERVICE"
"""The types of accounts, as Cloud's scripts know them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody that a tenant has a name for; `deleted_at` is set of a service account that is gone.

    `ceiling` is the most that any of their keys may do; None where each key has its own role.
    """

    id: UUID
    name: str
    account_type: str
    created: datetime
    deleted_at: datetime | None
    email: str | None
    ceiling: Rights | None


class PeopleRows(Rows):
    """Names them, and makes and ends service accounts."""

    async def people(
        self, tenant_id: UUID, ids: Collection[UUID] | None = None
    ) -> dict[UUID, Person]:
        """Those of these ids with a name in the tenant; without ids all, oldest first."""
        rows = await self._database.pool.fetch(
            "SELECT p.id, p.name, p.account_type, p.created, p.deleted_at, p.email, "
            f"CASE WHEN p.role IS NOT NULL THEN {role_in('p', 'r')} END AS ceiling "
            "FROM gateway.person p LEFT JOIN gateway.role r ON r.id = p.role_id "
            "WHERE p.tenant_id = $1 AND ($2::uuid[] IS NULL OR p.id = ANY ($2)) ORDER BY p.created, p.id LIMIT 10000",
            tenant_id, None if ids is None else list(ids),
        )  # fmt: skip
        return {row["id"]: _person(row) for row in rows}

    async def roles_of_keys(self, tenant_id: UUID) -> dict[UUID, list[Rights]]:
        """The roles of the good keys of each user of the tenant."""
        rows = await self._database.pool.fetch(
            f"SELECT DISTINCT k.user_id, {role_in('k', 'r')} AS given FROM gateway.api_key k "
            "LEFT JOIN gateway.role r ON r.id = k.role_id WHERE k.tenant_id = $1 AND k.revoked_at IS NULL "
            "AND (k.expires_at IS NULL OR k.expires_at > now())",
            tenant_id,
        )  # fmt: skip
        found: dict[UUID, list[Rights]] = {}
        for row in rows:
            found.setdefault(row["user_id"], []).append(rights_of(row["given"]))
        return found

    async def permissions_now(self, tenant_id: UUID, user_id: UUID) -> frozenset[str]:
        """All that somebody may do in the tenant with their good keys: as a guest never more than their membership.

        Nothing, for who has no good key any more.
        """
        good = "k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())"
        rows = await self._database.pool.fetch(
            f"SELECT {role_in('k', 'r')} AS given,"
            f" CASE WHEN p.role IS NOT NULL THEN {role_in('p', 'pr')} END AS ceiling,"
            f" CASE WHEN m.id IS NOT NULL THEN {role_in('m', 'mr')} END AS guest"
            " FROM gateway.api_key k"
            " LEFT JOIN gateway.role r ON r.id = k.role_id"
            " LEFT JOIN gateway.person p ON p.tenant_id = k.tenant_id AND p.id = k.user_id"
            " LEFT JOIN gateway.role pr ON pr.id = p.role_id"
            " LEFT JOIN gateway.membership m ON m.tenant_id = $1 AND m.user_id = k.user_id"
            " AND m.home_tenant_id = k.tenant_id AND k.tenant_id <> $1"
            " LEFT JOIN gateway.role mr ON mr.id = m.role_id"
            f" WHERE k.user_id = $2 AND {good} AND (k.tenant_id = $1 OR m.id IS NOT NULL)",
            tenant_id, user_id,
        )  # fmt: skip
        held: set[str] = set()
        for row in rows:
            permissions = rights_of(row["given"]).permissions
            for most in (row["ceiling"], row["guest"]):
                if most is not None:
                    permissions &= rights_of(most).permissions
            held |= permissions
        return frozenset(held)

    async def holder_of(self, tenant_id: UUID, key_id: UUID) -> tuple[UUID, str] | None:
        """Whose key of the tenant it is, and the type of their account; None for an unknown key."""
        row = await self._database.pool.fetchrow(
            "SELECT k.user_id, coalesce(p.account_type, 'USER') AS account_type FROM gateway.api_key k "
            "LEFT JOIN gateway.person p ON p.tenant_id = k.tenant_id AND p.id = k.user_id "
            "WHERE k.tenant_id = $1 AND k.id = $2 AND k.revoked_at IS NULL",
            tenant_id, key_id,
        )  # fmt: skip
        return None if row is None else (row["user_id"], row["account_type"])

    async def rename_person(self, tenant_id: UUID, user_id: UUID, name: str) -> bool:
        """Set the name of a user, in histories too; False for an unknown user."""
        found = await self._database.pool.fetchval(
            "UPDATE gateway.person SET name = $3, updated = now() WHERE tenant_id = $1 AND id = $2 RETURNING id",
            tenant_id, user_id, name,
        )  # fmt: skip
        return found is not None

    async def create_service_account(
        self, new_id: UUID, tenant_id: UUID, name: str, rights: Rights
    ) -> UUID | Refused:
        """Refused(TENANT_NOT_FOUND) when the tenant is unknown, ROLE_NOT_FOUND for a role that was just deleted."""
        try:
            made = await self._database.pool.fetchval(
                "INSERT INTO gateway.person (tenant_id, id, name, account_type, role, role_id) "
                f"SELECT t.id, $1, $3, $4, $5, $6 {WHILE_IT_STANDS} RETURNING id",
                new_id, tenant_id, name, SERVICE, *stored(rights),
            )  # fmt: skip
        except asyncpg.ForeignKeyViolationError:
            return role_not_found(rights.id)
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
            is_account = await connection.fetchval(
                "SELECT true FROM gateway.person WHERE tenant_id = $1 AND id = $2 AND account_type = 'SERVICE'",
                tenant_id, user_id,
            )  # fmt: skip
            if is_account and await is_last_admin(connection, tenant_id, user_id):
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


def _person(row: asyncpg.Record) -> Person:
    ceiling = row["ceiling"]
    return Person(**{**row, "ceiling": None if ceiling is None else rights_of(ceiling)})
