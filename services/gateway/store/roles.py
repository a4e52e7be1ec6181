"""Rows of custom roles, and what other rows hold of a role.

A row that has a role holds the built-in role's name, or a custom role's id (`roles.stored`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway.permissions import ALL
from services.gateway.roles import RIGHTS, Rights, Role, custom, missing
from services.gateway.store.base import WHILE_IT_STANDS, Rows, tenant_not_found


def role_in(row: str, custom_role: str) -> str:
    """SQL for the role of a row (`a`), beside which the custom role (`r`) is joined."""
    return f"jsonb_build_array({row}.role, {row}.role_id, {custom_role}.name, {custom_role}.permissions)"


def rights_of(found: Sequence[Any]) -> Rights:
    """What that says."""
    role, role_id, name, permissions = found
    return RIGHTS[Role(role)] if role_id is None else custom(UUID(role_id), name, permissions)


def role_not_found(role_id: UUID) -> Refused:
    """The tenant has no such role."""
    return Refused(code=Code.ROLE_NOT_FOUND, fields={"role_id": str(role_id)})


def too_far(field: str, given: frozenset[str], held: frozenset[str]) -> Refused | None:
    """Refused where somebody would reach for more than they hold."""
    beyond = missing(given, held)
    fields = {"field": field, "missing": beyond}
    return Refused(code=Code.ROLE_TOO_FAR, fields=fields) if beyond else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRole:
    """A role that a tenant made."""

    rights: Rights
    created: datetime
    updated: datetime


class RoleRows(Rows):
    """Makes, changes, lists and deletes custom roles."""

    async def custom_roles(
        self, tenant_id: UUID, role_id: UUID | None = None
    ) -> dict[UUID, CustomRole]:
        """Those of the tenant, oldest first; of an id the one."""
        rows = await self._database.pool.fetch(
            "SELECT id, name, permissions, created, updated FROM gateway.role "
            "WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id = $2) ORDER BY created, id LIMIT 1000",
            tenant_id, role_id,
        )  # fmt: skip
        return {
            row["id"]: CustomRole(
                rights=custom(row["id"], row["name"], row["permissions"]),
                created=row["created"],
                updated=row["updated"],
            )
            for row in rows
        }

    async def create_role(
        self, new_id: UUID, tenant_id: UUID, name: str, permissions: Sequence[str]
    ) -> UUID | Refused:
        """Refused(ROLE_NAME_TAKEN) for a name that the tenant's roles have, TENANT_NOT_FOUND for an unknown tenant."""
        try:
            made = await self._database.pool.fetchval(
                "INSERT INTO gateway.role (id, tenant_id, name, permissions) "
                f"SELECT $1, t.id, $3, $4 {WHILE_IT_STANDS} RETURNING id",
                new_id, tenant_id, name, list(permissions),
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            return Refused(code=Code.ROLE_NAME_TAKEN, fields={"name": name})
        return new_id if made is not None else tenant_not_found(tenant_id)

    async def update_role(
        self, tenant_id: UUID, role_id: UUID, permissions: Sequence[str], *, held: frozenset[str]
    ) -> bool | Refused:
        """Replace what the role allows; False for an unknown role. Refused(ROLE_TOO_FAR) where it allows more than is
        `held`, also when somebody else widens it at the same time.
        """
        async with self._database.transaction() as connection:
            found = await connection.fetchval(
                "SELECT permissions FROM gateway.role WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
                tenant_id, role_id,
            )  # fmt: skip
            if found is None:
                return False
            refused = too_far("role_id", ALL.intersection(found), held)
            if refused is not None:
                return refused
            await connection.execute(
                "UPDATE gateway.role SET permissions = $3, updated = now() WHERE tenant_id = $1 AND id = $2",
                tenant_id, role_id, list(permissions),
            )  # fmt: skip
        return True

    async def delete_role(
        self, tenant_id: UUID, role_id: UUID, *, held: frozenset[str]
    ) -> bool | Refused:
        """False for an unknown role. Refused(ROLE_IN_USE) while somebody has it, ROLE_TOO_FAR as above.

        Whoever gives the role at the same time waits for us, and finds it gone, or we find it used: a foreign key says
        so. Keys and accounts that have ended do not count.
        """
        try:
            async with self._database.transaction() as connection:
                found = await connection.fetchval(
                    "SELECT permissions FROM gateway.role WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
                    tenant_id, role_id,
                )  # fmt: skip
                if found is None:
                    return False
                refused = too_far("role_id", ALL.intersection(found), held)
                if refused is not None:
                    return refused
                await connection.execute(
                    "UPDATE gateway.api_key SET role_id = NULL WHERE tenant_id = $1 AND role_id = $2 "
                    "AND (revoked_at IS NOT NULL OR expires_at <= now())",
                    tenant_id, role_id,
                )  # fmt: skip
                await connection.execute(
                    "UPDATE gateway.person SET role_id = NULL WHERE tenant_id = $1 AND role_id = $2 "
                    "AND deleted_at IS NOT NULL",
                    tenant_id, role_id,
                )  # fmt: skip
                await connection.execute(
                    "DELETE FROM gateway.role WHERE tenant_id = $1 AND id = $2", tenant_id, role_id
                )
        except asyncpg.ForeignKeyViolationError:
            return Refused(code=Code.ROLE_IN_USE, fields={"role_id": str(role_id)})
        return True
