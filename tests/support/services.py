"""All services in this process, on a test module's own database and streams."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import services.gateway.app
import services.heartbeat.app
import services.lazarus.app
import services.registry.app
import services.runs.app
import services.scheduler.app
from libs.runtime.service import Service
from services.gateway.app import Gateway
from services.gateway.settings import GatewaySettings
from services.heartbeat.settings import HeartbeatSettings
from services.lazarus.settings import LazarusSettings
from services.registry.settings import RegistrySettings
from services.runs.settings import RunsSettings
from services.scheduler.settings import SchedulerSettings
from tests.support.engines import Stack
from tests.support.running import running

PEPPER = "a pepper for tests"


@asynccontextmanager
async def all_services(
    stack: Stack,
    nats_url: Callable[[str], str] | None = None,
    *,
    nats_tls_ca: str | None = None,
    **gateway: Any,
) -> AsyncIterator[Gateway]:
    """Every service; yields the gateway, whose `port` answers. Keyword arguments are its settings.

    `nats_url` gives each service a bus URL of its own, in place of the stack's; `nats_tls_ca` is for all of them.
    """

    def common(name: str) -> dict[str, Any]:
        return {
            "postgres_url": stack.postgres_url(name),
            "nats_url": nats_url(name) if nats_url else stack.nats_url,
            "nats_tls_ca": nats_tls_ca,
        }

    services_behind: list[Service] = [
        services.registry.app.build(RegistrySettings(**common("registry"))),
        services.runs.app.build(RunsSettings(**common("runs"))),
        services.scheduler.app.build(SchedulerSettings(**common("scheduler"))),
        services.heartbeat.app.build(HeartbeatSettings(**common("heartbeat"))),
        services.lazarus.app.build(LazarusSettings(**common("lazarus"))),
    ]
    settings: dict[str, Any] = {"auth": "off", "key_pepper": PEPPER, "port": 0} | gateway
    front = services.gateway.app.build(
        GatewaySettings(
            **common("gateway"),
            reader_postgres_url=stack.postgres_url("reader"),
            **settings,
        )
    )
    async with AsyncExitStack() as exits:
        for service in [*services_behind, front]:
            await exits.enter_async_context(running(service))
        yield front
