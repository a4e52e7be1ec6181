"""Deliveries, put together: the worker with its loops, tests by people, and sending again."""

from collections.abc import Callable
from datetime import datetime, timedelta

import httpcore
import structlog

from libs.contracts.deliveries import Redeliver, Redelivered, SentAgain
from libs.runtime import metrics
from libs.runtime.bus import Bus
from libs.runtime.clock import Clock
from libs.runtime.database import Database
from libs.runtime.ids import NewId
from libs.runtime.loop import Duty
from services.automations.delivery.building import Builder
from services.automations.delivery.resolver import Resolver
from services.automations.delivery.secrets import Secrets
from services.automations.delivery.settings import DeliverySettings
from services.automations.delivery.store import DeliveryStore
from services.automations.delivery.transport import Transport
from services.automations.delivery.trials import Trials
from services.automations.delivery.worker import Limits, RunActions, Worker
from services.automations.domain.outgoing import Endpoints

_LAG = timedelta(seconds=15)
_EXPIRE = timedelta(minutes=10)
_STEPS = 50
"""Steps of one pass of the retention: the rest is for the next one."""


class Deliveries:
    """What the rest of the service sees of this package."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        settings: DeliverySettings,
        *,
        public_url: str,
        run_actions: RunActions | None,
        ids: NewId,
        clock: Clock,
        monotonic: Callable[[], float],
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._database = database
        self._settings = settings
        self.resolver = Resolver(settings.allowed)
        tls = httpcore.default_ssl_context()
        if settings.ca is not None:
            tls.load_verify_locations(cafile=settings.ca)
        endpoints = Endpoints(pagerduty=settings.pagerduty_url, twilio=settings.twilio_url)
        self.worker = Worker(
            database,
            bus,
            Builder(Secrets(bus), endpoints),
            Transport(self.resolver, bus, mail_server=settings.mail(), tls=tls, clock=clock),
            limits=Limits(
                at_once=settings.at_once,
                of_one=settings.per_receiver,
                within=settings.timeout.total_seconds(),
                lease=settings.lease,
            ),
            run_actions=run_actions,
            ids=ids,
            monotonic=monotonic,
            log=log,
        )
        self.trials = Trials(database, self.worker, public_url=public_url, ids=ids, clock=clock)

    def duties(self) -> tuple[Duty, ...]:
        """The loops beside the worker's own, which is woken when something new is owed."""
        return (
            Duty("delivery_lag", _LAG, self.measure),
            Duty("delivery_log", _EXPIRE, self.expire),
        )

    async def stop(self) -> None:
        """End the tries under way."""
        await self.worker.stop()
        self.resolver.close()

    async def redeliver(self, request: Redeliver) -> Redelivered:
        """Send a finished delivery again."""
        async with self._database.transaction() as connection:
            outcome = await DeliveryStore(connection).redeliver(
                request.tenant_id, request.delivery_id
            )
        if outcome is SentAgain.DUE:
            self.worker.more()
        return Redelivered(outcome=outcome)

    async def expire(self, now: datetime | None = None) -> int:
        """Delete what is older than the log is kept; how many deliveries."""
        total = 0
        for _ in range(_STEPS):
            async with self._database.transaction() as connection:
                done = await DeliveryStore(connection, now).expire(self._settings.keep)
            total += done
            if not done:
                break
        return total

    async def measure(self) -> float:
        """How far behind the workers are, in seconds."""
        async with self._database.transaction() as connection:
            lag = await DeliveryStore(connection).lag()
        metrics.DELIVERY_LAG.set(lag)
        return lag
