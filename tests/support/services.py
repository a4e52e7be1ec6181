"""All services in this process, on a test module's own database and streams."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import Any, cast

from libs.contracts.services import START_ORDER
from libs.runtime.service import Service
from libs.runtime.settings import ServiceSettings
from services.gateway.app import Gateway
from tests.support.engines import Database, Stack
from tests.support.running import running

PEPPER = "a pepper for tests"


def settings_of(name: str) -> type[ServiceSettings]:
    """The class of a service's settings."""
    found = getattr(import_module(f"services.{name}.settings"), f"{name.capitalize()}Settings")
    return cast("type[ServiceSettings]", found)


def build(name: str, settings: ServiceSettings) -> Service:
    """The service of this name."""
    return cast("Service", import_module(f"services.{name}.app").build(settings))


def services_on(
    database: Database,
    nats_url: Callable[[str], str],
    *,
    nats_tls_ca: str | None = None,
    **gateway: Any,
) -> list[Service]:
    """Every service, to be started in this order: the gateway is the last. Keyword arguments are its settings."""
    of_gateway: dict[str, Any] = {
        "reader_postgres_url": database.postgres_url("reader"),
        "auth": "off",
        "key_pepper": PEPPER,
        "port": 0,
    } | gateway

    def made(name: str) -> Service:
        settings = settings_of(name)(
            postgres_url=database.postgres_url(name),
            nats_url=nats_url(name),
            nats_tls_ca=nats_tls_ca,
            **(of_gateway if name == "gateway" else {}),
        )
        return build(name, settings)

    return [made(name) for name in START_ORDER]


@asynccontextmanager
async def all_services(
    stack: Stack,
    nats_url: Callable[[str], str] | None = None,
    *,
    nats_tls_ca: str | None = None,
    held: Collection[str] = (),
    **gateway: Any,
) -> AsyncIterator[Gateway]:
    """Every service; yields the gateway, whose `port` answers. Keyword arguments are its settings.

    `nats_url` gives each service a bus URL of its own, in place of the stack's; `nats_tls_ca` is for all of them.
    `held` are loops of the gateway that do not tick.
    """
    url = nats_url or (lambda _: stack.nats_url)
    everybody = services_on(stack, url, nats_tls_ca=nats_tls_ca, **gateway)
    async with AsyncExitStack() as exits:
        for service in everybody:
            of_this = held if service.name == "gateway" else ()
            await exits.enter_async_context(running(service, held=of_this))
        last = cast("Gateway", everybody[-1])
        if (starting := last.bus._starting) is not None:
            # After some seconds a gateway goes on without the bus, and a busy machine may take longer to connect.
            await asyncio.wait({starting}, timeout=60)
        yield last
