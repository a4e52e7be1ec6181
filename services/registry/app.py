"""The composition root: settings, engines, verbs."""

from libs.contracts import registry
from libs.runtime.clock import Clock, utc_now
from libs.runtime.ids import NewId, new_id
from libs.runtime.service import Service
from services.registry.handlers.flows import Flows
from services.registry.handlers.groups import Groups
from services.registry.handlers.projects import Projects
from services.registry.handlers.registration import Registration
from services.registry.loop import Upkeep
from services.registry.settings import RegistrySettings
from services.registry.work import Bench


class Registry(Service):
    """The only writer of projects, flow groups, flows, tasks and edges."""

    name = "registry"
    has_outbox = True

    def __init__(
        self, settings: RegistrySettings, *, clock: Clock = utc_now, ids: NewId = new_id
    ) -> None:
        super().__init__(settings, clock=clock, ids=ids)
        bench = self.bench = Bench(self.database, clock=clock, ids=ids, committed=self.committed)
        self._registration = Registration(bench, flow_json_limit=settings.flow_json_limit)
        self._flows = Flows(bench)
        self._groups = Groups(bench)
        self._projects = Projects(bench)
        self._upkeep_interval = settings.upkeep_interval
        self.upkeep = Upkeep(
            self.database,
            bench,
            left_after=settings.pieces_left_after,
            unfinished_for=settings.unfinished_after,
        )

    def declare(self) -> None:
        """One handler per verb, and the upkeep."""
        serve = self.bus.serve
        serve(registry.CREATE_PROJECT, self._projects.create_project)
        serve(registry.UPDATE_PROJECT, self._projects.update_project)
        serve(registry.DELETE_PROJECT, self._projects.delete_project)
        serve(registry.REGISTER_FLOW, self._registration.register_flow)
        serve(registry.REGISTER_TASKS, self._registration.register_tasks)
        serve(registry.REGISTER_EDGES, self._registration.register_edges)
        serve(registry.ARCHIVE_FLOW, self._flows.archive_flow)
        serve(registry.UNARCHIVE_FLOW, self._flows.unarchive_flow)
        serve(registry.MOVE_FLOW, self._flows.move_flow)
        serve(registry.DELETE_FLOW, self._flows.delete_flow)
        serve(registry.SET_SCHEDULE_ACTIVE, self._flows.set_schedule_active)
        serve(registry.SET_FLOW_SETTINGS, self._flows.set_flow_settings)
        serve(registry.UPDATE_FLOW_GROUP, self._groups.update_flow_group)
        serve(registry.DELETE_FLOW_GROUP, self._groups.delete_flow_group)
        self.add_loop("upkeep", interval=self._upkeep_interval, tick=self.upkeep.tick)


def build(settings: RegistrySettings) -> Registry:
    """The registry as a process runs it."""
    return Registry(settings)
