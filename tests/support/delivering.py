"""The automations with a real gateway beside them, which opens secrets, for tests of deliveries."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from libs.runtime.ids import new_id
from services.automations.app import Automations
from services.automations.delivery.settings import DeliverySettings
from services.automations.settings import AutomationsSettings
from services.gateway.app import Gateway
from services.gateway.app import build as build_gateway
from services.gateway.settings import GatewaySettings
from services.gateway.vault import Vault
from tests.support.engines import Stack
from tests.support.receivers import Receiver

PEPPER = "a pepper for tests"
LOOPBACK = "127.0.0.0/8"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The service, its rows, a receiver and a tenant of this test alone."""

    stack: Stack
    service: Automations
    receiver: Receiver
    tenant: UUID

    @property
    def pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        """The owner's connections."""
        return self.stack.admin_pool

    async def deliver(self, now: datetime | None = None) -> int:
        """Take all that is due and wait for it; how many tries."""
        total = 0
        while taken := await self.service.deliveries.worker.tick(now):
            await self.service.deliveries.worker.settled()
            total += taken
        return total

    async def delivery(self, delivery_id: UUID) -> "asyncpg.Record":
        """Its row."""
        row = await self.pool.fetchrow(
            "SELECT * FROM automations.delivery WHERE id = $1", delivery_id
        )
        assert row is not None
        return row

    async def attempts(self, delivery_id: UUID) -> "list[asyncpg.Record]":
        """Its tries, in order."""
        return await self.pool.fetch(
            "SELECT * FROM automations.delivery_attempt WHERE delivery_id = $1 ORDER BY number", delivery_id
        )  # fmt: skip

    async def secret(self, name: str, value: Any) -> None:
        """Set a secret of the tenant."""
        sealed = Vault(PEPPER.encode()).seal(value, self.tenant, name)
        await self.pool.execute(
            "INSERT INTO gateway.secret (id, tenant_id, name, value) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (tenant_id, name) DO UPDATE SET value = excluded.value",
            new_id(), self.tenant, name, sealed,
        )  # fmt: skip


def delivering_on(stack: Stack, **delivery: Any) -> Automations:
    """The service. Loopback is allowed, unless the test says otherwise."""
    settings = AutomationsSettings(
        postgres_url=stack.postgres_url("automations"), nats_url=stack.nats_url
    )
    given: dict[str, Any] = {"allowed_networks": LOOPBACK, "timeout": timedelta(seconds=30)}
    return Automations(settings, delivery=DeliverySettings(**given | delivery))


def gateway_on(stack: Stack, **settings: Any) -> Gateway:
    """A gateway that opens secrets, and answers GraphQL."""
    given: dict[str, Any] = {"auth": "off", "key_pepper": PEPPER, "port": 0}
    return build_gateway(
        GatewaySettings(
            postgres_url=stack.postgres_url("gateway"),
            reader_postgres_url=stack.postgres_url("reader"),
            nats_url=stack.nats_url,
            **given | settings,
        )
    )
