"""Claim rows, decide, send the proposals to the ledger, write the rows."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

import structlog

from libs.contracts import registry, subjects
from libs.contracts.base import Message
from libs.contracts.registry import FlowEvent
from libs.contracts.runs import ClearScheduled, CreateScheduled, ForgetDeleted
from libs.runtime import faults, metrics
from libs.runtime.bus import Bus
from libs.runtime.database import Database
from libs.runtime.ids import NewId
from services.scheduler.domain.proposals import UNREADABLE, Proposal, Upcoming, propose, upcoming
from services.scheduler.domain.schedules import BadScheduleError, parse
from services.scheduler.settings import SchedulerSettings
from services.scheduler.store import Claimed, Settled, Store

T = TypeVar("T")

PATIENCE = timedelta(seconds=30)  # how long a proposal may take to reach the ledger
INSTANTS_AT_ONCE = 200  # in one message: keeps the ledger's transactions short


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """The numbers of one tick."""

    adopted: int = 0
    changed: int = 0
    topped_up: int = 0
    cleared_again: int = 0
    instants: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decided:
    """`messages` are in the order in which they must reach the stream, per flow."""

    settled: tuple[Settled, ...]
    paused: tuple[UUID, ...]
    messages: tuple[tuple[str, Message], ...]
    instants: int


class Planner:
    """Keeps the planned runs of the ledger equal to the schedules."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        settings: SchedulerSettings,
        *,
        ids: NewId,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._database = database
        self._bus = bus
        self._settings = settings
        self._ids = ids
        self._log = log

    async def on_flow_event(self, event: FlowEvent) -> None:
        """A flow has changed: it is evaluated again at the next tick."""
        if isinstance(event, registry.FlowPieceRegistered) and not event.whole:
            return  # it is not followed before it is complete
        if isinstance(event, registry.FlowScheduleChanged) and event.on_again:
            await self._bus.publish_work(
                subjects.WORK_FORGET_DELETED.at(flow_id=event.flow_id),
                ForgetDeleted(tenant_id=event.tenant_id, flow_id=event.flow_id),
                key=f"{event.event_id}:forget_deleted",
            )
        async with self._database.transaction() as connection:
            await Store(connection).doubt(event.flow_id)

    # the next ten instants

    async def tick(self, now: datetime | None = None) -> Ticked:
        """Bring the ledger up to date with the registry; returns the numbers. Tests pass a time."""
        async with self._database.transaction() as connection:
            store = Store(connection)
            now = now or await store.now()
            adopted = await store.adopt()
            followed = await store.followed()
            metrics.SCHEDULES_ACTIVE.set(followed.active)
            metrics.SCHEDULES_BROKEN.set(followed.broken)
            metrics.SCHEDULES_BLOCKED.set(followed.blocked)
        batch = self._settings.schedule_batch
        at = now
        changed, a = await self._settle_all(lambda store: store.claim_stale(batch), at)
        topped_up, b = await self._settle_all(lambda store: store.claim_due(batch, now=at), at)
        cleared = await self._clear_again(at)
        done = Ticked(
            adopted=adopted,
            changed=changed,
            topped_up=topped_up,
            cleared_again=cleared,
            instants=a + b,
        )
        metrics.RUNS_SCHEDULED.inc(done.instants)
        if changed:
            self._log.info(
                "schedules_followed",
                adopted=adopted,
                changed=changed,
                topped_up=topped_up,
                instants=done.instants,
            )
        return done

    async def compare(self, now: datetime | None = None) -> int:
        """Propose again for flows whose runs in the ledger differ; returns how many flows. Tests pass a time."""
        async with self._database.transaction() as connection:
            store = Store(connection)
            at = now or await store.now()
            different = await store.find_different(now=at, patience=PATIENCE)
        done = 0
        for some in _in_steps(different, self._settings.schedule_batch):
            claim = partial(Store.claim_different, flow_ids=list(some), now=at)
            done += (await self._settle_once(claim, at))[0]
        if done:
            metrics.SCHEDULES_RESUBMITTED.inc(done)
            self._log.warning("schedules_resubmitted", flows=done)
        return done

    async def _settle_all(
        self, claim: Callable[[Store], Awaitable[list[Claimed]]], now: datetime
    ) -> tuple[int, int]:
        rows = instants = 0
        while True:
            claimed, said = await self._settle_once(claim, now)
            rows += claimed
            instants += said
            if claimed < self._settings.schedule_batch:
                return rows, instants

    async def _settle_once(
        self, claim: Callable[[Store], Awaitable[list[Claimed]]], now: datetime
    ) -> tuple[int, int]:
        """Claim some rows, send the proposals, write the rows; returns (rows, instants)."""
        async with self._database.transaction() as connection:
            store = Store(connection)
            claimed = await claim(store)
            if not claimed:
                return 0, 0
            # Evaluating a schedule takes CPU, at worst a tenth of a second each: not on the event loop.
            decided = await asyncio.to_thread(self._decide, claimed, now)
            await faults.reached(faults.Point.SCHEDULER_BEFORE_PROPOSE)
            await self._publish(decided.messages)
            await store.pause(list(decided.paused), again=now + PATIENCE, now=now)
            await store.settle(list(decided.settled), now=now)
        return len(claimed), decided.instants

    async def _clear_again(self, now: datetime) -> int:
        """Delete the rows of paused flows without pending runs; for the others propose the clearing again."""
        async with self._database.transaction() as connection:
            store = Store(connection)
            claimed = await store.claim_paused(self._settings.schedule_batch, now=now)
            pending = [row for row in claimed if row.pending]
            await self._publish(tuple(_clear_all(row.tenant_id, row.flow_id) for row in pending))
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
            if row.schedule is None:
                messages.append(_clear_all(row.tenant_id, row.flow_id))
                paused.append(row.flow_id)
                continue
            coming, proposal = self._propose(row, now)
            messages += _messages(row, proposal, now)
            instants += len(proposal.create)
            settled.append(
                Settled(
                    row=row,
                    said=proposal.said,
                    next_due=coming.next_due,
                    reason=coming.reason,
                    cleared=proposal.keep is not None,
                )
            )
        return _Decided(
            settled=tuple(settled),
            paused=tuple(paused),
            messages=tuple(messages),
            instants=instants,
        )

    def _propose(self, row: Claimed, now: datetime) -> tuple[Upcoming, Proposal]:
        try:
            coming = upcoming(
                parse(row.schedule),
                required=row.required,
                now=now,
                ahead=self._settings.schedule_ahead,
                look_again=self._settings.schedule_retry_interval,
            )
        except Exception as error:
            # One bad schedule must not delay the others. Runs that an earlier release made of it stay: this release may
            # be wrong, and the schedule is evaluated again later.
            reason = f"{UNREADABLE}: {error}"
            if reason != row.reason:
                self._log.error(
                    "schedule_unreadable",
                    flow_id=str(row.flow_id),
                    reason=str(error),
                    exc_info=not isinstance(error, BadScheduleError),
                )
            coming = Upcoming(
                instants={}, next_due=now + self._settings.schedule_retry_interval, reason=reason
            )
            if row.changed:
                return coming, Proposal(create=(), keep=(), said={})
            return coming, Proposal(create=(), keep=None, said=row.said)
        if coming.reason is not None and coming.reason != row.reason:
            self._log.warning("schedule_blocked", flow_id=str(row.flow_id), reason=coming.reason)
        return coming, propose(coming, row.said, changed=row.changed, again=row.again, now=now)

    async def _publish(self, messages: tuple[tuple[str, Message], ...]) -> None:
        """Clear before create: NATS keeps the order in which one connection publishes."""
        await asyncio.gather(
            *(
                self._bus.publish_work(subject, body, key=str(self._ids()))
                for subject, body in messages
            )
        )


def _messages(row: Claimed, proposal: Proposal, now: datetime) -> list[tuple[str, Message]]:
    """The messages to the ledger: first the runs to clear, then those to make, in parts that fit into one commit."""
    messages: list[tuple[str, Message]] = []
    if proposal.keep is not None:
        messages.append(
            (
                subjects.WORK_CLEAR_SCHEDULED.at(flow_id=row.flow_id),
                ClearScheduled(
                    tenant_id=row.tenant_id,
                    flow_id=row.flow_id,
                    keep=list(proposal.keep),
                    after=now,
                    seen_schedule=row.fingerprint,
                ),
            )
        )
    messages += [
        (
            subjects.WORK_CREATE_SCHEDULED.at(flow_id=row.flow_id),
            CreateScheduled(
                tenant_id=row.tenant_id,
                flow_id=row.flow_id,
                instants=list(some),
                seen_schedule=row.fingerprint,
            ),
        )
        for some in _in_steps(proposal.create, INSTANTS_AT_ONCE)
    ]
    return messages


def _clear_all(tenant_id: UUID, flow_id: UUID) -> tuple[str, Message]:
    """For a flow that is no longer followed."""
    return (
        subjects.WORK_CLEAR_SCHEDULED.at(flow_id=flow_id),
        ClearScheduled(tenant_id=tenant_id, flow_id=flow_id, seen_schedule=""),
    )


def _in_steps(items: Sequence[T], step: int) -> Iterator[Sequence[T]]:
    return (items[at : at + step] for at in range(0, len(items), step))
