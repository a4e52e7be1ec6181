"""Rows of API keys: who holds which, and what it may do."""

from datetime import datetime
from uuid import UUID

import asyncpg

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime.database import Connection
from services.gateway.keys import Entry, Key, Listed
from services.gateway.roles import BY_ID, Rights, Role, stored
from services.gateway.store.base import WHILE_IT_STANDS, Rows, tenant_not_found
from services.gateway.store.roles import rights_of, role_in, role_not_found

_KEY_WITH_MEMBERSHIPS = (
    "SELECT k.id, k.tenant_id, k.user_id, k.name, k.expires_at, k.created, k.updated, k.created_by, "
    f"{role_in('k', 'kr')} AS given, "
    f"CASE WHEN p.role IS NOT NULL THEN {role_in('p', 'pr')} END AS ceiling, "
    f"(SELECT coalesce(jsonb_object_agg(m.tenant_id, jsonb_build_array(m.id, {role_in('m', 'mr')})), '{{}}') "
    "FROM gateway.membership m LEFT JOIN gateway.role mr ON mr.id = m.role_id "
    "WHERE m.user_id = k.user_id AND m.home_tenant_id = k.tenant_id) AS memberships "
    "FROM gateway.api_key k LEFT JOIN gateway.role kr ON kr.id = k.role_id "
    "LEFT JOIN gateway.person p ON p.tenant_id = k.tenant_id AND p.id = k.user_id "
    "LEFT JOIN gateway.role pr ON pr.id = p.role_id"
)
GOOD_ADMIN = (
    "k.revoked_at IS NULL AND k.role = 'tenant_admin' AND (k.expires_at IS NULL OR k.expires_at > now()) "
    "AND NOT EXISTS (SELECT FROM gateway.person c WHERE c.tenant_id = k.tenant_id AND c.id = k.user_id "
    "AND (c.deleted_at IS NOT NULL OR c.role <> 'tenant_admin'))"
)
"""SQL for a key `k` that administers its tenant now, and whose holder may."""


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
        """Refused(TENANT_NOT_FOUND) when the tenant is unknown, ACCOUNT_DELETED for a service account that is gone,
        ROLE_NOT_FOUND for a role that was just deleted.

        A user without a name in the tenant is called as this key.
        """
        try:
            async with self._database.transaction() as connection:
                made = await connection.fetchval(
                    "INSERT INTO gateway.api_key "
                    "(id, tenant_id, user_id, name, role, role_id, hash, created_by, made_with, expires_at) "
                    f"SELECT $1, t.id, $3, $4, $5, $6, $7, $8, $9, $10 {WHILE_IT_STANDS} RETURNING id",
                    key.id, key.tenant_id, key.user_id, key.name, *stored(key.given), hashed, created_by,
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
        except asyncpg.ForeignKeyViolationError:
            return role_not_found(key.given.id)
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
                "WHERE id = $2 AND tenant_id = $1 AND revoked_at IS NULL AND ($3 OR role <> 'tenant_admin' OR EXISTS ("
                f"SELECT FROM gateway.api_key k WHERE k.tenant_id = $1 AND k.id <> $2 AND {GOOD_ADMIN})) RETURNING id",
                tenant_id, key_id, may_be_last,
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


async def revoke_made_by(
    connection: Connection,
    *,
    tenant_id: UUID,
    user_id: UUID,
    home_tenant_id: UUID,
    within: Rights | None,
) -> list[UUID]:
    """Revoke the keys that a guest made in the tenant, and those that were made with them, and so on; those stay that
    may do no more than `within` allows (None: none stay).
    """
    made = await connection.fetch(
        f"""
        WITH RECURSIVE made (id) AS (
            SELECT k.id FROM gateway.api_key k JOIN gateway.api_key h ON h.id = k.made_with
            WHERE k.tenant_id = $1 AND h.tenant_id = $2 AND h.user_id = $3
            UNION
            SELECT k.id FROM gateway.api_key k JOIN made m ON k.made_with = m.id WHERE k.tenant_id = $1
        )
        SELECT k.id, {role_in("k", "r")} AS given FROM gateway.api_key k LEFT JOIN gateway.role r ON r.id = k.role_id
        WHERE k.id IN (SELECT id FROM made) AND k.revoked_at IS NULL FOR UPDATE OF k
        """,
        tenant_id,
        home_tenant_id,
        user_id,
    )
    ended = [
        row["id"]
        for row in made
        if within is None or not within.may(rights_of(row["given"]).permissions)
    ]
    await connection.execute(
        "UPDATE gateway.api_key SET revoked_at = now(), updated = now() WHERE id = ANY ($1::uuid[])",
        ended,
    )
    return ended


def _key(row: asyncpg.Record) -> Key:
    given = rights_of(row["given"])
    return Key(
        id=row["id"],
        tenant_id=row["tenant_id"],
        user_id=row["user_id"],
        name=row["name"],
        role=BY_ID.get(given.id, Role.READ_ONLY),
        custom=None if given.id in BY_ID else given,
        ceiling=None if row["ceiling"] is None else rights_of(row["ceiling"]),
        expires_at=row["expires_at"],
        memberships={
            UUID(tenant): Entry(UUID(id_), rights_of(role))
            for tenant, (id_, role) in row["memberships"].items()
        },
    )
