"""What the automations listen to."""

from libs.contracts import deliveries as contract
from libs.contracts.base import Applied
from libs.runtime.bus import LARGE, Router
from services.automations.delivery.deliveries import Deliveries


def router(service: str, deliveries: Deliveries) -> Router:
    """Requests of people about deliveries."""
    router = Router(service)

    @router.verb(contract.TEST_ACTION, seconds=LARGE)
    async def test_action(request: contract.TestAction) -> contract.Tested:
        return await deliveries.trials.test_action(request)

    @router.verb(contract.TEST_CLOUD_HOOK, seconds=LARGE)
    async def test_cloud_hook(request: contract.TestCloudHook) -> contract.Tested:
        return await deliveries.trials.test_cloud_hook(request)

    @router.verb(contract.REDELIVER)
    async def redeliver(request: contract.Redeliver) -> Applied:
        return await deliveries.redeliver(request)

    return router
