"""All services in this process, on a test module's own database and streams."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

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
from tests.support.engines import Database, Stack
from tests.support.running import running

PEPPER = "a pepper for tests"


def services_on(
    database: Database,
    nats_url: Callable[[str], str],
    *,
    nats_tls_ca: str | None = None,
    **gateway: Any,
) -> list[Service]:
    """Every service, to be started in this order: the gateway is the last. Keyword arguments are its settings."""

    def common(name: str) -> dict[str, Any]:
        return {
            "postgres_url": database.postgres_url(name),
            "nats_url": nats_url(name),
            "nats_tls_ca": nats_tls_ca,
        }

    settings: dict[str, Any] = {"auth": "off", "key_pepper": PEPPER, "port": 0} | gateway
    return [
        services.registry.app.build(RegistrySettings(**common("registry"))),
        services.runs.app.build(RunsSettings(**common("runs"))),
        services.scheduler.app.build(SchedulerSettings(**common("scheduler"))),
        services.heartbeat.app.build(HeartbeatSettings(**common("heartbeat"))),
        services.lazarus.app.build(LazarusSettings(**common("lazarus"))),
        services.gateway.app.build(
            GatewaySettings(
                **common("gateway"),
                reader_postgres_url=database.postgres_url("reader"),
                **settings,
            )
        ),
    ]


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
    url = nats_url or (lambda _: stack.nats_url)
    everybody = services_on(stack, url, nats_tls_ca=nats_tls_ca, **gateway)
    async with AsyncExitStack() as exits:
        for service in everybody:
            await exits.enter_async_context(running(service))
        yield cast("Gateway", everybody[-1])
