"""The scheduler's shell: claim rows, decide, propose, settle."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from libs.contracts import registry, streams, subjects
from libs.contracts.base import Message
from libs.contracts.registry import FlowEvent
from libs.contracts.runs import ClearScheduled, CreateScheduled
from libs.runtime import faults, metrics
from libs.runtime.clock import Clock, utc_now
from libs.runtime.ids import NewId, new_id
from libs.runtime.service import Service
from services.scheduler.domain.proposals import Proposal, propose
from services.scheduler.domain.schedules import BadScheduleError, parse
from services.scheduler.settings import SchedulerSettings
from services.scheduler.store import Claimed, Settled, Store

FLOWS = next(d for d in streams.EVENTS.durables if d.name == "scheduler__flows")
PATIENCE = timedelta(seconds=30)  # how long a proposal may be on its way to the ledger

_EVENTS: tuple[type[FlowEvent], ...] = (
    registry.FlowRegistered,
    registry.FlowPieceRegistered,
    registry.FlowArchived,
    registry.FlowUnarchived,
    registry.FlowScheduleChanged,
    registry.FlowDeleted,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """What one tick did."""

    adopted: int = 0
    changed: int = 0
    topped_up: int = 0
    proposed_again: int = 0
    cleared_again: int = 0
    instants: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decided:
    settled: tuple[Settled, ...]
    paused: tuple[UUID, ...]
    messages: tuple[
        tuple[str, Message], ...
    ]  # in the order in which they must reach the stream, per flow
    instants: int


class Scheduler(Service):
    """See the package's page."""

    name: ClassVar[str] = "scheduler"

    def __init__(
        self, settings: SchedulerSettings, *, clock: Clock = utc_now, ids: NewId = new_id
    ) -> None:
        super().__init__(settings, clock=clock, ids=ids)
        self._settings = settings
        self._ticks = self.add_loop("schedules", interval=settings.schedule_tick, tick=self.tick)

    def declare(self) -> None:
        """Follow the registry's events, and tell the ledger what is to be made."""
        self.bus.need(streams.WORK)
        self.bus.consume(FLOWS, streams.EVENTS, _body, self.on_flow_event)

    async def on_flow_event(self, event: FlowEvent) -> None:
        """Something happened to a flow: look at it anew, now."""
        if isinstance(event, registry.FlowPieceRegistered) and not event.whole:
            return  # it is not followed before it is whole
        async with self.database.transaction() as connection:
            await Store(connection).doubt(event.flow_id)
        self._ticks.poke()

    # the ten runs ahead

    async def tick(self, now: datetime | None = None) -> Ticked:
        """Bring the ledger up to date with the registry; counts what was done. Tests pass a time."""
        async with self.database.transaction() as connection:
            store = Store(connection)
            now = now or await store.now()
            adopted = await store.adopt()
            followed = await store.followed()
            metrics.SCHEDULES_ACTIVE.set(followed.active)
            metrics.SCHEDULES_BROKEN.set(followed.broken)
        batch = self._settings.schedule_batch
        moment = now
        changed, a = await self._settle_all(lambda store: store.claim_stale(batch), moment)
        topped_up, b = await self._settle_all(
            lambda store: store.claim_due(batch, now=moment), moment
        )
        again, c = await self._settle_all(
            lambda store: store.claim_lost(batch, now=moment, patience=PATIENCE), moment
        )
        cleared = await self._clear_again(moment)
        done = Ticked(
            adopted=adopted,
            changed=changed,
            topped_up=topped_up,
            proposed_again=again,
            cleared_again=cleared,
            instants=a + b + c,
        )
        metrics.RUNS_SCHEDULED.inc(done.instants)
        if changed or again:
            self.log.info(
                "schedules_followed",
                adopted=adopted,
                changed=changed,
                topped_up=topped_up,
                proposed_again=again,
                instants=done.instants,
            )
        return done

    async def _settle_all(
        self, claim: Callable[[Store], Awaitable[list[Claimed]]], now: datetime
    ) -> tuple[int, int]:
        rows = instants = 0
        while True:
            async with self.database.transaction() as connection:
                store = Store(connection)
                claimed = await claim(store)
                if not claimed:
                    return rows, instants
                # Reading a schedule is plain computing, at worst a tenth of a second each: not on the event loop.
                decided = await asyncio.to_thread(self._decide, claimed, now)
                await faults.reached(faults.Point.SCHEDULER_BEFORE_PROPOSE)
                await self._publish(decided.messages)
                await store.pause(list(decided.paused), again=now + PATIENCE, now=now)
                await store.settle(list(decided.settled), now=now)
            rows += len(claimed)
            instants += decided.instants
            if len(claimed) < self._settings.schedule_batch:
                return rows, instants

    async def _clear_again(self, now: datetime) -> int:
        """Forget paused flows whose pending runs are gone; say it again where they are not."""
        async with self.database.transaction() as connection:
            store = Store(connection)
            claimed = await store.claim_paused(self._settings.schedule_batch, now=now)
            pending = [row for row in claimed if row.pending]
            await self._publish(tuple(_clear(row.tenant_id, row.flow_id, None) for row in pending))
            if pending:
                flow_ids = [row.flow_id for row in pending]
                await store.pause(flow_ids, again=now + PATIENCE, now=now)
            if claimed:
                await store.forget([row.flow_id for row in claimed if not row.pending])
        return len(pending)

    def _decide(self, claimed: list[Claimed], now: datetime) -> _Decided:
        settled: list[Settled] = []
        paused: list[UUID] = []
        messages: list[tuple[str, Message]] = []
        instants = 0
        for row in claimed:
            proposal = None if row.schedule is None else self._proposal(row, now)
            if row.changed:
                messages.append(_clear(row.tenant_id, row.flow_id, proposal))
            if proposal is None:
                paused.append(row.flow_id)
                continue
            fresh = [
                instant
                for instant in proposal.instants
                if row.changed or row.horizon is None or instant.start_time >= row.horizon
            ]
            if fresh:
                messages.append(
                    (
                        subjects.WORK_CREATE_SCHEDULED.at(flow_id=row.flow_id),
                        CreateScheduled(
                            tenant_id=row.tenant_id, flow_id=row.flow_id, instants=fresh
                        ),
                    )
                )
            instants += len(fresh)
            settled.append(
                Settled(
                    flow_id=row.flow_id,
                    schedule=row.schedule,
                    fingerprint=row.fingerprint,
                    next_due=proposal.next_due,
                    horizon=proposal.horizon,
                )
            )
        return _Decided(
            settled=tuple(settled),
            paused=tuple(paused),
            messages=tuple(messages),
            instants=instants,
        )

    def _proposal(self, row: Claimed, now: datetime) -> Proposal:
        try:
            return propose(
                parse(row.schedule),
                now=now,
                ahead=self._settings.schedule_ahead,
                look_again=self._settings.schedule_look_again,
            )
        except Exception as error:
            # One bad schedule must not hold up the others. Its row is settled with nothing to do, so that this is
            # said once, and again only when the schedule changes.
            self.log.error(
                "schedule_unreadable",
                flow_id=str(row.flow_id),
                reason=str(error),
                exc_info=not isinstance(error, BadScheduleError),
            )
            return Proposal(instants=(), horizon=None, next_due=None)

    async def _publish(self, messages: tuple[tuple[str, Message], ...]) -> None:
        """Clear before create: NATS keeps the order in which one connection publishes."""
        await asyncio.gather(
            *(
                self.bus.publish_work(subject, body, key=str(self.ids()))
                for subject, body in messages
            )
        )


def _body(subject: str) -> type[FlowEvent] | None:
    """The class for a subject of `hw.evt.flow`; None for events that change no schedule."""
    prefix = subject.rsplit(".", 1)[0]
    return next((e for e in _EVENTS if e.subject.template.rsplit(".", 1)[0] == prefix), None)


def _clear(tenant_id: UUID, flow_id: UUID, proposal: Proposal | None) -> tuple[str, Message]:
    keep = [] if proposal is None else [(i.start_time, i.schedule_hash) for i in proposal.instants]
    return (
        subjects.WORK_CLEAR_SCHEDULED.at(flow_id=flow_id),
        ClearScheduled(tenant_id=tenant_id, flow_id=flow_id, keep=keep),
    )


def build(settings: SchedulerSettings) -> Scheduler:
    """The service, ready to start."""
    return Scheduler(settings)
