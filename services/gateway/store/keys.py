"""Rows of API keys and memberships: a guest's keys end with the membership that they were made under."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime.database import Connection
from services.gateway.keys import Key, Listed, Membership, Role, beyond
from services.gateway.store.base import WHILE_IT_STANDS, Rows, tenant_not_found

_KEY_WITH_MEMBERSHIPS = (
    "SELECT k.id, k.tenant_id, k.user_id, k.name, k.role, k.expires_at, k.created, k.updated, k.created_by, "
    "(SELECT coalesce(jsonb_object_agg(m.tenant_id, m.role), '{}') FROM gateway.membership m "
    "WHERE m.user_id = k.user_id AND m.home_tenant_id = k.tenant_id) AS memberships "
    "FROM gateway.api_key k"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A membership in a list of them."""

    id: UUID
    created: datetime
    updated: datetime
    membership: Membership


class _DeletedError(Exception):
    """The key would be a deleted account's: nothing of the transaction is done."""


class KeyRows(Rows):
    """Makes, finds and revokes keys."""

    async def key_by_hash(self, hashed: bytes) -> Key | None:
        """The key of this keyed hash unless it is revoked. The comparison is the index's, on a hash that the caller
        cannot choose, so its time tells nothing of the key.
        """
        row = await self._database.pool.fetchrow(
            f"{_KEY_WITH_MEMBERSHIPS} WHERE k.hash = $1 AND k.revoked_at IS NULL", hashed
        )
        return _key(row) if row else None

    async def key_by_id(self, key_id: UUID) -> Key | None:
        """The key of this id unless it is revoked."""
        row = await self._database.pool.fetchrow(
            f"{_KEY_WITH_MEMBERSHIPS} WHERE k.id = $1 AND k.revoked_at IS NULL", key_id
        )
        return _key(row) if row else None

    async def key_of_session(self, key_id: UUID, serial: bytes) -> Key | None:
        """The same unless this session of it was logged out."""
        row = await self._database.pool.fetchrow(
            f"{_KEY_WITH_MEMBERSHIPS} WHERE k.id = $1 AND k.revoked_at IS NULL "
            "AND NOT EXISTS (SELECT FROM gateway.ended_session s WHERE s.serial = $2)",
            key_id, serial,
        )  # fmt: skip
        return _key(row) if row else None

    async def end_session(self, serial: bytes, *, tenant_id: UUID, expires_at: datetime) -> None:
        """Remember that a session was logged out, until it would have ended by itself; forget those that did."""
        await self._database.pool.execute(
            "WITH past AS (DELETE FROM gateway.ended_session WHERE expires_at < now()) "
            "INSERT INTO gateway.ended_session (serial, tenant_id, expires_at) VALUES ($1, $2, $3) "
            "ON CONFLICT (serial) DO NOTHING",
            serial, tenant_id, expires_at,
        )  # fmt: skip

    async def create_key(
        self, key: Key, hashed: bytes, *, created_by: UUID | None, made_with: UUID | None = None
    ) -> UUID | Refused:
        """Refused(TENANT_NOT_FOUND) when the tenant is unknown, ACCOUNT_DELETED for a service account that is gone.

        A user without a name in the tenant is called as this key.
        """
        try:
            async with self._database.transaction() as connection:
                made = await connection.fetchval(
                    "INSERT INTO gateway.api_key "
                    "(id, tenant_id, user_id, name, role, hash, created_by, made_with, expires_at) "
                    f"SELECT $1, t.id, $3, $4, $5, $6, $7, $8, $9 {WHILE_IT_STANDS} RETURNING id",
                    key.id, key.tenant_id, key.user_id, key.name, key.role.value, hashed, created_by,
                    made_with, key.expires_at,
                )  # fmt: skip
                if made is None:
                    return tenant_not_found(key.tenant_id)
                # The race: somebody deletes the account. The update changes nothing, but it waits and looks again.
                called = await connection.fetchval(
                    "INSERT INTO gateway.person (tenant_id, id, name) VALUES ($1, $2, $3) "
                    "ON CONFLICT (tenant_id, id) DO UPDATE SET name = person.name "
                    "WHERE person.deleted_at IS NULL RETURNING id",
                    key.tenant_id, key.user_id, key.name,
                )  # fmt: skip
                if called is None:
                    raise _DeletedError
        except _DeletedError:
            return Refused(code=Code.ACCOUNT_DELETED, fields={"user_id": str(key.user_id)})
        return key.id

    async def revoke_key(
        self, tenant_id: UUID, key_id: UUID, *, may_be_last: bool = False
    ) -> bool | Refused:
        """False when the tenant has no such key, or it was revoked before.

        Refused(LAST_ADMIN_KEY) for the last good key of an administrator, unless it may be: over the network there is
        no way back.
        """
        async with self._database.transaction() as connection:
            # Two administrators who revoke each other's key at once must not both succeed: the tenant is the lock.
            await connection.execute(
                "SELECT FROM gateway.tenant WHERE id = $1 FOR NO KEY UPDATE", tenant_id
            )
            revoked = await connection.fetchval(
                "UPDATE gateway.api_key SET revoked_at = now(), updated = now() "
                "WHERE id = $2 AND tenant_id = $1 AND revoked_at IS NULL AND ($4 OR role <> $3 OR EXISTS ("
                "SELECT FROM gateway.api_key o WHERE o.tenant_id = $1 AND o.id <> $2 AND o.role = $3 "
                "AND o.revoked_at IS NULL AND (o.expires_at IS NULL OR o.expires_at > now()))) RETURNING id",
                tenant_id, key_id, Role.TENANT_ADMIN.value, may_be_last,
            )  # fmt: skip
            if revoked is not None:
                return True
            is_last = await connection.fetchval(
                "SELECT true FROM gateway.api_key WHERE id = $2 AND tenant_id = $1 AND revoked_at IS NULL",
                tenant_id, key_id,
            )  # fmt: skip
        return Refused(code=Code.LAST_ADMIN_KEY) if is_last else False

    async def keys(self, tenant_id: UUID) -> list[Listed]:
        """The tenant's keys that are not revoked, oldest first."""
        rows = await self._database.pool.fetch(
            f"{_KEY_WITH_MEMBERSHIPS} WHERE k.tenant_id = $1 AND k.revoked_at IS NULL "
            "ORDER BY k.created, k.id LIMIT 1000",
            tenant_id,
        )
        return [
            Listed(
                key=_key(row),
                created=row["created"],
                updated=row["updated"],
                created_by=row["created_by"],
            )
            for row in rows
        ]

    async def ensure_first_key(self, key: Key, hashed: bytes) -> bool:
        """Make this key if there is no key at all; False when there is one."""
        async with self._database.transaction() as connection:
            # Two bootstraps at once must not print two keys.
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('gateway.first_key'))")
            made = await connection.fetchval(
                "WITH made AS (INSERT INTO gateway.api_key (id, tenant_id, user_id, name, role, hash) "
                "SELECT $1, $2, $3, $4, $5, $6 "
                "WHERE NOT EXISTS (SELECT FROM gateway.api_key) RETURNING id, tenant_id, user_id, name), "
                "called AS (INSERT INTO gateway.person (tenant_id, id, name) SELECT tenant_id, user_id, name FROM made "
                "ON CONFLICT DO NOTHING) SELECT id FROM made",
                key.id, key.tenant_id, key.user_id, key.name, key.role.value, hashed,
            )  # fmt: skip
        return made is not None


class MembershipRows(Rows):
    """Lets people of other tenants in, and out again."""

    async def create_membership(
        self, new_id: UUID, membership: Membership, *, name: str | None = None
    ) -> tuple[UUID, list[UUID]] | Refused:
        """The id of the membership, which stays when its role changes, and the keys that the change revoked: those
        that the guest made when they might do more.

        Refused(USER_NOT_FOUND) unless a good key of the home tenant belongs to the user: whoever does not know such a
        pair learns nothing about tenants, and a wrong id lets nobody in silently.
        """
        async with self._database.transaction() as connection:
            made: UUID | None = await connection.fetchval(
                "INSERT INTO gateway.membership (id, tenant_id, user_id, home_tenant_id, role) "
                "SELECT $1, t.id, $3, $4, $5 FROM gateway.tenant t WHERE t.id = $2 AND EXISTS "
                "(SELECT FROM gateway.api_key WHERE tenant_id = $4 AND user_id = $3 AND revoked_at IS NULL) "
                "ON CONFLICT (user_id, home_tenant_id, tenant_id) "
                "DO UPDATE SET role = excluded.role, updated = now() RETURNING id",
                new_id, membership.tenant_id, membership.user_id, membership.home_tenant_id,
                membership.role.value,
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
            return made, await revoke_made_by(connection, membership, roles=beyond(membership.role))

    async def delete_membership(
        self, tenant_id: UUID, membership_id: UUID
    ) -> tuple[bool, list[UUID]]:
        """Whether the tenant had such a membership, and the keys that end with it: those that the guest made there."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(
                "DELETE FROM gateway.membership WHERE tenant_id = $1 AND id = $2 "
                "RETURNING tenant_id, user_id, home_tenant_id, role",
                tenant_id, membership_id,
            )  # fmt: skip
            if row is None:
                return False, []
            return True, await revoke_made_by(connection, membership_of(row), roles=tuple(Role))

    async def memberships(self, tenant_id: UUID) -> list[Member]:
        """Who may enter the tenant from another one, oldest first."""
        rows = await self._database.pool.fetch(
            "SELECT id, tenant_id, user_id, home_tenant_id, role, created, updated "
            "FROM gateway.membership WHERE tenant_id = $1 ORDER BY created, id LIMIT 1000",
            tenant_id,
        )
        return [
            Member(
                id=row["id"],
                created=row["created"],
                updated=row["updated"],
                membership=membership_of(row),
            )
            for row in rows
        ]


async def revoke_made_by(
    connection: Connection, guest: Membership, *, roles: Sequence[Role]
) -> list[UUID]:
    """Revoke the keys of these roles that a guest made in the tenant, and those that were made with them, and so on."""
    rows = await connection.fetch(
        """
        WITH RECURSIVE made (id) AS (
            SELECT k.id FROM gateway.api_key k JOIN gateway.api_key h ON h.id = k.made_with
            WHERE k.tenant_id = $1 AND h.tenant_id = $2 AND h.user_id = $3
            UNION
            SELECT k.id FROM gateway.api_key k JOIN made m ON k.made_with = m.id WHERE k.tenant_id = $1
        )
        UPDATE gateway.api_key SET revoked_at = now(), updated = now()
        WHERE id IN (SELECT id FROM made) AND revoked_at IS NULL AND role = ANY ($4::text[]) RETURNING id
        """,
        guest.tenant_id,
        guest.home_tenant_id,
        guest.user_id,
        [role.value for role in roles],
    )
    return [row["id"] for row in rows]


def membership_of(row: asyncpg.Record) -> Membership:
    """A membership of its row."""
    return Membership(
        tenant_id=row["tenant_id"],
        user_id=row["user_id"],
        home_tenant_id=row["home_tenant_id"],
        role=Role(row["role"]),
    )


def _key(row: asyncpg.Record) -> Key:
    return Key(
        id=row["id"],
        tenant_id=row["tenant_id"],
        user_id=row["user_id"],
        name=row["name"],
        role=Role(row["role"]),
        expires_at=row["expires_at"],
        memberships={UUID(tenant): Role(role) for tenant, role in row["memberships"].items()},
    )
