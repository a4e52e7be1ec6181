"""Reads of the runs service's rows for the gateway itself: leases, and the use of limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from services.gateway.lease_checks import LeaseClaim
from services.gateway.store.base import Rows

_LEASE_WITHIN = 2.0
"""Seconds; a slow database must not delay a ping."""
_USAGES = 1000
"""Labels or tags in one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The numbers of a label or tag: running, allowed (None: any number), waiting for a slot."""

    name: str
    usage: int
    limit: int | None
    waiting: int


class RunRows(Rows):
    """Only reads: runs are the runs service's."""

    async def held(self, asked: Sequence[LeaseClaim]) -> set[LeaseClaim]:
        """Those with a valid lease. TimeoutError when the database does not answer soon."""
        # The pool's own time-out is only for the statement: when all connections hang, the wait is for a connection.
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
        return {LeaseClaim(row["tenant_id"], row["id"], row["lease_token"]) for row in rows}

    async def has_lines(self, tenant_id: UUID, flow_run_id: UUID, at: datetime) -> bool | None:
        """Whether the run has log lines of that day in UTC; None when the tenant has no such run."""
        day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        found: bool | None = await self._database.pool.fetchval(
            "SELECT EXISTS (SELECT FROM runs.log l WHERE l.flow_run_id = r.id AND l.tenant_id = r.tenant_id "
            "AND l.timestamp >= $3 AND l.timestamp < $3 + interval '1 day') "
            "FROM runs.flow_run r WHERE r.tenant_id = $1 AND r.id = $2",
            tenant_id, flow_run_id, day,
        )  # fmt: skip
        return found

    async def flow_concurrency(self, tenant_id: UUID, labels: Sequence[str] | None) -> list[Usage]:
        """The numbers of these labels, in the given order; None for every label with a limit, by name."""
        rows = await self._database.pool.fetch(
            f"""
            WITH asked AS (
                SELECT name, index FROM unnest($2::text[]) WITH ORDINALITY AS a (name, index)
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
            ORDER BY a.index, a.name LIMIT {_USAGES}
            """,
            tenant_id,
            labels,
        )
        return [Usage(**row) for row in rows]

    async def task_concurrency(self, tenant_id: UUID, tags: Sequence[str] | None) -> list[Usage]:
        """The numbers of these task tags; without a limit task runs are not counted, so it shows none."""
        # Only Queued ones wait for a slot; the list of states beside it is that of the index to be used.
        rows = await self._database.pool.fetch(
            f"""
            WITH asked AS (
                SELECT name, index FROM unnest($2::text[]) WITH ORDINALITY AS a (name, index)
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
            ORDER BY a.index, a.name LIMIT {_USAGES}
            """,
            tenant_id,
            tags,
        )
        return [Usage(**row) for row in rows]
