"""The scheduler, put together."""

from typing import ClassVar

from libs.runtime.clock import Clock, utc_now
from libs.runtime.ids import NewId, new_id
from libs.runtime.service import Service
from services.scheduler import subscribers
from services.scheduler.loops import duties
from services.scheduler.planner import Planner
from services.scheduler.settings import SchedulerSettings


class Scheduler(Service):
    """See the package's page."""

    name: ClassVar[str] = "scheduler"

    def __init__(
        self, settings: SchedulerSettings, *, clock: Clock = utc_now, ids: NewId = new_id
    ) -> None:
        super().__init__(settings, clock=clock, ids=ids)
        self.planner = Planner(self.database, self.bus, settings, ids=ids, log=self.log)
        self._ticks = self.add_duties(duties(settings, self.planner))["schedules"]

    def declare(self) -> None:
        """Declare its subscriptions."""
        self.bus.include(subscribers.router(self.name, self.planner, self._ticks, self.clock))


def build(settings: SchedulerSettings) -> Scheduler:
    """The service, ready to start."""
    return Scheduler(settings)
