"""The worker: takes due deliveries, tries each, records what came of it. Any number of replicas at the same time.

    pending --lease--> (try) --2xx--> delivered
       ^                 |----again--> pending, due later
       |                 |----410----> switched_off, with the hooks that lead there
       |                 +-not wanted> switched_off: its action or cloud hook was deleted or switched off
       +---- redeliver --+----never--> failed

*Killed between the try and its record:* the lease ends, and another worker sends the same thing under the same key.
*PostgreSQL gone in between:* the same. *A receiver that hangs* holds its own deliveries: an addressee has
`delivery_per_receiver` tries at a time, a tenant half of all, and after five failures its breaker opens.
"""

import asyncio
import random
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from libs.contracts.base import Refused
from libs.contracts.gateway import SWITCH_OFF_CLOUD_HOOK, SwitchOffCloudHook
from libs.runtime import faults, metrics
from libs.runtime.bus import Bus
from libs.runtime.database import Database
from libs.runtime.failures import is_outage
from libs.runtime.ids import NewId
from services.automations.delivery.building import Builder
from services.automations.delivery.dead_letters import DeadLetters
from services.automations.delivery.secrets import CannotAskError
from services.automations.delivery.store import DeliveryStore, Leased, Room, Settled
from services.automations.delivery.transport import Addressed, Transport
from services.automations.domain import retries
from services.automations.domain.breaker import Breaker
from services.automations.domain.outgoing import (
    CannotBuildError,
    NotWantedError,
    SecretMissingError,
)
from services.automations.domain.redaction import redacted
from services.automations.domain.retries import (
    Again,
    Answer,
    Delivered,
    Drop,
    GiveUp,
    SwitchOff,
    Verdict,
)

OUTAGE = timedelta(seconds=5)
"""When it is looked at again after an outage of our own; no try is used up."""
LONGEST_TEST = 16.0
"""Seconds of a test, whatever it consists of: the gateway waits for 20, and a person for its answer."""
_TEST_WITHIN = 15.0
"""Seconds of one request of a test: less than the whole, so that the receiver is named that did not answer."""
ANSWER_CHARACTERS = 1024
ERROR_CHARACTERS = 500
SPREAD = timedelta(seconds=5)
"""What waited for a breaker comes up within this time, not at once."""
_FAREWELL = 10.0  # seconds for tries under way when the service stops

OWN_RECEIVER = "headwater"


class RunActions(Protocol):
    """Actions on runs: commands to our own services, under the same log and back-off as everything that is sent."""

    def has(self, action_type: str) -> bool:
        """Whether this type of action is one of them."""

    async def act(self, delivery: Leased) -> Answer:
        """Do it once. Never raises for a refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is tried at a time, and how long one request (seconds), and one lease, may take."""

    at_once: int
    of_one: int
    within: float
    lease: timedelta

    def longest_try(self, *, is_test: bool) -> float:
        """Seconds of one delivery, whatever it consists of: it is recorded before its lease ends."""
        longest = self.lease.total_seconds() * 0.75
        return min(longest, LONGEST_TEST) if is_test else longest

    def request(self, *, is_test: bool) -> float:
        """Seconds of one request."""
        return min(self.within, _TEST_WITHIN) if is_test else self.within


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One try: its answer, where it went, how long it took. `postponed` when nothing was tried."""

    answer: Answer
    receiver: str | None = None
    latency_ms: int = 0
    postponed: timedelta | None = None


class Worker:
    """See the module. `tick` takes what is due and returns; the tries go on, `settled` waits for them."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        builder: Builder,
        transport: Transport,
        *,
        limits: Limits,
        run_actions: RunActions | None,
        ids: NewId,
        monotonic: Callable[[], float],
        log: structlog.typing.FilteringBoundLogger,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._bus = bus
        self._builder = builder
        self._transport = transport
        self.limits = limits
        self._run_actions = run_actions
        self._dead_letters = DeadLetters(bus, log)
        self._ids = ids
        self._monotonic = monotonic
        self._log = log
        self._chance = chance
        self._stopping = False
        self._tries: dict[asyncio.Task[None], Leased] = {}
        self.more: Callable[[], None] = lambda: None
        """Called when a try has ended, so that the next one is taken without waiting for a tick."""

    async def tick(self, now: datetime | None = None) -> int:
        """Take what is due and begin it; how many. Tests pass a time."""
        room = self._room()
        if self._stopping or room.deliveries <= 0:
            return 0
        async with self._database.transaction() as connection:
            taken = await DeliveryStore(connection, now).lease(self._ids(), self.limits.lease, room)
        for delivery in taken:
            task = asyncio.create_task(self._guarded(delivery, now), name=f"delivery:{delivery.id}")
            self._tries[task] = delivery
            task.add_done_callback(self._ended)
        if len(taken) == room.deliveries:
            self.more()
        return len(taken)

    async def settled(self) -> None:
        """Wait for the tries that are under way."""
        while self._tries:
            await asyncio.wait(list(self._tries))

    async def stop(self) -> None:
        """Let the tries under way end; what takes too long is sent again by another worker, under the same key."""
        self._stopping = True
        if self._tries:
            await asyncio.wait(list(self._tries), timeout=_FAREWELL)
        for task in list(self._tries):
            task.cancel()

    def _room(self) -> Room:
        busy = Counter(delivery.addressee for delivery in self._tries.values())
        tenants = Counter(delivery.tenant_id for delivery in self._tries.values())
        share = max(self.limits.at_once // 2, 1)
        return Room(
            deliveries=self.limits.at_once - len(self._tries),
            of_one=self.limits.of_one,
            left={each: self.limits.of_one - count for each, count in busy.items()},
            full_tenants=tuple(tenant for tenant, count in tenants.items() if count >= share),
        )

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tries.pop(task, None)
        self.more()

    async def _guarded(self, delivery: Leased, now: datetime | None) -> None:
        """A try never ends in an exception that nobody reads. What was not recorded is due again after its lease."""
        try:
            await self.deliver(delivery, now)
        except Exception as error:
            self._log.error(
                "delivery_not_recorded",
                delivery_id=str(delivery.id),
                error=type(error).__name__,
                # The lines alone: the values of a traceback may be what was sent.
                at=[] if is_outage(error) else traceback.format_tb(error.__traceback__),
            )

    async def deliver(self, delivery: Leased, now: datetime | None = None) -> Outcome:
        """Try once and record it. A test by a person asks no breaker and is not repeated."""
        outcome = await self._tried(delivery, now)
        await faults.reached(faults.Point.AUTOMATIONS_AFTER_SEND_BEFORE_RECORD)
        if outcome.postponed is not None and not delivery.is_test:
            async with self._database.transaction() as connection:
                await DeliveryStore(connection, now).postpone(
                    delivery,
                    outcome.postponed,
                    receiver=outcome.receiver,
                    reason=outcome.answer.error or "",
                )
            return outcome
        verdict = retries.verdict(
            outcome.answer,
            attempts=delivery.attempts + 1,
            age=delivery.age,
            chance=self._chance(),
        )
        if delivery.is_test and isinstance(verdict, Again):
            verdict = GiveUp(outcome.answer.error or "it failed")
        await self._record(delivery, outcome, verdict, now)
        return outcome

    async def _tried(self, delivery: Leased, now: datetime | None) -> Outcome:
        began = self._monotonic()
        secrets: list[str] = []
        receiver: str | None = None
        longest = self.limits.longest_try(is_test=delivery.is_test)
        try:
            if self._acts(delivery):
                assert self._run_actions is not None  # noqa: S101 - `_acts` looked
                receiver = OWN_RECEIVER
                answer = await self._run_actions.act(delivery)
            else:
                built = await self._builder.built(delivery)
                receiver, secrets = built.receiver, list(built.secrets)
                if wait := await self._wait_for(delivery, receiver, now):
                    error = f"{receiver} has failed several times, and is left alone for a while"
                    return Outcome(answer=Answer(error=error), receiver=receiver, postponed=wait)
                whose = Addressed(
                    delivery_id=delivery.id, tenant_id=delivery.tenant_id, key=delivery.dedup
                )
                within = self.limits.request(is_test=delivery.is_test)
                async with asyncio.timeout(longest):
                    answer = await self._transport.send(built.outgoing, whose, within=within)
        except CannotAskError as error:
            return Outcome(answer=Answer(error=str(error)), receiver=receiver, postponed=OUTAGE)
        except NotWantedError as error:
            answer = Answer(error=str(error), not_wanted=True)
        except SecretMissingError as error:
            answer = Answer(error=str(error))
        except CannotBuildError as error:
            answer = Answer(error=str(error), for_good=True)
        except TimeoutError:
            answer = Answer(error=f"it took longer than {longest:g} s", unreachable=True)
        latency = int((self._monotonic() - began) * 1000)
        return Outcome(answer=_kept(answer, secrets), receiver=receiver, latency_ms=latency)

    def _acts(self, delivery: Leased) -> bool:
        kind = delivery.action_type
        return self._run_actions is not None and kind is not None and self._run_actions.has(kind)

    async def _wait_for(
        self, delivery: Leased, receiver: str, now: datetime | None
    ) -> timedelta | None:
        """How long its breaker stays open; None when it is closed, or not asked."""
        if delivery.is_test:
            return None
        async with self._database.transaction() as connection:
            breaker = await DeliveryStore(connection, now).breaker(delivery.tenant_id, receiver)
            if breaker.opened_until is None:
                return None
            at = now or await connection.fetchval("SELECT now()")
        if not breaker.is_open(at):
            return None
        return breaker.opened_until - at + SPREAD * self._chance()

    async def _record(
        self, delivery: Leased, outcome: Outcome, verdict: Verdict, now: datetime | None
    ) -> None:
        answer = outcome.answer
        settled = Settled(
            status=_STATUS[type(verdict)],
            after=verdict.after if isinstance(verdict, Again) else timedelta(0),
            receiver=outcome.receiver,
            error=verdict.reason if isinstance(verdict, GiveUp) else answer.error,
            http_status=answer.status,
            answer=answer.text,
            latency_ms=outcome.latency_ms,
        )
        async with self._database.transaction() as connection:
            store = DeliveryStore(connection, now)
            number = await store.settle(delivery, self._ids(), settled)
            ours = number is not None
            if ours and isinstance(verdict, SwitchOff) and delivery.action_id is not None:
                await store.switch_off_hooks(delivery.tenant_id, delivery.action_id)
            if ours and outcome.receiver is not None:
                await self._move_breaker(store, delivery.tenant_id, outcome, verdict)
        if not ours:
            self._log.warning("lease_lost", delivery_id=str(delivery.id))
            return
        metrics.DELIVERY_TRIES.labels(settled.status).inc()
        # Not `attempts`, which begin anew when it is sent again: then its age is that of the event.
        if isinstance(verdict, Delivered) and number == 1:
            metrics.DELIVERY_SECONDS.observe(
                delivery.age.total_seconds() + outcome.latency_ms / 1000
            )
        await self._report(delivery, settled, verdict)

    async def _move_breaker(
        self, store: DeliveryStore, tenant_id: UUID, outcome: Outcome, verdict: Verdict
    ) -> None:
        """Count a failure, or forget those before it. What waits for the receiver is moved with its breaker."""
        host, answer = outcome.receiver or "", outcome.answer
        hold = verdict.after if isinstance(verdict, Again) and verdict.hold else None
        is_well = not answer.unreachable and hold is None
        # Nearly always: a receiver that is well needs no row, and no lock.
        if is_well and await store.breaker(tenant_id, host) == Breaker():
            return
        before, now = await store.lock_breaker(tenant_id, host)
        after = before.after(unreachable=answer.unreachable, now=now, hold=hold)
        await store.set_breaker(tenant_id, host, after)
        if after.opened_until is not None and after.opened_until != before.opened_until:
            await store.move(tenant_id, host, after.opened_until, SPREAD, later=True)
        elif before.opened_until is not None and after.opened_until is None:
            await store.move(tenant_id, host, now, SPREAD, later=False)

    async def _report(self, delivery: Leased, settled: Settled, verdict: Verdict) -> None:
        if isinstance(verdict, Delivered):
            return
        self._log.info(
            "delivery_failed",
            delivery_id=str(delivery.id),
            receiver=settled.receiver,
            status=settled.status,
            answered=settled.http_status,
            attempt=delivery.attempts + 1,
        )
        if isinstance(verdict, SwitchOff) and delivery.cloud_hook_id is not None:
            request = SwitchOffCloudHook(
                tenant_id=delivery.tenant_id, cloud_hook_id=delivery.cloud_hook_id
            )
            answer = await self._bus.call(SWITCH_OFF_CLOUD_HOOK, request)
            if isinstance(answer, Refused):
                # The next 410 asks again.
                self._log.warning("cloud_hook_not_switched_off", code=answer.code)
        # Who tests sees what came of it; a note about that would stand for the real ones of the day.
        if isinstance(verdict, GiveUp | SwitchOff) and not delivery.is_test:
            await self._dead_letters.note(delivery, settled)


_STATUS: Mapping[type, str] = {
    Delivered: "delivered",
    Again: "pending",
    GiveUp: "failed",
    SwitchOff: "switched_off",
    Drop: "switched_off",
}


def _kept(answer: Answer, secrets: list[str]) -> Answer:
    """What may be kept of an answer: without secrets, and short."""
    text = None if answer.text is None else redacted(answer.text, secrets)[:ANSWER_CHARACTERS]
    error = None if answer.error is None else redacted(answer.error, secrets)[:ERROR_CHARACTERS]
    return replace(answer, text=text, error=error)
