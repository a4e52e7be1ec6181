"""The scheduler's SQL. Methods are named for the question they answer; none commits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from libs.contracts.base import JsonObject
from libs.runtime.database import Connection, statement
from libs.runtime.records import RecordStatement
from services.scheduler.domain.proposals import UNREADABLE, Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A row that this replica holds. `schedule` None: it is no longer followed.

    `changed`: the ledger may have runs of another schedule. `again`: propose all keys again. `said`: the proposed keys,
    each with its time. `required`: the parameters that every clock must give.
    """

    flow_id: UUID
    tenant_id: UUID
    schedule: Any
    fingerprint: str
    inputs: str
    required: frozenset[str]
    said: Mapping[Key, datetime]
    reason: str | None
    changed: bool
    again: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """A flow that is no longer followed. `pending`: the ledger still has runs of its schedule."""

    flow_id: UUID
    tenant_id: UUID
    pending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The new contents of a claimed row. `cleared`: a `ClearScheduled` was sent."""

    row: Claimed
    said: Mapping[Key, datetime]
    next_due: datetime
    reason: str | None
    cleared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """Counts for the metrics: `broken` cannot be parsed, `blocked` lack a required parameter."""

    active: int
    broken: int
    blocked: int


class ScheduleRow(NamedTuple):
    """What a row becomes. `required` and `planned` are JSON texts; `horizon` is the last instant that was said."""

    flow_id: UUID
    clocks: JsonObject | None
    fingerprint: str
    inputs: str
    required: str
    planned: str
    next_due: datetime
    horizon: datetime | None
    reason: str | None
    cleared: bool


_SETTLE = RecordStatement(__file__, "settle", settled=ScheduleRow)


@dataclass(frozen=True, slots=True)
class Store:
    """Statements on one connection, inside its transaction."""

    connection: Connection

    async def now(self) -> datetime:
        """The database's clock."""
        now: datetime = await self.connection.fetchval("SELECT now()")
        return now

    async def adopt(self) -> int:
        """Make rows for flows that have none; returns how many."""
        done: str = await self.connection.execute(statement(__file__, "adopt"))
        return int(done.rsplit(" ", 1)[1])

    async def followed(self) -> Followed:
        """How many schedules are followed, and how many of those yield fewer runs than they define."""
        row = await self.connection.fetchrow(
            f"""
            SELECT count(*) AS active,
                count(*) FILTER (WHERE starts_with(reason, '{UNREADABLE}')) AS broken,
                count(*) FILTER (WHERE NOT starts_with(reason, '{UNREADABLE}')) AS blocked
            FROM scheduler.schedule WHERE active
            """
        )
        assert row is not None  # noqa: S101 - an aggregate always answers
        return Followed(**row)

    async def claim_stale(self, limit: int) -> list[Claimed]:
        """Rows that differ from the registry."""
        rows = await self.connection.fetch(statement(__file__, "claim_stale"), limit)
        return [_claimed(row) for row in rows]

    async def claim_due(self, limit: int, *, now: datetime) -> list[Claimed]:
        """Rows whose first instant has passed."""
        rows = await self.connection.fetch(statement(__file__, "claim_due"), limit, now)
        return [_claimed(row) for row in rows]

    async def find_different(self, *, now: datetime, patience: timedelta) -> list[UUID]:
        """Flows whose planned runs differ from the proposals older than `patience`."""
        rows = await self.connection.fetch(
            statement(__file__, "find_different"), now, patience, UNREADABLE
        )
        return [row["flow_id"] for row in rows]

    async def claim_different(self, flow_ids: list[UUID], *, now: datetime) -> list[Claimed]:
        """Rows of these flows that no replica has handled since `now`."""
        rows = await self.connection.fetch(statement(__file__, "claim_different"), flow_ids, now)
        return [_claimed(row) for row in rows]

    async def claim_paused(self, limit: int, *, now: datetime) -> list[Paused]:
        """Rows of flows that are no longer followed, whose runs should be gone by now."""
        rows = await self.connection.fetch(statement(__file__, "claim_paused"), limit, now)
        return [Paused(**dict(row)) for row in rows]

    async def pause(self, flow_ids: list[UUID], *, again: datetime, now: datetime) -> None:
        """Note that these flows are no longer followed; they are checked at `again`."""
        await self.connection.execute(statement(__file__, "pause"), flow_ids, again, now)

    async def settle(self, rows: list[Settled], *, now: datetime) -> None:
        """Write the decisions."""
        await _SETTLE.execute(
            self.connection,
            settled=[
                ScheduleRow(
                    flow_id=each.row.flow_id,
                    clocks=each.row.schedule,
                    fingerprint=each.row.fingerprint,
                    inputs=each.row.inputs,
                    required=json.dumps(sorted(each.row.required)),
                    planned=_planned(each.said),
                    next_due=each.next_due,
                    horizon=max((start for start, _ in each.said), default=None),
                    reason=each.reason,
                    cleared=each.cleared,
                )
                for each in rows
            ],
            at=now,
        )

    async def forget(self, flow_ids: list[UUID]) -> None:
        """Delete rows of flows that are no longer followed and have no pending runs."""
        await self.connection.execute(
            "DELETE FROM scheduler.schedule WHERE flow_id = ANY($1::uuid[])", flow_ids
        )

    async def doubt(self, flow_id: UUID) -> None:
        """Mark this flow for a new evaluation, because it has changed."""
        await self.connection.execute(
            "UPDATE scheduler.schedule SET fingerprint = '' WHERE flow_id = $1", flow_id
        )


def _planned(said: Mapping[Key, datetime]) -> str:
    return json.dumps(
        [[start.isoformat(), digest, at.isoformat()] for (start, digest), at in said.items()]
    )


def _claimed(row: Any) -> Claimed:
    columns: dict[str, Any] = dict(row)
    said = {
        (datetime.fromisoformat(start), digest): datetime.fromisoformat(at)
        for start, digest, at in columns.pop("planned")
    }
    return Claimed(**columns | {"said": said, "required": frozenset(columns["required"])})
