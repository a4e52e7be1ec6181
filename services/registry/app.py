"""The registry, put together."""

from libs.runtime.clock import Clock, utc_now
from libs.runtime.ids import NewId, new_id
from libs.runtime.service import Service
from services.registry import subscribers
from services.registry.handlers.flows import Flows
from services.registry.handlers.groups import Groups
from services.registry.handlers.projects import Projects
from services.registry.handlers.registration import Registration
from services.registry.loops import duties
from services.registry.settings import RegistrySettings
from services.registry.subscribers import Handlers
from services.registry.unit_of_work import UnitsOfWork
from services.registry.upkeep import Upkeep


class Registry(Service):
    """The only writer of projects, flow groups, flows, tasks and edges."""

    name = "registry"
    has_outbox = True

    def __init__(
        self, settings: RegistrySettings, *, clock: Clock = utc_now, ids: NewId = new_id
    ) -> None:
        super().__init__(settings, clock=clock, ids=ids)
        units = self.units = UnitsOfWork(
            self.database, clock=clock, ids=ids, on_commit=self.committed
        )
        self._handlers = Handlers(
            registration=Registration(units, flow_json_limit=settings.flow_json_limit),
            flows=Flows(units),
            groups=Groups(units),
            projects=Projects(units),
        )
        self.upkeep = Upkeep(
            self.database,
            units,
            left_after=settings.piece_timeout,
            unfinished_for=settings.registration_timeout,
        )
        self.add_duties(duties(settings, self.upkeep))

    def declare(self) -> None:
        """Declare its subscriptions."""
        self.bus.include(subscribers.router(self.name, self._handlers))


def build(settings: RegistrySettings) -> Registry:
    """The registry as a process runs it."""
    return Registry(settings)
