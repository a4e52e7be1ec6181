"""The scheduler's SQL. Methods are named for the question they answer; none commits."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.runtime.database import Connection, statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A row that this replica holds. `schedule` None: it is no longer followed.

    `changed` says that the ledger may hold runs of another schedule, or none; `horizon` None, that every instant is to
    be proposed.
    """

    flow_id: UUID
    tenant_id: UUID
    schedule: Any
    fingerprint: str
    horizon: datetime | None
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """A flow that is no longer followed. `pending`: the ledger still holds runs of its schedule."""

    flow_id: UUID
    tenant_id: UUID
    pending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a claimed row becomes."""

    flow_id: UUID
    schedule: Any
    fingerprint: str
    next_due: datetime | None
    horizon: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """Counts for the metrics. A row without a next look is one that cannot be read."""

    active: int
    broken: int


@dataclass(frozen=True, slots=True)
class Store:
    """Statements on one connection, inside its transaction."""

    connection: Connection

    async def now(self) -> datetime:
        """The database's clock."""
        now: datetime = await self.connection.fetchval("SELECT now()")
        return now

    async def adopt(self) -> int:
        """Make rows for flows that have none; how many."""
        done: str = await self.connection.execute(statement(__file__, "adopt"))
        return int(done.rsplit(" ", 1)[1])

    async def followed(self) -> Followed:
        """How many schedules are followed, and how many of those cannot be read."""
        row = await self.connection.fetchrow(
            "SELECT count(*) AS active, count(*) FILTER (WHERE next_due IS NULL) AS broken"
            " FROM scheduler.schedule WHERE active"
        )
        assert row is not None  # noqa: S101 - an aggregate always answers
        return Followed(active=row["active"], broken=row["broken"])

    async def claim_stale(self, limit: int) -> list[Claimed]:
        """Rows that differ from the registry."""
        rows = await self.connection.fetch(statement(__file__, "claim_stale"), limit)
        return [Claimed(**dict(row)) for row in rows]

    async def claim_due(self, limit: int, *, now: datetime) -> list[Claimed]:
        """Rows whose first instant has passed."""
        rows = await self.connection.fetch(statement(__file__, "claim_due"), limit, now)
        return [Claimed(**dict(row)) for row in rows]

    async def claim_lost(self, limit: int, *, now: datetime, patience: timedelta) -> list[Claimed]:
        """Rows whose newest instant never reached the ledger."""
        rows = await self.connection.fetch(statement(__file__, "claim_lost"), limit, now, patience)
        return [Claimed(**dict(row)) for row in rows]

    async def claim_paused(self, limit: int, *, now: datetime) -> list[Paused]:
        """Rows of flows that are no longer followed, whose runs should be gone by now."""
        rows = await self.connection.fetch(statement(__file__, "claim_paused"), limit, now)
        return [Paused(**dict(row)) for row in rows]

    async def pause(self, flow_ids: list[UUID], *, again: datetime, now: datetime) -> None:
        """Note that these flows are no longer followed; they are looked at `again`."""
        await self.connection.execute(statement(__file__, "pause"), flow_ids, again, now)

    async def settle(self, rows: list[Settled], *, now: datetime) -> None:
        """Write what was decided."""
        await self.connection.execute(
            statement(__file__, "settle"),
            [row.flow_id for row in rows],
            [row.schedule for row in rows],
            [row.fingerprint for row in rows],
            [row.next_due for row in rows],
            [row.horizon for row in rows],
            now,
        )

    async def forget(self, flow_ids: list[UUID]) -> None:
        """Delete rows of flows that are no longer followed and have no pending runs."""
        await self.connection.execute(
            "DELETE FROM scheduler.schedule WHERE flow_id = ANY($1::uuid[])", flow_ids
        )

    async def doubt(self, flow_id: UUID) -> None:
        """Look at this flow anew, whatever the row says: something happened to it."""
        await self.connection.execute(
            "UPDATE scheduler.schedule SET fingerprint = '' WHERE flow_id = $1", flow_id
        )
