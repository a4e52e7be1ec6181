"""The rows of bulk requests, in the gateway's own tables; no other code writes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from libs.contracts.base import JsonObject
from libs.runtime.database import Database
from services.gateway.bulk.decisions import Action, Item, Outcome, Result

UNFINISHED_OF_TENANT = 4
HOLD = timedelta(seconds=30)
"""The lease of a gateway on a request; three times as long as one command may take."""


class TooManyError(Exception):
    """The tenant has as many unfinished requests as it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. `arguments` are compared to distinguish a repetition from another request."""

    id: UUID
    tenant_id: UUID
    request_key: str
    action: Action
    created_by: UUID | None = None
    arguments: JsonObject
    total: int
    finished: bool
    counts: dict[str, int]
    """Items by outcome."""


@dataclass(frozen=True, slots=True)
class Row:
    """An item as people read it; `outcome` is None while it waits."""

    position: int
    id: UUID
    outcome: str | None
    reason: str | None
    state: str | None
    version: int | None


_REQUEST = """
SELECT r.id, r.tenant_id, r.request_key, r.action, r.created_by, r.arguments, r.total,
    r.finished_at IS NOT NULL AS finished,
    (SELECT coalesce(jsonb_object_agg(coalesce(outcome, 'pending'), number), '{}') FROM (
        SELECT i.outcome, count(*) AS number FROM gateway.bulk_item i WHERE i.request_id = r.id GROUP BY i.outcome
    ) counted) AS counts
FROM gateway.bulk_request r
"""


class BulkStore:
    """Reads and writes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, tenant_id: UUID, request_key: str) -> Request | None:
        """The tenant's request of this key."""
        row = await self._database.pool.fetchrow(
            f"{_REQUEST} WHERE r.tenant_id = $1 AND r.request_key = $2", tenant_id, request_key
        )
        return None if row is None else _request(row)

    async def by_id(self, request_id: UUID) -> Request | None:
        """The request; None once it was deleted."""
        row = await self._database.pool.fetchrow(f"{_REQUEST} WHERE r.id = $1", request_id)
        return None if row is None else _request(row)

    async def create(
        self, request: Request, items: Sequence[Item], missing: Sequence[UUID]
    ) -> Request:
        """Store the request with its items and unknown ids; returns the earlier request with this key, if any.

        Raises TooManyError.
        """
        async with self._database.transaction() as connection:
            # The race: two requests of one tenant count at once. The lock makes one wait.
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('bulk ' || $1::text, 0))",
                str(request.tenant_id),
            )
            row = await connection.fetchrow(
                f"{_REQUEST} WHERE r.tenant_id = $1 AND r.request_key = $2",
                request.tenant_id, request.request_key,
            )  # fmt: skip
            if row is not None:
                return _request(row)
            unfinished = await connection.fetchval(
                "SELECT count(*) FROM gateway.bulk_request WHERE tenant_id = $1 AND finished_at IS NULL",
                request.tenant_id,
            )
            if unfinished >= UNFINISHED_OF_TENANT:
                raise TooManyError
            await connection.execute(
                "INSERT INTO gateway.bulk_request (id, tenant_id, request_key, action, created_by, arguments, total)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7)",
                request.id, request.tenant_id, request.request_key, request.action.value, request.created_by,
                request.arguments, len(items) + len(missing),
            )  # fmt: skip
            await connection.copy_records_to_table(
                "bulk_item",
                schema_name="gateway",
                columns=[
                    "request_id", "position", "tenant_id", "object_id", "seen_version", "seen_state", "outcome",
                ],
                records=[
                    (request.id, i.position, request.tenant_id, i.id, i.seen_version, i.seen_state, None)
                    for i in items
                ] + [
                    (request.id, len(items) + n, request.tenant_id, id_, 0, "", Outcome.NOT_FOUND.value)
                    for n, id_ in enumerate(missing)
                ],
            )  # fmt: skip
            row = await connection.fetchrow(f"{_REQUEST} WHERE r.id = $1", request.id)
        if row is None:
            msg = "a row that was just written is not there"
            raise RuntimeError(msg)
        return _request(row)

    async def claim(self, request_id: UUID, worker: UUID) -> bool:
        """Take the request for this worker; False when another has it or it is finished."""
        row = await self._database.pool.fetchrow(
            "UPDATE gateway.bulk_request SET worker = $2, held_until = now() + $3::interval"
            " WHERE id = $1 AND finished_at IS NULL AND (held_until < now() OR worker = $2) RETURNING id",
            request_id, worker, HOLD,
        )  # fmt: skip
        return row is not None

    async def abandoned(self) -> list[UUID]:
        """Requests that are unfinished and that no gateway has."""
        rows = await self._database.pool.fetch(
            "SELECT id FROM gateway.bulk_request WHERE finished_at IS NULL AND held_until < now()"
            " ORDER BY created LIMIT 20"
        )
        return [row["id"] for row in rows]

    async def pending(self, request_id: UUID, *, after: int, limit: int) -> list[Item]:
        """The next items without a result, behind a position."""
        rows = await self._database.pool.fetch(
            "SELECT position, object_id, seen_version, seen_state FROM gateway.bulk_item"
            " WHERE request_id = $1 AND position > $2 AND outcome IS NULL ORDER BY position LIMIT $3",
            request_id, after, limit,
        )  # fmt: skip
        return [
            Item(r["position"], r["object_id"], r["seen_version"], r["seen_state"]) for r in rows
        ]

    async def record(self, request_id: UUID, results: Sequence[Result]) -> None:
        """Store results; the first result of an item stays."""
        await self._database.pool.execute(
            "UPDATE gateway.bulk_item i"
            " SET outcome = r.outcome, reason = r.reason, state = r.state, version = r.version"
            " FROM unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::int[])"
            " AS r (position, outcome, reason, state, version)"
            " WHERE i.request_id = $1 AND i.position = r.position AND i.outcome IS NULL",
            request_id, [r.position for r in results], [r.outcome.value for r in results],
            [r.reason for r in results], [r.state for r in results], [r.version for r in results],
        )  # fmt: skip

    async def finish(self, request_id: UUID) -> None:
        """Every item has a result."""
        await self._database.pool.execute(
            "UPDATE gateway.bulk_request r SET finished_at = now(), updated = now() WHERE id = $1 AND NOT EXISTS"
            " (SELECT FROM gateway.bulk_item i WHERE i.request_id = r.id AND i.outcome IS NULL)",
            request_id,
        )

    async def rows(
        self, request_id: UUID, *, after: int, limit: int, outcome: str | None = None
    ) -> list[Row]:
        """Items in order of their positions."""
        rows = await self._database.pool.fetch(
            "SELECT position, object_id, outcome, reason, state, version FROM gateway.bulk_item"
            " WHERE request_id = $1 AND position > $2 AND ($4::text IS NULL OR outcome = $4)"
            " ORDER BY position LIMIT $3",
            request_id, after, limit, outcome,
        )  # fmt: skip
        return [Row(*row) for row in rows]

    async def versions(self, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, tuple[int, str]]:
        """The current state of these flow runs."""
        rows = await self._database.pool.fetch(
            "SELECT id, version, state FROM runs.flow_run WHERE tenant_id = $1 AND id = ANY ($2::uuid[])",
            tenant_id, list(ids),
        )  # fmt: skip
        return {row["id"]: (row["version"], row["state"]) for row in rows}

    async def task_runs_in(
        self, tenant_id: UUID, flow_run_ids: Sequence[UUID], states: Sequence[str], *, limit: int
    ) -> list[tuple[UUID, UUID, int]]:
        """(flow run, task run, version) of task runs in these states."""
        rows = await self._database.pool.fetch(
            "SELECT flow_run_id, id, version FROM runs.task_run"
            " WHERE tenant_id = $1 AND flow_run_id = ANY ($2::uuid[]) AND state = ANY ($3::text[]) LIMIT $4",
            tenant_id, list(flow_run_ids), list(states), limit,
        )  # fmt: skip
        return [(row["flow_run_id"], row["id"], row["version"]) for row in rows]

    async def delete_old(self, retention: timedelta) -> int:
        """Delete finished requests past their retention, some at a time."""
        done: str = await self._database.pool.execute(
            "DELETE FROM gateway.bulk_request WHERE id IN (SELECT id FROM gateway.bulk_request"
            " WHERE finished_at < now() - $1::interval LIMIT 20)",
            retention,
        )
        return int(done.rpartition(" ")[2])


def _request(row: asyncpg.Record) -> Request:
    known: dict[str, Any] = dict(row)
    return Request(**known | {"action": Action(known["action"])})
