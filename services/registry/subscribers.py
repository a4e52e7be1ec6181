"""The registry's subscriptions: its verbs."""

from dataclasses import dataclass

from libs.contracts import registry
from libs.contracts.base import Applied, Refused
from libs.runtime.bus import LARGE, Router
from services.registry.handlers.flows import Flows
from services.registry.handlers.groups import Groups
from services.registry.handlers.projects import Projects
from services.registry.handlers.registration import Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """The handlers."""

    registration: Registration
    flows: Flows
    groups: Groups
    projects: Projects


def router(service: str, handlers: Handlers) -> Router:
    """One function per verb."""
    router = Router(service)
    _verbs_of_projects(router, handlers.projects)
    _verbs_of_registration(router, handlers.registration)
    _verbs_of_flows(router, handlers.flows)
    _verbs_of_groups(router, handlers.groups)
    return router


def _verbs_of_projects(router: Router, projects: Projects) -> None:
    @router.verb(registry.CREATE_PROJECT)
    async def create_project(command: registry.CreateProject) -> Applied | Refused:
        return await projects.create_project(command)

    @router.verb(registry.UPDATE_PROJECT)
    async def update_project(command: registry.UpdateProject) -> Applied | Refused:
        return await projects.update_project(command)

    @router.verb(registry.DELETE_PROJECT, seconds=LARGE)
    async def delete_project(command: registry.DeleteProject) -> Applied | Refused:
        return await projects.delete_project(command)


def _verbs_of_registration(router: Router, registration: Registration) -> None:
    @router.verb(registry.REGISTER_FLOW, seconds=LARGE)
    async def register_flow(
        command: registry.RegisterFlow,
    ) -> registry.FlowRegisteredReply | Refused:
        return await registration.register_flow(command)

    @router.verb(registry.REGISTER_TASKS, seconds=LARGE)
    async def register_tasks(command: registry.RegisterTasks) -> Applied | Refused:
        return await registration.register_tasks(command)

    @router.verb(registry.REGISTER_EDGES, seconds=LARGE)
    async def register_edges(command: registry.RegisterEdges) -> Applied | Refused:
        return await registration.register_edges(command)


def _verbs_of_flows(router: Router, flows: Flows) -> None:
    @router.verb(registry.ARCHIVE_FLOW)
    async def archive_flow(command: registry.FlowCommand) -> Applied | Refused:
        return await flows.archive_flow(command)

    @router.verb(registry.UNARCHIVE_FLOW)
    async def unarchive_flow(command: registry.FlowCommand) -> Applied | Refused:
        return await flows.unarchive_flow(command)

    @router.verb(registry.MOVE_FLOW)
    async def move_flow(command: registry.MoveFlow) -> Applied | Refused:
        return await flows.move_flow(command)

    @router.verb(registry.DELETE_FLOW, seconds=LARGE)
    async def delete_flow(command: registry.FlowCommand) -> Applied | Refused:
        return await flows.delete_flow(command)

    @router.verb(registry.SET_SCHEDULE_ACTIVE)
    async def set_schedule_active(command: registry.SetScheduleActive) -> Applied | Refused:
        return await flows.set_schedule_active(command)

    @router.verb(registry.SET_FLOW_SETTINGS)
    async def set_flow_settings(command: registry.SetFlowSettings) -> Applied | Refused:
        return await flows.set_flow_settings(command)


def _verbs_of_groups(router: Router, groups: Groups) -> None:
    @router.verb(registry.UPDATE_FLOW_GROUP)
    async def update_flow_group(command: registry.UpdateFlowGroup) -> Applied | Refused:
        return await groups.update_flow_group(command)

    @router.verb(registry.CHECK_SCHEDULE)
    async def check_schedule(
        command: registry.CheckSchedule,
    ) -> registry.CheckedSchedule | Refused:
        return groups.check_schedule(command)

    @router.verb(registry.DELETE_FLOW_GROUP, seconds=LARGE)
    async def delete_flow_group(command: registry.DeleteFlowGroup) -> Applied | Refused:
        return await groups.delete_flow_group(command)
