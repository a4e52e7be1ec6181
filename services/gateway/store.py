"""The gateway's own tables: tenants, keys, the audit trail. The only place of the gateway that writes rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime.database import Connection, Database
from libs.runtime.departed import tables_of
from services.gateway.keys import Key, Listed, Membership, Role, beyond
from services.gateway.leases import Held

_KEY_WITH_MEMBERSHIPS = (
    "SELECT k.id, k.tenant_id, k.user_id, k.name, k.role, k.expires_at, k.created, k.updated, k.created_by, "
    "(SELECT coalesce(jsonb_object_agg(m.tenant_id, m.role), '{}') FROM gateway.membership m "
    "WHERE m.user_id = k.user_id AND m.home_tenant_id = k.tenant_id) AS memberships "
    "FROM gateway.api_key k"
)

_WHILE_IT_STANDS = "FROM gateway.tenant t WHERE t.id = $2 FOR KEY SHARE OF t"
"""The tenant of a new row, kept from being deleted until the row is committed: a late writer finds no tenant."""

_LEASE_WITHIN = 2.0
"""Seconds; a ping is not held up by a slow database."""
_USAGES = 1000
"""Labels or tags in one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A tenant as its members see it."""

    id: UUID
    slug: str
    name: str
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A membership in a list of them."""

    id: UUID
    created: datetime
    updated: datetime
    membership: Membership


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How a label or tag stands: at work, allowed (None: any number), waiting for a slot."""

    name: str
    usage: int
    limit: int | None
    waiting: int


class Store:
    """Each method is one statement or one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tenant_ids(self) -> list[UUID]:
        """Every tenant's id, oldest first."""
        rows = await self._database.pool.fetch("SELECT id FROM gateway.tenant ORDER BY created, id")
        return [row["id"] for row in rows]

    async def ensure_first_tenant(self, tenant_id: UUID) -> None:
        """Make the tenant `default` if there is none at all: clients in server mode take the first they see."""
        async with self._database.transaction() as connection:
            # Two gateways starting at once must not make two.
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtext('gateway.first_tenant'))"
            )
            await connection.execute(
                "INSERT INTO gateway.tenant (id, name, slug) SELECT $1, 'default', 'default' "
                "WHERE NOT EXISTS (SELECT FROM gateway.tenant)",
                tenant_id,
            )

    async def create_tenant(self, tenant_id: UUID, *, name: str, slug: str) -> UUID | Refused:
        """Refused(SLUG_TAKEN) when another tenant has it."""
        try:
            await self._database.pool.execute(
                "INSERT INTO gateway.tenant (id, name, slug) VALUES ($1, $2, $3)",
                tenant_id, name, slug,
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            return Refused(code=Code.SLUG_TAKEN, fields={"slug": slug})
        return tenant_id

    async def update_tenant(
        self, tenant_id: UUID, *, name: str | None, slug: str | None
    ) -> UUID | Refused:
        """Set what is given. Refused(TENANT_NOT_FOUND) for an unknown tenant, SLUG_TAKEN for a taken slug."""
        try:
            updated = await self._database.pool.fetchval(
                "UPDATE gateway.tenant SET name = coalesce($2, name), slug = coalesce($3, slug), "
                "updated = now() WHERE id = $1 RETURNING id",
                tenant_id, name, slug,
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            return Refused(code=Code.SLUG_TAKEN, fields={"slug": slug or ""})
        return tenant_id if updated else tenant_not_found(tenant_id)

    async def merge_tenant_settings(self, tenant_id: UUID, settings: dict[str, Any]) -> bool:
        """Merge into the settings, in one statement so that no concurrent merge is lost."""
        updated = await self._database.pool.fetchval(
            "UPDATE gateway.tenant SET settings = settings || $2, updated = now() "
            "WHERE id = $1 RETURNING id",
            tenant_id, settings,
        )  # fmt: skip
        return updated is not None

    async def tenants(self, tenant_ids: Sequence[UUID]) -> dict[UUID, Tenant]:
        """Those of the tenants that there are, by id."""
        rows = await self._database.pool.fetch(
            "SELECT id, slug, name, settings FROM gateway.tenant WHERE id = ANY ($1::uuid[])",
            list(tenant_ids),
        )
        return {row["id"]: Tenant(**row) for row in rows}

    async def held(self, asked: Sequence[Held]) -> set[Held]:
        """Those whose run is still the attempt's that was given the token. TimeoutError when nobody answers soon."""
        # The pool's own time-out is of the statement: where all connections hang, the wait is for one of them.
        async with self._database.pool.acquire(timeout=_LEASE_WITHIN) as connection:
            rows = await connection.fetch(
                "SELECT r.tenant_id, r.id, r.lease_token FROM runs.flow_run r "
                "JOIN unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS asked (tenant_id, id, lease_token) "
                "USING (tenant_id, id, lease_token)",
                [held.tenant_id for held in asked],
                [held.flow_run_id for held in asked],
                [held.token for held in asked],
                timeout=_LEASE_WITHIN,
            )
        return {Held(row["tenant_id"], row["id"], row["lease_token"]) for row in rows}

    async def delete_tenant(self, tenant_id: UUID) -> list[UUID] | None:
        """Delete the tenant, its keys and its rows of this service; None when there is no such tenant.

        One transaction: from its commit on nobody is let in, and a writer who was under way finds no tenant. The other
        services delete what is theirs when they see the row of `deleted_tenant` (`libs.runtime.departed`). The audit
        trail stays. Answers the keys that ended: the tenant's, and those that its people made as guests of others.
        """
        async with self._database.transaction() as connection:
            deleted = await connection.fetchval(
                "SELECT id FROM gateway.tenant WHERE id = $1 FOR UPDATE", tenant_id
            )
            if deleted is None:
                return None
            abroad = await connection.fetch(
                "SELECT tenant_id, user_id, home_tenant_id, role FROM gateway.membership "
                "WHERE home_tenant_id = $1",
                tenant_id,
            )
            ended = [
                key_id
                for row in abroad
                for key_id in await _revoke_made_by(connection, _membership(row), roles=tuple(Role))
            ]
            keys = await connection.fetch(
                "DELETE FROM gateway.api_key WHERE tenant_id = $1 RETURNING id", tenant_id
            )
            for table in tables_of("gateway"):
                await connection.execute(
                    f"DELETE FROM {table.fullname} WHERE tenant_id = $1", tenant_id
                )
            await connection.execute(
                "DELETE FROM gateway.membership WHERE home_tenant_id = $1", tenant_id
            )
            await connection.execute("DELETE FROM gateway.tenant WHERE id = $1", tenant_id)
            await connection.execute(
                "INSERT INTO gateway.deleted_tenant (id) VALUES ($1) ON CONFLICT DO NOTHING",
                tenant_id,
            )
        return ended + [row["id"] for row in keys]

    # keys

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

    async def create_key(
        self, key: Key, hashed: bytes, *, created_by: UUID | None, made_with: UUID | None = None
    ) -> UUID | Refused:
        """Refused(TENANT_NOT_FOUND) when the tenant is unknown."""
        made = await self._database.pool.fetchval(
            "INSERT INTO gateway.api_key "
            "(id, tenant_id, user_id, name, role, hash, created_by, made_with, expires_at) "
            f"SELECT $1, t.id, $3, $4, $5, $6, $7, $8, $9 {_WHILE_IT_STANDS} RETURNING id",
            key.id, key.tenant_id, key.user_id, key.name, key.role.value, hashed, created_by,
            made_with, key.expires_at,
        )  # fmt: skip
        return made if made is not None else tenant_not_found(key.tenant_id)

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
                "INSERT INTO gateway.api_key (id, tenant_id, user_id, name, role, hash) "
                "SELECT $1, $2, $3, $4, $5, $6 "
                "WHERE NOT EXISTS (SELECT FROM gateway.api_key) RETURNING id",
                key.id, key.tenant_id, key.user_id, key.name, key.role.value, hashed,
            )  # fmt: skip
        return made is not None

    # memberships

    async def create_membership(
        self, new_id: UUID, membership: Membership
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
            return made, await _revoke_made_by(
                connection, membership, roles=beyond(membership.role)
            )

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
            return True, await _revoke_made_by(connection, _membership(row), roles=tuple(Role))

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
                membership=_membership(row),
            )
            for row in rows
        ]

    # key-values and secrets

    async def set_key_value(
        self, new_id: UUID, tenant_id: UUID, key: str, value: Any
    ) -> UUID | Refused:
        """The id of the pair, which stays when the value changes. Refused(TENANT_NOT_FOUND) when the tenant is gone."""
        made: UUID | None = await self._database.pool.fetchval(
            "INSERT INTO gateway.key_value (id, tenant_id, key, value) "
            f"SELECT $1, t.id, $3, $4 {_WHILE_IT_STANDS} "
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
            f"SELECT $1, t.id, $3, $4 {_WHILE_IT_STANDS} "
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

    async def flow_concurrency(self, tenant_id: UUID, labels: Sequence[str] | None) -> list[Usage]:
        """How these labels stand, in the order given; None for every label that has a limit, by name."""
        rows = await self._database.pool.fetch(
            f"""
            WITH asked AS (
                SELECT name, place FROM unnest($2::text[]) WITH ORDINALITY AS a (name, place)
                UNION ALL
                SELECT name, 0 FROM runs.flow_concurrency_limit WHERE tenant_id = $1 AND $2::text[] IS NULL
            )
            SELECT a.name, l."limit",
                CASE WHEN l.id IS NULL THEN (
                    SELECT count(*) FROM runs.flow_run r
                    WHERE r.tenant_id = $1 AND r.state IN ('Submitted', 'Running', 'Cancelling') AND r.labels ? a.name
                ) ELSE (SELECT count(*) FROM runs.concurrency_slot s WHERE s.limit_id = l.id) END AS usage,
                CASE WHEN l.id IS NULL THEN 0 ELSE (
                    SELECT count(*) FROM runs.flow_run r
                    WHERE r.tenant_id = $1 AND r.state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
                        AND (r.state_start_time <= now() OR r.state = 'Queued') AND r.labels ? a.name
                ) END AS waiting
            FROM asked a LEFT JOIN runs.flow_concurrency_limit l ON l.tenant_id = $1 AND l.name = a.name
            ORDER BY a.place, a.name LIMIT {_USAGES}
            """,
            tenant_id,
            labels,
        )
        return [Usage(**row) for row in rows]

    async def task_concurrency(self, tenant_id: UUID, tags: Sequence[str] | None) -> list[Usage]:
        """How these task tags stand; of a tag without a limit nobody counts the task runs, so it shows none."""
        # Only Queued ones wait for a slot; the list of states beside it is that of the index to be used.
        rows = await self._database.pool.fetch(
            f"""
            WITH asked AS (
                SELECT name, place FROM unnest($2::text[]) WITH ORDINALITY AS a (name, place)
                UNION ALL
                SELECT tag, 0 FROM runs.task_tag_limit WHERE tenant_id = $1 AND $2::text[] IS NULL
            )
            SELECT a.name, l."limit",
                (SELECT count(*) FROM runs.concurrency_slot s WHERE s.limit_id = l.id) AS usage,
                (
                    SELECT count(*) FROM runs.task_run t
                    WHERE t.tenant_id = $1 AND t.state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
                        AND t.state = 'Queued' AND t.serialized_state -> 'context' -> 'tags' ? a.name
                ) AS waiting
            FROM asked a LEFT JOIN runs.task_tag_limit l ON l.tenant_id = $1 AND l.tag = a.name
            ORDER BY a.place, a.name LIMIT {_USAGES}
            """,
            tenant_id,
            tags,
        )
        return [Usage(**row) for row in rows]

    async def audit(
        self,
        entry_id: UUID,
        *,
        tenant_id: UUID,
        actor: str,
        message: str,
        object_id: UUID | None,
        info: dict[str, Any],
    ) -> None:
        """Append to the audit trail."""
        await self._database.pool.execute(
            "INSERT INTO gateway.audit_log (id, tenant_id, actor, message, object_id, info) "
            "VALUES ($1, $2, $3, $4, $5, $6)",
            entry_id, tenant_id, actor, message, object_id, info,
        )  # fmt: skip


async def _revoke_made_by(
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


def _membership(row: asyncpg.Record) -> Membership:
    return Membership(
        tenant_id=row["tenant_id"],
        user_id=row["user_id"],
        home_tenant_id=row["home_tenant_id"],
        role=Role(row["role"]),
    )


def tenant_not_found(tenant_id: UUID) -> Refused:
    """There is no such tenant."""
    return Refused(code=Code.TENANT_NOT_FOUND, fields={"tenant_id": str(tenant_id)})


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
