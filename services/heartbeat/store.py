"""The heartbeat service's SQL. Methods are named for the question they answer; none commits."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.runtime.database import Connection, statement
from services.heartbeat.domain import SilentRun

ANNOUNCE_AGAIN = timedelta(minutes=10)  # a zombie that is one still: its event may have been lost


@dataclass(frozen=True, slots=True)
class Store:
    """Statements on one connection, inside its transaction."""

    connection: Connection

    async def now(self) -> datetime:
        """The database's clock."""
        now: datetime = await self.connection.fetchval("SELECT now()")
        return now

    async def see(self, pings: Mapping[str, str], *, coarse: timedelta) -> dict[UUID, UUID]:
        """Note pings (run to tenant, as text: asyncpg reads UUIDs faster than Python); those without a row."""
        rows = await self.connection.fetch(
            statement(__file__, "see"), list(pings), list(pings.values()), coarse
        )
        return {row["flow_run_id"]: row["tenant_id"] for row in rows}

    async def guard(self, runs: Collection[UUID], *, anew: bool) -> dict[UUID, UUID]:
        """Guard the running ones whose flow has heartbeats enabled; run to tenant of those."""
        rows = await self.connection.fetch(statement(__file__, "guard"), list(runs), anew)
        return {row["flow_run_id"]: row["tenant_id"] for row in rows}

    async def unguard(self, runs: Collection[UUID]) -> None:
        """Forget those whose flow has heartbeats disabled."""
        await self.connection.execute(statement(__file__, "unguard"), list(runs))

    async def facts(self, runs: Collection[UUID]) -> dict[UUID, SilentRun]:
        """What is known of these runs."""
        rows = await self.connection.fetch(statement(__file__, "facts"), list(runs))
        return {row["flow_run_id"]: SilentRun(**dict(row)) for row in rows}

    async def overdue(self, after: timedelta, *, limit: int) -> list[SilentRun]:
        """Guarded runs that nobody heard for this long."""
        rows = await self.connection.fetch(
            statement(__file__, "overdue"), after, limit, ANNOUNCE_AGAIN
        )
        return [SilentRun(**dict(row)) for row in rows]

    async def announce(
        self, zombies: list[tuple[SilentRun, datetime]], *, now: datetime, lapse: timedelta
    ) -> set[UUID]:
        """Record zombies with their last sign of life; the runs to announce. None when we were deaf for `lapse`."""
        rows = await self.connection.fetch(
            statement(__file__, "announce"),
            [run.flow_run_id for run, _ in zombies],
            [run.version for run, _ in zombies],
            [run.tenant_id for run, _ in zombies],
            [last_seen for _, last_seen in zombies],
            now,
            ANNOUNCE_AGAIN,
            lapse,
        )
        return {row["flow_run_id"] for row in rows}

    async def watch(self, lapse: timedelta) -> None:
        """Confirm that pings are heard. After a gap, or a jump of the clock, the watch begins anew."""
        begins: bool = await self.connection.fetchval(statement(__file__, "watch"), lapse)
        if begins:
            await self.connection.execute(statement(__file__, "forgive"))

    async def hearing(self, lapse: timedelta) -> datetime | None:
        """Since when pings are heard; None when they are not."""
        since: datetime | None = await self.connection.fetchval(
            statement(__file__, "hearing"), lapse
        )
        return since

    async def guarded(self) -> int:
        """How many running runs are guarded."""
        count: int = await self.connection.fetchval(
            "SELECT count(*) FROM runs.flow_run r JOIN heartbeat.last_seen s ON s.flow_run_id = r.id"
            " WHERE r.state IN ('Running', 'Cancelling')"
        )
        return count

    async def see_tasks(self, pings: Mapping[UUID, UUID]) -> None:
        """Note pings of task runs (task run to tenant)."""
        await self.connection.execute(
            statement(__file__, "see_tasks"), list(pings), list(pings.values())
        )
