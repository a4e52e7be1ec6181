"""Lazarus' SQL. Methods are named for the question they answer; none commits."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.contracts.heartbeat import HEARD_WITHIN
from libs.runtime.database import Connection, statement
from services.lazarus.domain import Distressed, GiveUp, Revive


@dataclass(frozen=True, slots=True)
class Store:
    """Statements on one connection, inside its transaction."""

    connection: Connection

    async def distressed(
        self, *, now: datetime | None, after: timedelta, per_tenant: int, again: timedelta
    ) -> list[Distressed]:
        """Runs that nobody works on."""
        rows = await self.connection.fetch(
            statement(__file__, "distressed"), now, after, per_tenant, again, HEARD_WITHIN
        )
        return [Distressed(**dict(row)) for row in rows]

    async def still_distressed(
        self, runs: Collection[Distressed], *, now: datetime | None, after: timedelta
    ) -> set[UUID]:
        """Those that nobody heard, moved or switched off since they were found."""
        rows = await self.connection.fetch(
            statement(__file__, "still_distressed"),
            [run.flow_run_id for run in runs],
            [run.version for run in runs],
            now,
            after,
        )
        return {row["id"] for row in rows}

    async def record(
        self,
        decided: list[tuple[UUID, Distressed, Revive | GiveUp]],
        *,
        now: datetime | None,
        again: timedelta,
    ) -> set[UUID]:
        """Record proposals under these ids; the runs that are ours to propose."""
        rows = await self.connection.fetch(
            statement(__file__, "record"),
            [record_id for record_id, _, _ in decided],
            [run.tenant_id for _, run, _ in decided],
            [run.flow_run_id for _, run, _ in decided],
            [run.version for _, run, _ in decided],
            [_attempt(decision) for _, _, decision in decided],
            ["revive" if isinstance(decision, Revive) else "give_up" for _, _, decision in decided],
            now,
            again,
        )
        return {row["flow_run_id"] for row in rows}


def _attempt(decision: Revive | GiveUp) -> int:
    match decision:
        case Revive(attempt=attempt):
            return attempt
        case GiveUp(attempts=attempts):
            return attempts + 1
