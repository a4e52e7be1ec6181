"""Rows of people who log in with the provider of their organisation: who they are here, and who is let in."""

import os
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime.database import Connection
from services.gateway.roles import Rights, Role, stored
from services.gateway.store.base import Rows
from services.gateway.store.invitations import LASTS
from services.gateway.store.memberships import is_last_admin
from services.gateway.visitors import Visitor

_HASH_BYTES = 32


class How(Enum):
    """How somebody was let in."""

    KNOWN = "known"
    INVITED = "invited"
    DOMAIN = "domain"


class Refusal(Enum):
    """Why somebody was not."""

    NOT_INVITED = "not_invited"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class LetIn:
    """Who logs in: the key that their session names, and where."""

    key_id: UUID
    tenant_id: UUID
    user_id: UUID
    how: How


@dataclass(frozen=True, slots=True, kw_only=True)
class ByDomain:
    """What a rule gives to people of a domain, and in which tenant (None: the first)."""

    rights: Rights
    slug: str | None


@dataclass(frozen=True, slots=True)
class _Place:
    tenant_id: UUID
    role: str
    role_id: UUID | None
    how: How


class SignInRows(Rows):
    """Lets people in by (issuer, subject)."""

    async def tenant_of_sign_ins(self, slug: str | None) -> UUID | None:
        """The tenant of this slug, or the first; there its refusals are audited. None: there is none."""
        found: UUID | None = await self._database.pool.fetchval(
            "SELECT id FROM gateway.tenant WHERE $1::text IS NULL OR slug = $1 ORDER BY created, id LIMIT 1",
            slug,
        )
        return found

    async def sign_in(
        self,
        visitor: Visitor,
        by_domain: ByDomain | None,
        *,
        new_key: UUID,
        new_user: UUID,
        label: str,
    ) -> LetIn | Refusal:
        """Find who this is, or let them in by an invitation or by the rule of their domain.

        A person whose key ended, by whatever way, needs a new invitation.
        """
        async with self._database.transaction() as connection:
            # The race: somebody comes for the first time in two tabs, and an invitation is good once.
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 18))",
                visitor.issuer, visitor.subject,
            )  # fmt: skip
            known = await connection.fetchrow(_KNOWN, visitor.issuer, visitor.subject)
            if known is not None and known["is_good"]:
                await connection.execute(
                    "UPDATE gateway.login_identity SET email = $3, last_log_in = now() "
                    "WHERE issuer = $1 AND subject = $2",
                    visitor.issuer, visitor.subject, visitor.email,
                )  # fmt: skip
                return LetIn(
                    key_id=known["key_id"], tenant_id=known["tenant_id"], user_id=known["user_id"], how=How.KNOWN
                )  # fmt: skip
            place = await _invited(connection, visitor.email)
            if place is None and known is not None:
                return Refusal.ENDED
            if place is None and by_domain is not None:
                place = await _by_domain(connection, by_domain)
            if place is None:
                return Refusal.NOT_INVITED
            await _enter(
                connection, place, visitor, new_key=new_key, new_user=new_user, label=label
            )
        return LetIn(key_id=new_key, tenant_id=place.tenant_id, user_id=new_user, how=place.how)

    async def end_sign_in(self, tenant_id: UUID, user_id: UUID) -> list[UUID] | Refused:
        """End the keys of a person of the tenant who logs in with a provider; none where the person does not.

        Refused(LAST_ADMIN) where nobody else administers the tenant.
        """
        async with self._database.transaction() as connection:
            # As in `revoke_key`: who revokes keys of administrators takes turns.
            await connection.execute(
                "SELECT FROM gateway.tenant WHERE id = $1 FOR NO KEY UPDATE", tenant_id
            )
            has_one = await connection.fetchval(
                "SELECT true FROM gateway.login_identity WHERE tenant_id = $1 AND user_id = $2",
                tenant_id, user_id,
            )  # fmt: skip
            if not has_one:
                return []
            if await is_last_admin(connection, tenant_id, user_id):
                return Refused(code=Code.LAST_ADMIN)
            rows = await connection.fetch(
                "UPDATE gateway.api_key SET revoked_at = now(), updated = now() "
                "WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL RETURNING id",
                tenant_id, user_id,
            )  # fmt: skip
        return [row["id"] for row in rows]


_KNOWN = """
    SELECT l.tenant_id, l.user_id, l.key_id,
        k.id IS NOT NULL AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
            AND p.deleted_at IS NULL AND t.id IS NOT NULL AS is_good
    FROM gateway.login_identity l
    LEFT JOIN gateway.api_key k ON k.id = l.key_id
    LEFT JOIN gateway.tenant t ON t.id = l.tenant_id
    LEFT JOIN gateway.person p ON p.tenant_id = l.tenant_id AND p.id = l.user_id
    WHERE l.issuer = $1 AND l.subject = $2
"""


async def _invited(connection: Connection, email: str) -> _Place | None:
    """The oldest good invitation of this address, which is used up."""
    row = await connection.fetchrow(
        "DELETE FROM gateway.membership_invitation WHERE id = (SELECT id FROM gateway.membership_invitation "
        f"WHERE lower(email) = lower($1) AND created > now() - {LASTS} ORDER BY created, id LIMIT 1 "
        "FOR UPDATE SKIP LOCKED) RETURNING tenant_id, role, role_id",
        email,
    )  # fmt: skip
    if row is None:
        return None
    # Kept from being deleted until the person is committed: a late writer finds no tenant.
    stands = await connection.fetchval(
        "SELECT id FROM gateway.tenant WHERE id = $1 FOR KEY SHARE", row["tenant_id"]
    )
    return (
        None
        if stands is None
        else _Place(row["tenant_id"], row["role"], row["role_id"], How.INVITED)
    )


async def _by_domain(connection: Connection, rule: ByDomain) -> _Place | None:
    tenant_id = await connection.fetchval(
        "SELECT id FROM gateway.tenant WHERE $1::text IS NULL OR slug = $1 ORDER BY created, id LIMIT 1 "
        "FOR KEY SHARE",
        rule.slug,
    )  # fmt: skip
    return None if tenant_id is None else _Place(tenant_id, *stored(rule.rights), How.DOMAIN)


async def _enter(
    connection: Connection,
    place: _Place,
    visitor: Visitor,
    *,
    new_key: UUID,
    new_user: UUID,
    label: str,
) -> None:
    """A person, and a key of which nobody has the text: its hash is of nothing.

    The key may do everything and the person's role is the most that it may, so that changing the role is enough.
    """
    await connection.execute(
        "INSERT INTO gateway.person (tenant_id, id, name, email, role, role_id) VALUES ($1, $2, $3, $4, $5, $6)",
        place.tenant_id, new_user, visitor.name, visitor.email, place.role, place.role_id,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO gateway.api_key (id, tenant_id, user_id, name, role, hash) VALUES ($1, $2, $3, $4, $5, $6)",
        new_key, place.tenant_id, new_user, label, Role.TENANT_ADMIN.value, os.urandom(_HASH_BYTES),
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO gateway.login_identity (issuer, subject, tenant_id, user_id, key_id, email) "
        "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (issuer, subject) DO UPDATE SET tenant_id = excluded.tenant_id, "
        "user_id = excluded.user_id, key_id = excluded.key_id, email = excluded.email, last_log_in = now()",
        visitor.issuer, visitor.subject, place.tenant_id, new_user, new_key, visitor.email,
    )  # fmt: skip
