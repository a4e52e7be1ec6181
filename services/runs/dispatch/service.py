"""Dispatch put together: what it asks of the ledger, and what the ledger's app asks of it."""

from uuid import UUID

from nats.aio.msg import Msg

from libs.contracts import agent_access
from libs.runtime import metrics
from libs.runtime.loop import Duty
from libs.runtime.service import Service
from libs.runtime.settings import PingSettings
from services.runs.dispatch.delivery import Delivery
from services.runs.dispatch.dispatcher import Dispatcher
from services.runs.dispatch.domain import Proposed
from services.runs.dispatch.leases import LeaseStore
from services.runs.dispatch.lines import AgentLines
from services.runs.dispatch.settings import DispatchSettings
from services.runs.dispatch.verbs import LedgerCalls, Verbs


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
        self._settings = settings
        self._log = service.log
        self.leases = LeaseStore(
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
        self.verbs = Verbs(
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
        self.lines = AgentLines(service.bus, spawn=self._delivery.background.run)

    def duties(self) -> tuple[Duty, ...]:
        """What dispatch does by itself."""
        settings = self._settings
        return (
            Duty("dispatch", settings.tick, self.dispatcher.tick),
            Duty("leases", settings.lapse_tick, self.take_back),
            Duty("parked", settings.parked_tick, self.note_parked),
            Duty("presence", settings.presence_tick, self.write_presence),
        )

    # for the ledger's app

    def start(self) -> None:
        """The database is there."""
        self.verbs.start()

    def due(self, tenant_id: UUID) -> None:
        """Runs of this tenant are due, or soon will be: serve those who wait here, and let other replicas know."""
        self.dispatcher.due(tenant_id)
        self._delivery.announce_due(tenant_id)

    async def stop(self) -> None:
        """Answer what waits, so that agents ask elsewhere, and write down who was here."""
        await self.dispatcher.stop()
        await self._delivery.finish()
        await self.verbs.stop()
        await self.write_presence()

    # loops

    async def write_presence(self) -> int:
        """Write down the agents heard of since the last time; how many."""
        seen = self.verbs.take_seen()
        if seen:
            await self.leases.seen(seen)
        return len(seen)

    async def note_parked(self) -> int:
        """Agents whose claims wait here are present without a word; how many."""
        return self.verbs.hear_from_all(self.dispatcher.waiting_agents())

    async def take_back(self) -> int:
        """Queue again what agents took and never began; how many runs."""
        lapsed = await self.leases.take_back_lapsed()
        for each in lapsed:
            metrics.LEASES_ENDED.labels("lapsed").inc()
            if isinstance(each.ending, Proposed):
                await self.verbs.propose(each.run, each.ending)
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


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
