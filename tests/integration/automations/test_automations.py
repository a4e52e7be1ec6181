"""The service starts with its own role and user, is ready, shows metrics and stops."""

import httpx

from deploy.provision import provision
from services.automations.app import build
from services.automations.settings import AutomationsSettings
from tests.support.engines import Database
from tests.support.eventually import eventually
from tests.support.guarded_nats import guarded_nats
from tests.support.ports import free_port
from tests.support.running import running


async def test_it_is_ready_and_shows_metrics_with_its_own_role_and_user(database: Database) -> None:
    port = free_port()
    async with guarded_nats() as server:
        await provision(server.url("provision"))
        service = build(
            AutomationsSettings(
                postgres_url=database.postgres_url("automations"),
                nats_url=server.url("automations"),
                health_port=port,
            )
        )
        async with (
            running(service),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
        ):
            ready = await client.get("/ready")
            health = await client.get("/health")

            async def is_shown() -> bool:
                shown = (await client.get("/metrics")).text
                return 'headwater_ready{service="automations"} 1.0' in shown

            await eventually(is_shown, timeout=30)
            refused = server.violations()

    assert ready.status_code == 200
    assert ready.json()["reasons"] == []
    assert health.status_code == 200
    assert refused == []
