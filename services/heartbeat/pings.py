"""From pings to memory to rows: when each run was heard, and how often that is written."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from uuid import UUID

from structlog.typing import FilteringBoundLogger

from libs.runtime import metrics
from libs.runtime.database import Database
from services.heartbeat.domain.last_heard import LastHeard
from services.heartbeat.domain.ping_budget import PingBudget
from services.heartbeat.listener import PingListener
from services.heartbeat.settings import HeartbeatSettings
from services.heartbeat.store import Store

LATE = 1.5
"""Intervals after which a run is late; its last ping is then written to the second."""
REST = 3
"""A tenant that pings too much is left out for this part of an interval."""
WARN_EACH = 60.0  # seconds
UNKNOWN_RUNS = 5_000
"""Unknown runs of one tenant that are looked up at once. Real runs are added by their Running state. Pings of runs that
do not exist, however many, do not delay other tenants."""


class Pings:
    """Takes pings into `memory`, and writes `last_seen` and `task_last_seen`. `monotonic` gives seconds."""

    def __init__(
        self,
        database: Database,
        settings: HeartbeatSettings,
        memory: LastHeard,
        *,
        monotonic: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self.listener = PingListener()
        self.memory = memory
        self._database = database
        self._settings = settings
        self._monotonic = monotonic
        self._log = log
        interval = settings.heartbeat_interval.total_seconds()
        self._budget = PingBudget(interval)
        self._rest = interval / REST
        # Tenants that are left out because they send too much, and until when.
        self._unheard: dict[bytes, float] = {}
        self._warned = -WARN_EACH
        self._due: dict[bytes, float] = {}
        self._unknown: dict[bytes, float] = {}
        # By tenant and task run: a ping may name any task run, also one of another tenant.
        self._task_pings: set[tuple[UUID, UUID]] = set()

    async def fill(self) -> int:
        """Load the live runs of the table, each counted as heard now; returns how many."""
        page = UUID(int=0)
        while True:
            async with self._database.transaction() as connection:
                rows = await Store(connection).guarded_after(page)
            now = self._monotonic()
            # Whole seconds, so that many runs share one timestamp in memory.
            self.memory.fill({key: now - round(age) for _, key, age in rows}, now)
            if not rows:
                return len(self.memory)
            page = rows[-1][0]

    async def hear(self) -> int:
        """Take the received pings into memory. Waits for nothing, so it goes on when other parts hang."""
        heard, now = self.listener.collect(), self._monotonic()
        coarse = self._settings.heartbeat_write_interval.total_seconds()
        due, unknown = self.memory.hear(heard, now, coarse=coarse)
        self._due |= dict.fromkeys(due, now)
        room = Counter(dict.fromkeys({key[:16] for key in unknown}, UNKNOWN_RUNS))
        room.subtract(Counter(key[:16] for key in self._unknown))
        for key in unknown:
            if room[key[:16]] > 0:
                room[key[:16]] -= 1
                self._unknown[key] = now
        metrics.PINGS_RECEIVED.inc(len(heard))
        await self._bound(now)
        return len(heard)

    async def _bound(self, now: float) -> None:
        """Leave out tenants that send more than their runs can: a flood would delay the pings of others.

        No run is judged by pings that we chose not to receive. So the tenant's runs count as heard, and its dead runs
        are not found while the flood lasts. Other tenants are not affected.
        """
        over = self._budget.spend(self.listener.counts(), self.memory.by_tenant, now)
        ended = {tenant for tenant, until in self._unheard.items() if until <= now} - over
        if not over and not self._unheard:
            return
        fresh = over - self._unheard.keys()
        if fresh and now - self._warned > WARN_EACH:
            self._warned = now
            self._log.warning(
                "pings_limited",
                tenants=[str(UUID(bytes=tenant)) for tenant in fresh],
                advice="an agent of theirs pings faster than runs do; their dead runs are not found meanwhile",
            )
        if concerned := fresh | ended:
            runs = self.memory.of_tenants(concerned)
            due, _ = self.memory.hear(
                runs, now, coarse=self._settings.heartbeat_write_interval.total_seconds()
            )
            self._due |= dict.fromkeys(due, now)
        self._unheard |= dict.fromkeys(over, now + self._rest)
        for tenant in ended:
            del self._unheard[tenant]
        metrics.TENANTS_THROTTLED.set(len(self._unheard))
        if self._unheard:
            heard = self.memory.by_tenant.keys() - self._unheard.keys()
            await self.listener.listen_to(UUID(bytes=tenant) for tenant in heard)
        else:
            await self.listener.listen()

    async def write(self) -> int:
        """Update the rows: coarsely for runs that ping, to the second for runs that stopped; returns how many.

        Nothing is lost when an outage prevents the write: a run that pings is due again with its next ping, and a run
        that stopped stays late until it is written.
        """
        due, self._due = self._due, {}
        unknown, self._unknown = self._unknown, {}
        horizon = self._monotonic() - LATE * self._settings.heartbeat_interval.total_seconds()
        late = self.memory.late(horizon)
        fresh = self._settings.heartbeat_write_interval.total_seconds() / 2
        for part in self._parts(due):
            await self._write(part, fresh=fresh)
        for part in self._parts(late):
            await self._write(part, fresh=0)
        for part in self._parts(unknown):
            await self._meet(part, fresh=fresh)
        return len(due) + len(late) + len(unknown)

    def _parts(self, times: Mapping[bytes, float]) -> Iterator[dict[bytes, float]]:
        """In key order, so that adjacent index entries are written together."""
        keys = sorted(times, key=_run)
        for start in range(0, len(keys), self._settings.heartbeat_batch):
            yield {key: times[key] for key in keys[start : start + self._settings.heartbeat_batch]}

    async def _write(self, heard: dict[bytes, float], *, fresh: float) -> set[bytes]:
        """Write when these were heard; returns those without a row. Another replica may have written already."""
        now = self._monotonic()
        ages = {key: now - at for key, at in heard.items()}
        async with self._database.transaction() as connection:
            others = await Store(connection).see(ages, fresh=fresh)
        rows = heard | {key: now - age for key, age in others.items() if age is not None}
        self.memory.wrote(rows)
        absent = {key for key, age in others.items() if age is None}
        for key in absent:
            self.memory.forget(key)
        return absent

    async def _meet(self, heard: dict[bytes, float], *, fresh: float) -> None:
        """Add the runs that have a row, or must get one. A ping counts only for a run of the tenant that sent it."""
        now = self._monotonic()
        ages = {key: now - at for key, at in heard.items()}
        async with self._database.transaction() as connection:
            store = Store(connection)
            others = await store.see(ages, fresh=fresh)
            absent = {key: ages[key] for key, age in others.items() if age is None}
            guarded = await store.guard(absent, anew=False) if absent else set()
            missing = {key: age for key, age in absent.items() if key not in guarded}
            # Race: another replica heard the same first ping, and made the row since we looked.
            again = await store.see(missing, fresh=fresh) if missing else {}
        rowless = {key for key, age in again.items() if age is None}
        found = (others | again).items()
        rows = heard | {key: now - age for key, age in found if age is not None}
        known = {key: at for key, at in rows.items() if key not in rowless}
        # Memory is ordered by time, so they count as heard now; a second late at most.
        self.memory.add(known, self._monotonic())

    def wait_for(self, guarded: Collection[bytes]) -> None:
        """Add runs that have begun; they count as heard now."""
        now = self._monotonic()
        self.memory.add(dict.fromkeys(guarded, now), now)
        self.memory.hear(guarded, now, coarse=float("inf"))

    def on_task_ping(self, tenant_id: UUID, task_run_id: UUID) -> None:
        """Keep it until the next flush; shown, never judged."""
        self._task_pings.add((tenant_id, task_run_id))

    async def write_tasks(self) -> int:
        """Write the pings of task runs that came since the last flush."""
        pings, self._task_pings = self._task_pings, set()
        if pings:
            async with self._database.transaction() as connection:
                await Store(connection).see_tasks(pings)
        return len(pings)

    async def end(self) -> None:
        """Stop receiving, and write the pings received until now."""
        await self.listener.end()
        await self.hear()
        await self.write()
        await self.write_tasks()


def _run(key: bytes) -> bytes:
    return key[16:]
