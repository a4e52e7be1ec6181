"""The automations, put together."""

import asyncio
from datetime import timedelta
from typing import ClassVar

from libs.runtime.clock import Clock, utc_now
from libs.runtime.ids import NewId, new_id
from libs.runtime.service import Service
from services.automations import subscribers
from services.automations.changes import Changes
from services.automations.deadlines import Deadlines
from services.automations.delivery.deliveries import Deliveries
from services.automations.delivery.settings import DeliverySettings
from services.automations.handlers import Handlers
from services.automations.loops import duties
from services.automations.rulesets import Rulesets
from services.automations.run_actions import RunActions
from services.automations.settings import AutomationsSettings
from services.automations.upkeep import Upkeep

_REST = timedelta(milliseconds=20)
"""Between two looks for due deliveries: one costs the same for one delivery as for a hundred."""


class Automations(Service):
    """See the package's page."""

    name: ClassVar[str] = "automations"

    def __init__(
        self,
        settings: AutomationsSettings,
        *,
        delivery: DeliverySettings | None = None,
        clock: Clock = utc_now,
        ids: NewId = new_id,
    ) -> None:
        super().__init__(settings, clock=clock, ids=ids)
        delivery = delivery or DeliverySettings()
        self.deliveries = Deliveries(
            self.database,
            self.bus,
            delivery,
            public_url=settings.public_url,
            run_actions=RunActions(self.database, self.bus),
            ids=ids,
            clock=clock,
            monotonic=lambda: asyncio.get_running_loop().time(),
            log=self.log,
        )
        worker = self.deliveries.worker
        loop = self.add_loop("deliveries", interval=delivery.tick, tick=worker.tick, rest=_REST)
        worker.more = loop.poke
        self.add_duties(self.deliveries.duties())
        rulesets = Rulesets()
        self.handlers = Handlers(self.database, clock=clock, ids=ids)
        self.changes = Changes(
            self.bus,
            self.database,
            rulesets,
            ids=ids,
            public_url=settings.public_url,
            on_commit=loop.poke,
        )
        self.deadlines = Deadlines(
            self.database,
            rulesets,
            ids=ids,
            public_url=settings.public_url,
            silence=settings.agent_sla_silence,
            log=self.log,
        )
        self.upkeep = Upkeep(self.database, self.changes, rulesets, ids=ids, log=self.log)
        self.add_duties(duties(settings, self.deadlines, self.upkeep))

    def declare(self) -> None:
        """Declare its subscriptions."""
        self.bus.include(
            subscribers.router(self.name, self.handlers, self.changes, self.upkeep, self.deliveries)
        )

    async def stop(self) -> None:
        """First the tries under way: they need the bus."""
        await self.deliveries.stop()
        await super().stop()


def build(settings: AutomationsSettings) -> Automations:
    """The service, ready to start."""
    return Automations(settings)
