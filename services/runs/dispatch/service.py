"""The construction of dispatch: its calls to the ledger, and the calls of the ledger's app to it."""

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
from services.runs.dispatch.queue_database import queue_database
from services.runs.dispatch.settings import DispatchSettings
from services.runs.dispatch.verbs import LedgerCalls, Verbs


class Dispatch:
    """Gives due runs to native agents. `service` has database, bus and clock; `ledger` makes the decisions."""

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
        self._queue_database = queue_database(service.database, service.name)
        self.leases = LeaseStore(
            service.database,
            self._queue_database,
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
            signal_pause=self._delivery.signal_pause,
            signal_again=settings.signal_interval,
            resume_rate=settings.resume_rate,
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
        """The loops of dispatch."""
        settings = self._settings
        return (
            Duty("dispatch", settings.tick, self.dispatcher.tick),
            Duty("leases", settings.lapse_tick, self.take_back),
            Duty("waiting_agents", settings.waiting_tick, self.note_waiting_agents),
            Duty("presence", settings.presence_tick, self.write_presence),
        )

    # for the ledger's app

    async def start(self) -> None:
        """Called when the database is connected."""
        await self._queue_database.connect()
        self.verbs.start()

    def due(self, tenant_id: UUID) -> None:
        """Runs of this tenant are due now or soon: serve the claims that wait here, and notify other replicas."""
        self.dispatcher.due(tenant_id)
        self._delivery.announce_due(tenant_id)

    async def stop(self) -> None:
        """Answer the waiting claims, so that agents ask another replica, and write the last signs of life."""
        await self.dispatcher.stop()
        await self._delivery.finish()
        await self.verbs.stop()
        await self.write_presence()

    async def close(self) -> None:
        """Close its connections, when nothing calls it any more."""
        await self._queue_database.close()

    # loops

    async def write_presence(self) -> int:
        """Write the signs of life of agents since the last time; returns how many."""
        seen = self.verbs.take_seen()
        if seen:
            await self.leases.seen(seen)
        return len(seen)

    async def note_waiting_agents(self) -> int:
        """Count agents with a claim waiting here as present; returns how many."""
        return self.verbs.hear_from_all(self.dispatcher.waiting_agents())

    async def take_back(self) -> int:
        """Queue again runs that were claimed and never began; returns how many."""
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
        """Another replica committed a due run."""
        tenant_id = _uuid(message.subject.rpartition(".")[2])
        if tenant_id is not None and not self._delivery.is_own(message):
            self.dispatcher.due(tenant_id)


def asking_tenant(message: Msg) -> UUID | None:
    """The tenant of the agent; None for a request without an answer, because its reply subject is not allowed."""
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
