"""Lazarus' SQL. Methods are named for the question they answer; none commits."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from libs.contracts.heartbeat import HEARD_WITHIN
from libs.runtime.database import Connection, statement
from libs.runtime.records import RecordStatement
from services.lazarus.domain import Distressed, GiveUp, Revive

ANNOUNCED_WITHIN = timedelta(minutes=30)  # silent runs are announced again every ten minutes


class Proposal(NamedTuple):
    """A record of what is proposed for a run as it was at `version`."""

    id: UUID
    tenant_id: UUID
    flow_run_id: UUID
    version: int
    attempt: int
    outcome: str


_RECORD = RecordStatement(__file__, "record", decided=Proposal)


@dataclass(frozen=True, slots=True)
class Store:
    """Statements on one connection, inside its transaction."""

    connection: Connection

    async def distressed(
        self,
        *,
        now: datetime | None,
        after: timedelta,
        per_tenant: int,
        again: timedelta,
        everywhere: bool,
    ) -> list[Distressed]:
        """Runs without a live process; unless `everywhere`, of those that are Submitted or were announced as silent."""
        rows = await self.connection.fetch(
            statement(__file__, "distressed"),
            now,
            after,
            per_tenant,
            again,
            HEARD_WITHIN,
            everywhere,
            ANNOUNCED_WITHIN,
        )
        return [Distressed(**dict(row)) for row in rows]

    async def still_distressed(
        self, runs: Collection[Distressed], *, now: datetime | None, after: timedelta
    ) -> set[UUID]:
        """Those without a ping, a state or a change of the safeguard since they were found."""
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
        """Record proposals under these ids; returns the runs to propose."""
        rows = await _RECORD.fetch(
            self.connection,
            decided=[
                Proposal(
                    id=record_id,
                    tenant_id=run.tenant_id,
                    flow_run_id=run.flow_run_id,
                    version=run.version,
                    attempt=_attempt(decision),
                    outcome="revive" if isinstance(decision, Revive) else "give_up",
                )
                for record_id, run, decision in decided
            ],
            at=now,
            again=again,
        )
        return {row["flow_run_id"] for row in rows}


def _attempt(decision: Revive | GiveUp) -> int:
    match decision:
        case Revive(attempt=attempt):
            return attempt
        case GiveUp(attempts=attempts):
            return attempts + 1
