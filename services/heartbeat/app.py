"""The heartbeat service, put together."""

import asyncio
from typing import ClassVar

from libs.runtime.clock import Clock, utc_now
from libs.runtime.failures import is_outage
from libs.runtime.ids import NewId, new_id
from libs.runtime.service import Service
from services.heartbeat import subscribers
from services.heartbeat.domain.last_heard import LastHeard
from services.heartbeat.loops import duties
from services.heartbeat.pings import Pings
from services.heartbeat.settings import HeartbeatSettings
from services.heartbeat.silences import Silences
from services.heartbeat.states import States
from services.heartbeat.watch import Watch


class Heartbeat(Service):
    """See the package's page."""

    name: ClassVar[str] = "heartbeat"
    has_outbox: ClassVar[bool] = True

    def __init__(
        self, settings: HeartbeatSettings, *, clock: Clock = utc_now, ids: NewId = new_id
    ) -> None:
        super().__init__(settings, clock=clock, ids=ids)

        def monotonic() -> float:
            return self.monotonic()

        self.memory = LastHeard()
        self.pings = Pings(self.database, settings, self.memory, monotonic=monotonic, log=self.log)
        self.watch = Watch(
            self.database,
            self.bus,
            settings,
            self.pings.listener,
            monotonic=monotonic,
            log=self.log,
        )
        self.silences = Silences(
            self.database,
            settings,
            self.pings,
            self.watch,
            monotonic=monotonic,
            ids=ids,
            committed=self.committed,
            log=self.log,
        )
        self._loops = self.add_duties(duties(settings, self.pings, self.watch, self.silences))

    @staticmethod
    def monotonic() -> float:
        """Seconds of a monotonic clock."""
        return asyncio.get_running_loop().time()

    def declare(self) -> None:
        """Declare its subscriptions."""
        states = States(self.bus, self.database, self.pings)
        self.bus.include(
            subscribers.router(self.name, states, self.pings, self.watch, self._loops["watch"])
        )

    async def on_start(self) -> None:
        """Receive pings, then load the guarded runs from the table."""
        await self.bus.open(self.pings.listener)
        await self.pings.listener.listen()
        waited_for = await self.pings.fill()
        self.log.info("monitored_runs_loaded", runs=waited_for)

    async def on_stop(self) -> None:
        """Stop receiving, and write the pings received until now."""
        try:
            await self.pings.end()
        except Exception as error:
            if not is_outage(error):
                raise
            self.log.warning("last_pings_not_written", error=str(error))

    async def unready(self) -> list[str]:
        """Also when pings have not been heard for a while."""
        return [*await super().unready(), *self.watch.failing()]


def build(settings: HeartbeatSettings) -> Heartbeat:
    """The service, ready to start."""
    return Heartbeat(settings)
