"""The subscriptions of the automations: their verbs, the states of flow runs, and flow groups that are deleted."""

from collections.abc import Sequence

from nats.aio.msg import Msg

from libs.contracts import automations, streams, subjects
from libs.contracts import deliveries as contract
from libs.contracts.base import Applied, Refused
from libs.contracts.registry import FlowGroupDeleted
from libs.contracts.runs import FlowRunStateChanged
from libs.runtime.bus import LARGE, Benchmark, Router
from services.automations.changes import STATES, Changes
from services.automations.delivery.deliveries import Deliveries
from services.automations.handlers import Handlers
from services.automations.upkeep import Upkeep

STATES_REST = 0.02  # seconds; many states are matched in one transaction


def router(
    service: str, handlers: Handlers, changes: Changes, upkeep: Upkeep, deliveries: Deliveries
) -> Router:
    """All of it."""
    router = Router(service)
    _verbs(router, handlers)
    _verbs_of_deliveries(router, deliveries)

    @router.batches(
        STATES,
        streams.EVENTS,
        Benchmark.AUTOMATIONS,
        bodies=(FlowRunStateChanged,),
        rest=STATES_REST,
    )
    async def on_states(messages: Sequence[Msg]) -> None:
        await changes.follow(messages)

    @router.durable(
        streams.durable("automations__flow_groups_deleted"),
        streams.EVENTS,
        {subjects.FLOW_GROUP_DELETED: FlowGroupDeleted},
    )
    async def on_flow_group_deleted(event: FlowGroupDeleted) -> None:
        await upkeep.on_flow_group_deleted(event)

    return router


def _verbs(router: Router, handlers: Handlers) -> None:
    @router.verb(automations.CREATE_ACTION)
    async def create_action(
        command: automations.CreateAction,
    ) -> automations.ActionCreated | Refused:
        return await handlers.create_action(command)

    @router.verb(automations.DELETE_ACTION)
    async def delete_action(command: automations.DeleteAction) -> Applied | Refused:
        return await handlers.delete_action(command)

    @router.verb(automations.CREATE_HOOK)
    async def create_hook(command: automations.CreateHook) -> Applied | Refused:
        return await handlers.create_hook(command)

    @router.verb(automations.UPDATE_HOOK)
    async def update_hook(command: automations.UpdateHook) -> Applied | Refused:
        return await handlers.update_hook(command)

    @router.verb(automations.DELETE_HOOK)
    async def delete_hook(command: automations.DeleteHook) -> Applied | Refused:
        return await handlers.delete_hook(command)

    @router.verb(automations.CREATE_FLOW_SLA_CONFIG)
    async def create_flow_sla_config(
        command: automations.CreateFlowSlaConfig,
    ) -> Applied | Refused:
        return await handlers.create_flow_sla_config(command)

    @router.verb(automations.CREATE_FLOW_GROUP_SLA)
    async def create_flow_group_sla(
        command: automations.CreateFlowGroupSla,
    ) -> Applied | Refused:
        return await handlers.create_flow_group_sla(command)


def _verbs_of_deliveries(router: Router, deliveries: Deliveries) -> None:
    @router.verb(contract.TEST_ACTION, seconds=LARGE)
    async def test_action(request: contract.TestAction) -> contract.Tested:
        return await deliveries.trials.test_action(request)

    @router.verb(contract.TEST_CLOUD_HOOK, seconds=LARGE)
    async def test_cloud_hook(request: contract.TestCloudHook) -> contract.Tested:
        return await deliveries.trials.test_cloud_hook(request)

    @router.verb(contract.REDELIVER)
    async def redeliver(request: contract.Redeliver) -> contract.Redelivered:
        return await deliveries.redeliver(request)
