"""Rows of invitations: who shows one enters the tenant, once."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway.roles import Rights, stored
from services.gateway.store.base import Rows
from services.gateway.store.roles import rights_of, role_in, role_not_found

LASTS = "interval '14 days'"
"""How long an invitation is good: a link in a mailbox should not open a tenant for ever."""

_INVITATION = (
    f"SELECT i.id, i.created, i.tenant_id, i.email, {role_in('i', 'r')} AS given "
    "FROM gateway.membership_invitation i LEFT JOIN gateway.role r ON r.id = i.role_id "
    f"WHERE i.created > now() - {LASTS}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An invitation that is good."""

    id: UUID
    created: datetime
    tenant_id: UUID
    email: str
    rights: Rights


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What became of an invitation: the membership, in which tenant, and by which address."""

    membership_id: UUID
    tenant_id: UUID
    email: str


class _AlreadyMemberError(Exception):
    """The invitation stays, for whoever it is for."""


class InvitationRows(Rows):
    """Makes, shows and ends invitations."""

    async def invitations(self, tenant_id: UUID) -> list[Invitation]:
        """The tenant's, oldest first."""
        rows = await self._database.pool.fetch(
            f"{_INVITATION} AND i.tenant_id = $1 ORDER BY i.created, i.id LIMIT 1000", tenant_id
        )
        return [_invitation(row) for row in rows]

    async def invitation(self, invitation_id: UUID) -> Invitation | None:
        """The one of this id, of any tenant: whoever knows the id was invited."""
        row = await self._database.pool.fetchrow(f"{_INVITATION} AND i.id = $1", invitation_id)
        return None if row is None else _invitation(row)

    async def create_invitation(
        self,
        new_id: UUID,
        tenant_id: UUID,
        email: str,
        rights: Rights,
        *,
        created_by: UUID | None,
    ) -> UUID | Refused:
        """Refused(ALREADY_INVITED) while an invitation of this address is good, ALREADY_MEMBER for a member's,
        ROLE_NOT_FOUND for a role that was just deleted. Capitals in an address mean nothing.
        """
        fields = {"email": email, "tenant_id": str(tenant_id)}
        is_member = await self._database.pool.fetchval(
            "SELECT true FROM gateway.person p WHERE p.tenant_id = $1 AND lower(p.email) = lower($2) "
            "AND p.deleted_at IS NULL AND (EXISTS "
            "(SELECT FROM gateway.membership m WHERE m.tenant_id = p.tenant_id AND m.user_id = p.id) OR EXISTS "
            "(SELECT FROM gateway.api_key k WHERE k.tenant_id = p.tenant_id AND k.user_id = p.id "
            "AND k.revoked_at IS NULL))",
            tenant_id, email,
        )  # fmt: skip
        if is_member:
            return Refused(code=Code.ALREADY_MEMBER, fields=fields)
        try:
            made = await self._database.pool.fetchval(
                "INSERT INTO gateway.membership_invitation AS i (id, tenant_id, email, role, role_id, created_by) "
                "SELECT $1, t.id, $3, $4, $5, $6 FROM gateway.tenant t WHERE t.id = $2 FOR KEY SHARE OF t "
                "ON CONFLICT (tenant_id, lower(email)) DO UPDATE SET id = excluded.id, email = excluded.email, "
                "role = excluded.role, role_id = excluded.role_id, created_by = excluded.created_by, created = now(), "
                f"updated = now() WHERE i.created <= now() - {LASTS} RETURNING id",
                new_id, tenant_id, email, *stored(rights), created_by,
            )  # fmt: skip
        except asyncpg.ForeignKeyViolationError:
            return role_not_found(rights.id)
        return new_id if made is not None else Refused(code=Code.ALREADY_INVITED, fields=fields)

    async def accept_invitation(
        self, invitation_id: UUID, membership_id: UUID, *, user_id: UUID, home_tenant_id: UUID
    ) -> Accepted | Refused:
        """Let a user in. Of two who show it at once one enters: it is deleted by the first.

        Refused(INVITATION_NOT_FOUND) where it is not good any more, ALREADY_MEMBER for who is in the tenant.
        """
        unknown = Refused(
            code=Code.INVITATION_NOT_FOUND, fields={"invitation_id": str(invitation_id)}
        )
        try:
            async with self._database.transaction() as connection:
                row = await connection.fetchrow(
                    f"DELETE FROM gateway.membership_invitation WHERE id = $1 AND created > now() - {LASTS} "
                    "RETURNING tenant_id, email, role, role_id",
                    invitation_id,
                )  # fmt: skip
                if row is None:
                    return unknown
                already = Refused(
                    code=Code.ALREADY_MEMBER,
                    fields={"email": row["email"], "tenant_id": str(row["tenant_id"])},
                )
                if row["tenant_id"] == home_tenant_id:
                    raise _AlreadyMemberError
                made = await connection.fetchval(
                    "INSERT INTO gateway.membership (id, tenant_id, user_id, home_tenant_id, role, role_id) "
                    "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_id, home_tenant_id, tenant_id) DO NOTHING "
                    "RETURNING id",
                    membership_id, row["tenant_id"], user_id, home_tenant_id, row["role"], row["role_id"],
                )  # fmt: skip
                if made is None:
                    raise _AlreadyMemberError
                # Those who invited know them by this address; what they are called at home is not told.
                await connection.execute(
                    "INSERT INTO gateway.person (tenant_id, id, name, email) VALUES ($1, $2, $3, $3) "
                    "ON CONFLICT (tenant_id, id) DO UPDATE SET email = coalesce(person.email, excluded.email), "
                    "updated = now()",
                    row["tenant_id"], user_id, row["email"],
                )  # fmt: skip
        except _AlreadyMemberError:
            return already
        return Accepted(membership_id=membership_id, tenant_id=row["tenant_id"], email=row["email"])

    async def delete_invitation(self, invitation_id: UUID) -> UUID | None:
        """Decline it, or take it back; the tenant that it was of, None for an unknown one."""
        tenant_id: UUID | None = await self._database.pool.fetchval(
            "DELETE FROM gateway.membership_invitation WHERE id = $1 RETURNING tenant_id",
            invitation_id,
        )
        return tenant_id


def _invitation(row: asyncpg.Record) -> Invitation:
    return Invitation(
        id=row["id"],
        created=row["created"],
        tenant_id=row["tenant_id"],
        email=row["email"],
        rights=rights_of(row["given"]),
    )
