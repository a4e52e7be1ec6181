"""The heartbeat service's SQL. Methods are named for the question they answer; none commits.

A run is named by its key (`domain.last_heard.key_of`): tenant and id together, so no statement names a run without its
tenant.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - as the standard library's, and faster

from libs.runtime.database import Connection, statement
from services.heartbeat.domain.judgement import SilentRun
from services.heartbeat.domain.last_heard import key_of

# Repeated for a run that is still a zombie: its event may have been lost.
ANNOUNCE_AGAIN = timedelta(minutes=10)
PAGE = 20_000


@dataclass(frozen=True, slots=True)
class Store:
    """Statements on one connection, inside its transaction."""

    connection: Connection

    async def now(self) -> datetime:
        """The database's clock."""
        now: datetime = await self.connection.fetchval("SELECT now()")
        return now

    async def guarded_after(self, flow_run_id: UUID) -> list[tuple[UUID, bytes, float]]:
        """The next guarded live runs in the order of their ids: id, key, seconds since they were seen."""
        rows = await self.connection.fetch(statement(__file__, "guarded"), flow_run_id, PAGE)
        return [
            (row["flow_run_id"], key_of(row["tenant_id"], row["flow_run_id"]), row["age"])
            for row in rows
        ]

    async def see(self, ages: Mapping[bytes, float], *, fresh: float) -> dict[bytes, float | None]:
        """Write that these runs pinged this many seconds ago, except rows that are older by at most `fresh`.

        Returns those not written: seconds since they were seen, or None for a run without a row of this tenant.
        """
        rows = await self.connection.fetch(
            statement(__file__, "see"), *_halves(ages), list(ages.values()), fresh
        )
        return {key_of(row["tenant_id"], row["flow_run_id"]): row["age"] for row in rows}

    async def guard(self, runs: Collection[bytes], *, anew: bool) -> set[bytes]:
        """Guard those of the runs that are running and whose flow has heartbeats enabled; returns them."""
        rows = await self.connection.fetch(statement(__file__, "guard"), *_halves(runs), anew)
        return {key_of(row["tenant_id"], row["flow_run_id"]) for row in rows}

    async def unguard(self, runs: Collection[bytes]) -> None:
        """Delete the rows of those whose flow has heartbeats disabled."""
        await self.connection.execute(statement(__file__, "unguard"), *_halves(runs))

    async def facts(self, runs: Collection[bytes]) -> dict[bytes, SilentRun]:
        """The facts about these tenants' runs."""
        rows = await self.connection.fetch(statement(__file__, "facts"), *_halves(runs))
        return {
            key_of(row["tenant_id"], row["flow_run_id"]): SilentRun(**dict(row)) for row in rows
        }

    async def overdue(self, after: timedelta, *, limit: int) -> list[SilentRun]:
        """Guarded runs without a sign of life for this long."""
        rows = await self.connection.fetch(
            statement(__file__, "overdue"), after, limit, ANNOUNCE_AGAIN
        )
        return [SilentRun(**dict(row)) for row in rows]

    async def announce(
        self, zombies: list[tuple[SilentRun, datetime]], *, now: datetime, lapse: timedelta
    ) -> set[UUID]:
        """Record zombies with their last sign of life; returns the runs to announce.

        None when no replica has confirmed within `lapse` that pings are heard.
        """
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

    async def prune(self, retention: timedelta, *, limit: int) -> int:
        """Delete zombies whose runs are gone or ended this long ago; returns how many."""
        rows = await self.connection.fetch(statement(__file__, "prune"), retention, limit)
        return len(rows)

    async def watch(self, lapse: timedelta) -> None:
        """Confirm that pings are heard. After a gap, or a jump of the clock, the watch starts anew."""
        begins: bool = await self.connection.fetchval(statement(__file__, "watch"), lapse)
        if begins:
            await self.connection.execute(statement(__file__, "forgive"))

    async def watched_since(self, lapse: timedelta) -> datetime | None:
        """Since when some replica hears pings, without a gap; None when none does."""
        since: datetime | None = await self.connection.fetchval(
            statement(__file__, "watched"), lapse
        )
        return since

    async def guarded(self) -> dict[bytes, int]:
        """How many running runs of each tenant are guarded."""
        rows = await self.connection.fetch(
            "SELECT r.tenant_id, count(*) FROM runs.flow_run r"
            " JOIN heartbeat.last_seen s ON s.flow_run_id = r.id"
            " WHERE r.state IN ('Running', 'Cancelling') GROUP BY r.tenant_id"
        )
        return {row["tenant_id"].bytes: row["count"] for row in rows}

    async def see_tasks(self, pings: Collection[tuple[UUID, UUID]]) -> None:
        """Note pings of task runs, (tenant, task run); ignored when the task run has another tenant."""
        await self.connection.execute(
            statement(__file__, "see_tasks"),
            [tenant for tenant, _ in pings],
            [task_run for _, task_run in pings],
        )


def _halves(keys: Collection[bytes]) -> tuple[list[UUID], list[UUID]]:
    """Tenants and runs, as parameters of a statement."""
    return [DriverUUID(key[:16]) for key in keys], [DriverUUID(key[16:]) for key in keys]
