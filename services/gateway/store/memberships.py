"""Rows of memberships: a guest's keys end with the membership that they were made under.

A member at home has no row here: what all of their keys may do at most is in `gateway.person`, and its id is theirs.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime.database import Connection
from services.gateway.keys import Membership
from services.gateway.permissions import ALL
from services.gateway.roles import RIGHTS, Rights, Role, stored
from services.gateway.store.base import Rows
from services.gateway.store.keys import GOOD_ADMIN, revoke_made_by
from services.gateway.store.roles import rights_of, role_in, role_not_found, too_far


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A membership in a list of them."""

    id: UUID
    created: datetime
    updated: datetime
    membership: Membership


class MembershipRows(Rows):
    """Lets people of other tenants in, and out again, and says what people may do."""

    async def create_membership(
        self, new_id: UUID, membership: Membership, *, name: str | None = None
    ) -> tuple[UUID, list[UUID]] | Refused:
        """The id of the membership, which stays when its role changes, and the keys that the change revoked: those
        that the guest made when they might do more.

        Refused(ROLE_NOT_FOUND) for a role that was just deleted, USER_NOT_FOUND unless a good key of the home tenant
        belongs to the user: whoever does not know such a pair learns nothing about tenants, and a wrong id lets nobody
        in silently.
        """
        try:
            async with self._database.transaction() as connection:
                made: UUID | None = await connection.fetchval(
                    "INSERT INTO gateway.membership (id, tenant_id, user_id, home_tenant_id, role, role_id) "
                    "SELECT $1, t.id, $3, $4, $5, $6 FROM gateway.tenant t WHERE t.id = $2 AND EXISTS "
                    "(SELECT FROM gateway.api_key WHERE tenant_id = $4 AND user_id = $3 AND revoked_at IS NULL) "
                    "ON CONFLICT (user_id, home_tenant_id, tenant_id) "
                    "DO UPDATE SET role = excluded.role, role_id = excluded.role_id, updated = now() RETURNING id",
                    new_id, membership.tenant_id, membership.user_id, membership.home_tenant_id,
                    *stored(membership.rights),
                )  # fmt: skip
                if made is None:
                    return Refused(code=Code.USER_NOT_FOUND)
                # Never the name that the home tenant gave.
                await connection.execute(
                    "INSERT INTO gateway.person (tenant_id, id, name) "
                    "VALUES ($1, $2, coalesce($3::text, 'guest ' || right($2::uuid::text, 6))) "
                    "ON CONFLICT (tenant_id, id) DO UPDATE SET name = coalesce($3::text, person.name), updated = now()",
                    membership.tenant_id, membership.user_id, name,
                )  # fmt: skip
                ended = await revoke_made_by(
                    connection,
                    tenant_id=membership.tenant_id,
                    user_id=membership.user_id,
                    home_tenant_id=membership.home_tenant_id,
                    within=membership.rights,
                )
                return made, ended
        except asyncpg.ForeignKeyViolationError:
            return role_not_found(membership.rights.id)

    async def delete_membership(
        self, tenant_id: UUID, membership_id: UUID
    ) -> tuple[bool, list[UUID]]:
        """Whether the tenant had such a membership, and the keys that end with it: those that the guest made there."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(
                "DELETE FROM gateway.membership WHERE tenant_id = $1 AND id = $2 "
                "RETURNING tenant_id, user_id, home_tenant_id",
                tenant_id, membership_id,
            )  # fmt: skip
            if row is None:
                return False, []
            return True, await revoke_made_by(connection, **row, within=None)

    async def memberships(self, tenant_id: UUID) -> list[Member]:
        """Who may enter the tenant from another one, oldest first."""
        rows = await self._database.pool.fetch(
            "SELECT m.id, m.tenant_id, m.user_id, m.home_tenant_id, m.created, m.updated, "
            f"{role_in('m', 'r')} AS given "
            "FROM gateway.membership m LEFT JOIN gateway.role r ON r.id = m.role_id "
            "WHERE m.tenant_id = $1 ORDER BY m.created, m.id LIMIT 1000",
            tenant_id,
        )
        return [
            Member(
                id=row["id"],
                created=row["created"],
                updated=row["updated"],
                membership=Membership(
                    tenant_id=row["tenant_id"],
                    user_id=row["user_id"],
                    home_tenant_id=row["home_tenant_id"],
                    rights=rights_of(row["given"]),
                ),
            )
            for row in rows
        ]

    async def set_membership_role(
        self, tenant_id: UUID, membership_id: UUID, rights: Rights, *, held: frozenset[str]
    ) -> list[UUID] | Refused | None:
        """Give a guest, or a member at home, another role; None for an unknown membership.

        Answers the keys that may do more or less than before, or have ended. Refused(ROLE_TOO_FAR) where the member may
        do more than is `held`, LAST_ADMIN for the last administrator, ROLE_NOT_FOUND for a role that was just deleted.
        """
        try:
            async with self._database.transaction() as connection:
                # As in `revoke_key`: who takes rights of administrators takes turns.
                await connection.execute(
                    "SELECT FROM gateway.tenant WHERE id = $1 FOR NO KEY UPDATE", tenant_id
                )
                changed = await _set_guest(connection, tenant_id, membership_id, rights, held)
                if changed is None:
                    changed = await _set_member(connection, tenant_id, membership_id, rights, held)
        except asyncpg.ForeignKeyViolationError:
            return role_not_found(rights.id)
        return changed


async def _set_guest(
    connection: Connection,
    tenant_id: UUID,
    membership_id: UUID,
    rights: Rights,
    held: frozenset[str],
) -> list[UUID] | Refused | None:
    row = await connection.fetchrow(
        f"SELECT m.user_id, m.home_tenant_id, {role_in('m', 'r')} AS given FROM gateway.membership m "
        "LEFT JOIN gateway.role r ON r.id = m.role_id WHERE m.tenant_id = $1 AND m.id = $2 FOR UPDATE OF m",
        tenant_id, membership_id,
    )  # fmt: skip
    if row is None:
        return None
    refused = too_far("membership_id", rights_of(row["given"]).permissions, held)
    if refused is not None:
        return refused
    await connection.execute(
        "UPDATE gateway.membership SET role = $3, role_id = $4, updated = now() WHERE tenant_id = $1 AND id = $2",
        tenant_id, membership_id, *stored(rights),
    )  # fmt: skip
    user_id, home_tenant_id = row["user_id"], row["home_tenant_id"]
    ended = await revoke_made_by(
        connection,
        tenant_id=tenant_id,
        user_id=user_id,
        home_tenant_id=home_tenant_id,
        within=rights,
    )
    return ended + await _keys_of(connection, home_tenant_id, user_id)


async def _set_member(
    connection: Connection,
    tenant_id: UUID,
    user_id: UUID,
    rights: Rights,
    held: frozenset[str],
) -> list[UUID] | Refused | None:
    row = await connection.fetchrow(
        f"SELECT CASE WHEN p.role IS NOT NULL THEN {role_in('p', 'r')} END AS ceiling FROM gateway.person p "
        "LEFT JOIN gateway.role r ON r.id = p.role_id "
        "WHERE p.tenant_id = $1 AND p.id = $2 AND p.deleted_at IS NULL "
        # A guest's role is that of the membership. Ids of users are not unique: a guest may have a member's.
        "AND (NOT EXISTS (SELECT FROM gateway.membership m WHERE m.tenant_id = p.tenant_id AND m.user_id = p.id) "
        "OR EXISTS (SELECT FROM gateway.api_key k WHERE k.tenant_id = p.tenant_id AND k.user_id = p.id)) "
        "FOR UPDATE OF p",
        tenant_id, user_id,
    )  # fmt: skip
    if row is None:
        return None
    # Without a role of their own their keys may have any.
    before = ALL if row["ceiling"] is None else rights_of(row["ceiling"]).permissions
    refused = too_far("membership_id", before, held)
    if refused is not None:
        return refused
    if rights is not RIGHTS[Role.TENANT_ADMIN] and await is_last_admin(
        connection, tenant_id, user_id
    ):
        return Refused(code=Code.LAST_ADMIN)
    await connection.execute(
        "UPDATE gateway.person SET role = $3, role_id = $4, updated = now() WHERE tenant_id = $1 AND id = $2",
        tenant_id, user_id, *stored(rights),
    )  # fmt: skip
    return await _keys_of(connection, tenant_id, user_id)


async def is_last_admin(connection: Connection, tenant_id: UUID, user_id: UUID) -> bool:
    """Whether this user administers the tenant, and nobody else does."""
    found: bool = await connection.fetchval(
        f"SELECT EXISTS (SELECT FROM gateway.api_key k WHERE k.tenant_id = $1 AND k.user_id = $2 AND {GOOD_ADMIN}) "
        f"AND NOT EXISTS (SELECT FROM gateway.api_key k WHERE k.tenant_id = $1 AND k.user_id <> $2 AND {GOOD_ADMIN})",
        tenant_id, user_id,
    )  # fmt: skip
    return found


async def _keys_of(connection: Connection, tenant_id: UUID, user_id: UUID) -> list[UUID]:
    rows = await connection.fetch(
        "SELECT id FROM gateway.api_key WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL",
        tenant_id, user_id,
    )  # fmt: skip
    return [row["id"] for row in rows]
