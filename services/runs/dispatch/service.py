"""Dispatch put together: what it asks of the ledger, what the ledger's app asks of it, and what it listens to."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

from nats.aio.msg import Msg

from libs.contracts import agent_access, agents, subjects
from libs.contracts.base import Message, Refused
from libs.contracts.errors import Code
from libs.runtime import metrics
from libs.runtime.group_commit import QueueFullError
from libs.runtime.service import Service
from libs.runtime.settings import PingSettings
from services.runs.dispatch.delivery import Delivery
from services.runs.dispatch.dispatcher import Dispatcher
from services.runs.dispatch.domain import Proposed
from services.runs.dispatch.leases import Leases
from services.runs.dispatch.lines import AgentLines
from services.runs.dispatch.settings import DispatchSettings
from services.runs.dispatch.verbs import LedgerCalls, Verbs, read_report

Req = TypeVar("Req", bound=Message)
Rep = TypeVar("Rep", bound=Message)


class Dispatch:
    """Hands due runs to native agents, by means of `service` (database, bus, clock) and by decisions of `ledger`."""

    def __init__(
        self,
        service: Service,
        ledger: LedgerCalls,
        settings: DispatchSettings,
        *,
        pings: PingSettings,
    ) -> None:
        self._clock = service.clock
        self._log = service.log
        self.leases = Leases(
            service.database,
            settings,
            clock=service.clock,
            ids=service.ids,
            on_commit=service.committed,
        )
        self._delivery = Delivery(
            service.bus,
            self.leases,
            log=service.log,
            replica=service.ids(),
            acknowledge=settings.acknowledge.total_seconds(),
            due=self.due,
        )
        self.dispatcher = Dispatcher(
            self.leases,
            deliver=self._delivery.deliver,
            signal=self._delivery.signal_work_ready,
            signal_again=settings.signal_again,
        )
        self._verbs = Verbs(
            ledger,
            self.leases,
            self.dispatcher,
            settings,
            pings=pings,
            clock=service.clock,
            ids=service.ids,
            log=service.log,
            deliver=self._delivery.deliver,
            due=self.due,
            tracing=service.tracing,
        )
        self._declare(service, settings)

    def _declare(self, service: Service, settings: DispatchSettings) -> None:
        """Signals, verbs and loops, before the bus starts."""
        bus, verbs = service.bus, self._verbs
        lines = AgentLines(bus, spawn=self._delivery.background.run)
        bus.hear(subjects.SIG_RUN_DUE, self.on_run_due, shared=False)
        bus.hear(subjects.LOG, lines.on_lines)
        serve = partial(bus.serve_tenants, whose=asking_tenant)
        # Most claims wait here for long, and renewals are a group commit.
        serve(agents.CLAIM, verbs.on_claim, hot=True)
        serve(agents.RENEW, _of_protocol(verbs.renew), hot=True)
        serve(agents.HELLO, _of_protocol(verbs.hello))
        serve(agents.REPORT, _of_protocol(verbs.report), read=read_report)
        serve(agents.DRAIN, _of_protocol(verbs.drain))
        loops: tuple[tuple[str, timedelta, Callable[[], Awaitable[int]]], ...] = (
            ("dispatch", settings.tick, self.dispatcher.tick),
            ("leases", settings.lapse_tick, self.take_back),
            ("parked", settings.parked_tick, self.note_parked),
            ("presence", settings.presence_tick, self.write_presence),
        )
        for name, interval, tick in loops:
            service.add_loop(name, interval=interval, tick=tick)

    # for the ledger's app

    def start(self) -> None:
        """The database is there."""
        self._verbs.start()

    def due(self, tenant_id: UUID) -> None:
        """Runs of this tenant are due, or soon will be: serve those who wait here, and let other replicas know."""
        self.dispatcher.due(tenant_id)
        self._delivery.announce_due(tenant_id)

    async def stop(self) -> None:
        """Answer what waits, so that agents ask elsewhere, and write down who was here."""
        await self.dispatcher.stop()
        await self._delivery.finish()
        await self._verbs.stop()
        await self.write_presence()

    # loops

    async def write_presence(self) -> int:
        """Write down the agents heard of since the last time; how many."""
        seen = self._verbs.take_seen()
        if seen:
            await self.leases.seen(seen)
        return len(seen)

    async def note_parked(self) -> int:
        """Agents whose claims wait here are present without a word; how many."""
        return self._verbs.hear_from_all(self.dispatcher.waiting_agents())

    async def take_back(self) -> int:
        """Queue again what agents took and never began; how many runs."""
        lapsed = await self.leases.take_back_lapsed()
        for each in lapsed:
            metrics.LEASES_ENDED.labels("lapsed").inc()
            if isinstance(each.ending, Proposed):
                await self._verbs.propose(each.run, each.ending)
            self._log.info(
                "lease_lapsed",
                flow_run_id=str(each.run.id),
                agent_id=str(each.run.agent_id),
                attempt=each.run.attempt,
            )
        for tenant_id in {each.run.tenant_id for each in lapsed}:
            self.due(tenant_id)
        return len(lapsed)

    # signals

    async def on_run_due(self, message: Msg) -> None:
        """Another replica committed something that is due."""
        tenant_id = _uuid(message.subject.rpartition(".")[2])
        if tenant_id is not None and not self._delivery.is_own(message):
            self.dispatcher.due(tenant_id)


def asking_tenant(message: Msg) -> UUID | None:
    """Whose agent asks; None for a request that stays unanswered, since its answer may not go where it says."""
    tenant_id = _uuid(message.subject.split(".")[3])
    if tenant_id is not None and agent_access.is_answerable(tenant_id, message.reply):
        return tenant_id
    metrics.REPLIES_REFUSED.inc()
    return None


def _of_protocol(
    handler: Callable[[UUID, Req], Awaitable[Rep | Refused]],
) -> Callable[[UUID, Req, str], Awaitable[Rep | Refused]]:
    """The handler, called for requests of the protocol that this ledger speaks."""

    async def checked(tenant_id: UUID, request: Req, _reply: str) -> Rep | Refused:
        protocol = getattr(request, "protocol", agents.PROTOCOL)
        if protocol != agents.PROTOCOL:
            reason = f"protocol: this ledger speaks {agents.PROTOCOL}, not {protocol}"
            return Refused(code=Code.INVALID, fields={"reason": reason})
        try:
            return await handler(tenant_id, request)
        except QueueFullError:
            return Refused(code=Code.BUSY, fields={"service": "runs"})

    return checked


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
