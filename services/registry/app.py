"""The composition root: settings, engines, verbs."""

from libs.contracts import registry
from libs.runtime.clock import Clock, utc_now
from libs.runtime.ids import NewId, new_id
from libs.runtime.service import Service
from services.registry.keeping import Keeping
from services.registry.registering import Registering
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
        bench = Bench(self.database, clock=clock, ids=ids, committed=self.committed)
        self._registering = Registering(bench, flow_json_limit=settings.flow_json_limit)
        self._keeping = Keeping(bench)

    def declare(self) -> None:
        """One handler per verb."""
        registering, keeping, serve = self._registering, self._keeping, self.bus.serve
        serve(registry.REGISTER_FLOW, registering.register_flow)
        serve(registry.REGISTER_TASKS, registering.register_tasks)
        serve(registry.REGISTER_EDGES, registering.register_edges)
        serve(registry.CREATE_PROJECT, keeping.create_project)
        serve(registry.UPDATE_PROJECT, keeping.update_project)
        serve(registry.DELETE_PROJECT, keeping.delete_project)
        serve(registry.ARCHIVE_FLOW, keeping.archive_flow)
        serve(registry.UNARCHIVE_FLOW, keeping.unarchive_flow)
        serve(registry.MOVE_FLOW, keeping.move_flow)
        serve(registry.DELETE_FLOW, keeping.delete_flow)
        serve(registry.SET_SCHEDULE_ACTIVE, keeping.set_schedule_active)
        serve(registry.SET_FLOW_SETTINGS, keeping.set_flow_settings)
        serve(registry.UPDATE_FLOW_GROUP, keeping.update_flow_group)
        serve(registry.DELETE_FLOW_GROUP, keeping.delete_flow_group)


def build(settings: RegistrySettings) -> Registry:
    """The registry as a process runs it."""
    return Registry(settings)
