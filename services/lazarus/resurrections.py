"""Find distressed runs, decide, propose, record."""

import asyncio
import math
import random
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from libs.contracts import subjects
from libs.contracts.runs import Reschedule
from libs.runtime import faults, metrics
from libs.runtime.bus import Bus
from libs.runtime.database import Database
from libs.runtime.ids import NewId
from services.lazarus.domain import Distressed, GiveUp, Revive, decide
from services.lazarus.settings import LazarusSettings
from services.lazarus.store import Store

PROPOSE_AGAIN = timedelta(hours=1)  # a proposal without an effect after this time was lost
CHUNK = 20  # proposals of one transaction, sent without a pause
BREATH = 3.0  # most seconds between two, so that a small outage ends soon


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """The numbers of one tick."""

    revived: int = 0
    given_up: int = 0


class Resurrections:
    """Proposals to the ledger."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        settings: LazarusSettings,
        *,
        ids: NewId,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._database = database
        self._bus = bus
        self._settings = settings
        self._ids = ids
        self._log = log

    async def tick(self, now: datetime | None = None) -> Ticked:
        """Propose to reschedule distressed runs, or to fail them. Tests pass a time."""
        found = await self._distressed(
            now, per_tenant=self._settings.lazarus_tenant_rate, everywhere=True
        )
        return await self._propose_all(found, now, spread=self._settings.lazarus_spread)

    async def tick_due(self, now: datetime | None = None) -> Ticked:
        """The same soon after a run becomes distressed, for the few that may be.

        At most as many a second as `tick` proposes in its interval, so that an outage does not end in a stampede.
        """
        settings = self._settings
        share = min(settings.lazarus_due_tick / settings.lazarus_tick, 1.0)
        rate = math.ceil(settings.lazarus_tenant_rate * share)
        found = await self._distressed(now, per_tenant=rate, everywhere=False)
        spread = min(settings.lazarus_due_tick / 2, settings.lazarus_spread)
        return await self._propose_all(found, now, spread=spread)

    async def _distressed(
        self, now: datetime | None, *, per_tenant: int, everywhere: bool
    ) -> list[Distressed]:
        async with self._database.transaction() as connection:
            found = await Store(connection).distressed(
                now=now,
                after=self._settings.lazarus_after,
                per_tenant=per_tenant,
                again=PROPOSE_AGAIN,
                everywhere=everywhere,
            )
        metrics.DISTRESSED.set(len(found))
        return found

    async def _propose_all(
        self, found: list[Distressed], now: datetime | None, *, spread: timedelta
    ) -> Ticked:
        random.shuffle(found)  # tenants share the interval; no tenant's backlog comes first
        chunks = [found[i : i + CHUNK] for i in range(0, len(found), CHUNK)]
        pause = min(spread.total_seconds() / max(len(chunks), 1), BREATH)
        done: Counter[str] = Counter()
        for number, chunk in enumerate(chunks):
            if number:
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, guards nothing
            done += await self._propose(chunk, now)
        ticked = Ticked(revived=done["revive"], given_up=done["give_up"])
        if found:
            self._log.info("runs_resurrected", revived=ticked.revived, given_up=ticked.given_up)
        return ticked

    async def _propose(self, runs: list[Distressed], now: datetime | None) -> Counter[str]:
        limit = self._settings.lazarus_limit
        async with self._database.transaction() as connection:
            store = Store(connection)
            still = await store.still_distressed(runs, now=now, after=self._settings.lazarus_after)
            decided = [
                (self._ids(), run, decide(run, limit=limit))
                for run in runs
                if run.flow_run_id in still
            ]
            ours = await store.record(decided, now=now, again=PROPOSE_AGAIN)
            mine = [one for one in decided if one[1].flow_run_id in ours]
            await faults.reached(faults.Point.LAZARUS_BEFORE_PROPOSE)
            await asyncio.gather(*(self._publish(*one) for one in mine))
        outcomes = Counter(
            "give_up" if isinstance(decision, GiveUp) else "revive" for _, _, decision in mine
        )
        for outcome, count in outcomes.items():
            metrics.RESURRECTIONS.labels(outcome).inc(count)
        return outcomes

    async def _publish(self, record_id: UUID, run: Distressed, decision: Revive | GiveUp) -> None:
        limit = self._settings.lazarus_limit
        attempt = decision.attempt if isinstance(decision, Revive) else decision.attempts + 1
        await self._bus.publish_work(
            subjects.WORK_RESCHEDULE.at(flow_run_id=run.flow_run_id),
            Reschedule(
                tenant_id=run.tenant_id,
                flow_run_id=run.flow_run_id,
                seen_version=run.version,
                attempt=attempt,
                limit=limit,
                give_up=isinstance(decision, GiveUp),
            ),
            key=str(record_id),
        )
        self._log.info(
            "run_distressed",
            flow_run_id=str(run.flow_run_id),
            seen_version=run.version,
            attempt=attempt,
            give_up=isinstance(decision, GiveUp),
        )
