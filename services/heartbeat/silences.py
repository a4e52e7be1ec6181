"""Judge silent runs, and announce the zombies."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from structlog.typing import FilteringBoundLogger

from libs.contracts.heartbeat import FlowRunZombieDetected
from libs.runtime import faults, metrics, outbox
from libs.runtime.database import Database
from libs.runtime.ids import NewId
from services.heartbeat.domain.judgement import (
    Drop,
    NotYet,
    SilentRun,
    Why,
    Zombie,
    judge,
)
from services.heartbeat.domain.last_heard import key_of
from services.heartbeat.domain.mass_silence import HeldGroups, Holds, RunCounts
from services.heartbeat.pings import LATE, Pings
from services.heartbeat.settings import HeartbeatSettings
from services.heartbeat.store import Store
from services.heartbeat.watch import Watch

AT_ONCE = 1000  # silent runs judged in one transaction
SWEEP_LIMIT = 1000
PRUNE_LIMIT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The outcomes for silent runs."""

    zombies: int = 0
    not_yet: int = 0
    dropped: int = 0


class Silences:
    """Judges silent runs. It announces none for a time in which this process, or every replica, was not listening."""

    def __init__(
        self,
        database: Database,
        settings: HeartbeatSettings,
        pings: Pings,
        watch: Watch,
        *,
        monotonic: Callable[[], float],
        ids: NewId,
        committed: Callable[[], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._database = database
        self._settings = settings
        self._pings = pings
        self._memory = pings.memory
        self._watch = watch
        self._monotonic = monotonic
        self._ids = ids
        self._committed = committed
        self._log = log
        self._silence = settings.heartbeat_silence.total_seconds()
        self._guarded: Mapping[bytes, int] = {}
        self._counted = -math.inf
        self._holds = Holds()
        self._held = HeldGroups()

    # by memory

    async def judge(self) -> Judged:
        """Judge the runs that this process has not heard for the silence."""
        judged = Judged()
        while self._memory.has_silent(self._monotonic() - self._silence):
            if not self._watch.covers(self._silence):
                break
            held = await self._whose_are_held()
            since = self._monotonic() - self._silence
            taken = self._memory.take_silent(since, limit=AT_ONCE, held=held)
            if not taken:
                break
            try:
                judged = _sum(judged, await self._judge(taken))
            except BaseException:
                for key, heard in taken.items():
                    self._memory.look_again(key, heard)
                raise
        return judged

    async def _judge(self, taken: Mapping[bytes, float]) -> Judged:
        async with self._database.transaction() as connection:
            store = Store(connection)
            facts = await store.facts(taken)
            now = await store.now()
        outcomes: Counter[str] = Counter()
        zombies: dict[bytes, tuple[SilentRun, datetime]] = {}
        for key in taken:
            run = facts.get(key)
            if run is None:
                outcomes[Why.UNKNOWN] += 1
                continue
            match judge(run, now=now, silence=self._settings.heartbeat_silence):
                case Zombie(last_seen=last_seen):
                    zombies[key] = (run, last_seen)
                case NotYet(rest=rest):
                    outcomes[Why.ALIVE] += 1
                    heard = self._monotonic() - self._silence + rest.total_seconds()
                    self._memory.look_again(key, heard)
                case Drop(why=why):
                    outcomes[why] += 1
        # Heard meanwhile: the ping brings the run back into memory by itself.
        still = {k: found for k, found in zombies.items() if not self._is_heard(k)}
        outcomes[Why.ALIVE] += len(zombies) - len(still)
        announced = await self._announce(list(still.values()), now) if still else set()
        for key, (run, _) in still.items():
            # Announced by another replica; or not at all, because another heard it or the watch has lapsed meanwhile.
            if run.flow_run_id not in announced:
                self._memory.look_again(key, self._monotonic())
        for outcome, count in outcomes.items():
            metrics.SILENCES.labels(outcome).inc(count)
        return Judged(
            zombies=len(announced),
            not_yet=outcomes[Why.ALIVE],
            dropped=outcomes.total() - outcomes[Why.ALIVE],
        )

    def _is_heard(self, key: bytes) -> bool:
        """Whether this process heard the run within the silence, including pings that are not written yet."""
        heard = self._memory.heard_at(key)
        is_fresh = heard is not None and heard > self._monotonic() - self._silence
        return is_fresh or self._pings.listener.has_just_heard(key)

    # by the tables

    async def sweep(self) -> Judged:
        """Find guarded runs that are in no replica's memory: the replica was killed before their first ping."""
        settings = self._settings
        after = settings.heartbeat_silence + settings.heartbeat_sweep_grace
        async with self._database.transaction() as connection:
            store = Store(connection)
            since = await store.watched_since(settings.heartbeat_lapse)
            now = await store.now()
            if self._watch.obstacles or since is None or now - since < after:
                return Judged()
            overdue = await store.overdue(after, limit=SWEEP_LIMIT)
        # When a row is older than our own memory the fault is ours, not the run's.
        silent = [r for r in overdue if not self._is_heard(key_of(r.tenant_id, r.flow_run_id))]
        if silent:
            held = await self._whose_are_held()
            silent = [r for r in silent if key_of(r.tenant_id, r.flow_run_id) not in held]
        if not silent:
            return Judged()
        announced = await self._announce([(run, run.seen) for run in silent], now)
        return Judged(zombies=len(announced))

    async def prune(self, *, limit: int = PRUNE_LIMIT) -> int:
        """Delete the records of zombies that nobody needs any more, so many at once; returns how many."""
        async with self._database.transaction() as connection:
            return await Store(connection).prune(
                self._settings.heartbeat_zombie_retention, limit=limit
            )

    # when too many are silent at once

    async def census(self) -> int:
        """Count the guarded runs; once an interval, because a million of them take a second to count."""
        async with self._database.transaction() as connection:
            self._guarded = await Store(connection).guarded()
        self._counted = self._monotonic()
        guarded = sum(self._guarded.values())
        metrics.RUNS_MONITORED.set(guarded)
        return guarded

    async def _whose_are_held(self) -> HeldGroups:
        counts = self._run_counts()
        # Many may have finished since the last census; not counted again for each check during a mass silence.
        is_old = (
            self._monotonic() - self._counted
            > self._settings.heartbeat_check_interval.total_seconds()
        )
        if is_old and self._silent_groups(counts):
            await self.census()
            counts = self._run_counts()
        before = self._held
        self._held = self._holds.look(
            counts,
            least=self._settings.heartbeat_mass_silence_runs,
            share=self._settings.heartbeat_mass_silence_share,
            now=self._monotonic(),
            silence=self._silence,
        )
        if self._held.groups - before.groups:
            self._log.error(
                "mass_silence",
                tenants=[str(UUID(bytes=t)) for t in self._held.groups if t]
                or "several small ones",
                advice="most of their runs do not ping; is the way to us open?",
            )
        metrics.MASS_SILENCE.set(int(bool(self._held.groups)))
        return self._held

    def _silent_groups(self, counts: RunCounts) -> set[bytes]:
        settings = self._settings
        return counts.silent_groups(
            least=settings.heartbeat_mass_silence_runs, share=settings.heartbeat_mass_silence_share
        )

    def _run_counts(self) -> RunCounts:
        missed_one = self._monotonic() - LATE * self._settings.heartbeat_interval.total_seconds()
        return RunCounts(
            guarded=self._guarded,
            known=self._memory.by_tenant,
            silent=self._memory.silent_by_tenant(missed_one),
        )

    # both

    async def _announce(
        self, zombies: list[tuple[SilentRun, datetime]], now: datetime
    ) -> set[UUID]:
        async with self._database.transaction() as connection:
            fresh = await Store(connection).announce(
                zombies, now=now, lapse=self._settings.heartbeat_lapse
            )
            await faults.reached(faults.Point.HEARTBEAT_BEFORE_PROPOSE)
            await outbox.add(
                connection,
                "heartbeat",
                (
                    FlowRunZombieDetected(
                        event_id=self._ids(),
                        at=now,
                        tenant_id=run.tenant_id,
                        flow_run_id=run.flow_run_id,
                        version=run.version,
                        last_seen=last_seen,
                    )
                    for run, last_seen in zombies
                    if run.flow_run_id in fresh
                ),
            )
        self._committed()
        metrics.ZOMBIES.inc(len(fresh))
        metrics.SILENCES.labels("zombie").inc(len(fresh))
        for run, last_seen in zombies:
            if run.flow_run_id in fresh:
                self._log.info(
                    "zombie_detected",
                    flow_run_id=str(run.flow_run_id),
                    version=run.version,
                    state=run.state,
                    last_seen=last_seen.isoformat(),
                )
        return fresh


def _sum(one: Judged, other: Judged) -> Judged:
    return Judged(
        zombies=one.zombies + other.zombies,
        not_yet=one.not_yet + other.not_yet,
        dropped=one.dropped + other.dropped,
    )
