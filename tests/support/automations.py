"""The automations under test: the service on a stack, its rules made by its verbs, and what it owes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from libs.contracts import automations
from libs.contracts.automations import EventType, SlaKind
from libs.contracts.base import Applied, Refused
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.automations.app import Automations
from services.automations.settings import AutomationsSettings
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Client, Flow
from tests.support.running import running

WEBHOOK = {"webhook": {"url": "https://hooks.example.com/x"}}


@asynccontextmanager
async def automations_on(stack: Stack, **settings: Any) -> AsyncIterator[Automations]:
    """A started service whose loops wait; the test calls what they would."""
    urls = {"postgres_url": stack.postgres_url("automations"), "nats_url": stack.nats_url}
    async with running(Automations(AutomationsSettings(**urls | settings)), ticks=False) as service:
        yield service


async def gateways_were_always_heard(stack: Stack) -> None:
    """As the heartbeat service writes it: since long ago, and for as long as a test may look ahead."""
    await stack.admin_pool.execute(
        "INSERT INTO heartbeat.watch (id, since, at) VALUES (1, $1, $2)"
        " ON CONFLICT (id) DO UPDATE SET since = $1, at = $2",
        utc_now() - timedelta(days=30),
        utc_now() + timedelta(days=3650),
    )


@dataclass(frozen=True, slots=True)
class Rules:
    """Makes the rules of one tenant, and shows what is owed."""

    stack: Stack
    service: Automations
    client: Client

    @property
    def tenant_id(self) -> UUID:
        """Whose rules they are."""
        return self.client.tenant_id

    async def action(self, config: dict[str, Any] | None = None, **fields: Any) -> UUID:
        """A new action's id; a refusal fails the test."""
        reply = await self.ask_action(config or WEBHOOK, **fields)
        assert isinstance(reply, automations.ActionCreated), reply
        return reply.id

    async def ask_action(
        self, config: dict[str, Any], **fields: Any
    ) -> automations.ActionCreated | Refused:
        """Ask for an action."""
        return await self.client.bus.call(
            automations.CREATE_ACTION,
            automations.CreateAction(
                tenant_id=self.tenant_id, action_id=new_id(), config=config, **fields
            ),
        )

    async def hook(
        self,
        action_id: UUID,
        *states: str,
        flows: list[Flow] | None = None,
        **fields: Any,
    ) -> UUID:
        """A new hook for states; its id. A refusal fails the test."""
        tags = {"state": list(states)}
        if flows is not None:
            tags["flow_group_id"] = [str(flow.group_id) for flow in flows]
        reply = await self.ask_hook(action_id, EventType.STATE_CHANGED, tags, **fields)
        assert isinstance(reply, Applied), reply
        assert reply.id is not None
        return reply.id

    async def ask_hook(
        self, action_id: UUID, event_type: EventType, tags: dict[str, list[str]], **fields: Any
    ) -> Applied | Refused:
        """Ask for a hook."""
        return await self.client.bus.call(
            automations.CREATE_HOOK,
            automations.CreateHook(
                tenant_id=self.tenant_id,
                action_id=action_id,
                event_type=event_type,
                event_tags=tags,
                **fields,
            ),
        )

    async def sla(self, kind: SlaKind, seconds: int, flow: Flow) -> UUID:
        """A new promise about a flow group, with a hook and its action; the config's id."""
        reply = await self.client.bus.call(
            automations.CREATE_FLOW_SLA_CONFIG,
            automations.CreateFlowSlaConfig(
                tenant_id=self.tenant_id, sla_kind=kind, duration_seconds=seconds
            ),
        )
        assert isinstance(reply, Applied), reply
        assert reply.id is not None
        link = automations.CreateFlowGroupSla(
            tenant_id=self.tenant_id, flow_sla_config_id=reply.id, flow_group_id=flow.group_id
        )
        linked = await self.client.bus.call(automations.CREATE_FLOW_GROUP_SLA, link)
        assert isinstance(linked, Applied), linked
        tags = {"flow_sla_config_id": [str(reply.id)]}
        hook = await self.ask_hook(await self.action(), EventType.FLOW_SLA_FAILED, tags)
        assert isinstance(hook, Applied), hook
        return reply.id

    async def ask(self, rpc: Any, request: Any) -> Any:
        """Ask for anything else."""
        return await self.client.bus.call(rpc, request)

    async def handled(self) -> None:
        """Until every event of the ledger so far has been handled."""
        pool = self.stack.admin_pool

        async def done() -> bool:
            if await pool.fetchval("SELECT EXISTS (SELECT FROM runs.outbox)"):
                return False
            js = self.client.bus.js
            info = await js.consumer_info("EVENTS", "automations__states")
            return (info.num_pending, info.num_ack_pending) == (0, 0)

        await eventually(done, timeout=60, pause=0.05)

    async def owed(self) -> list[Any]:
        """The tenant's deliveries, oldest first."""
        rows: list[Any] = await self.stack.admin_pool.fetch(
            "SELECT * FROM automations.delivery WHERE tenant_id = $1 ORDER BY created, id",
            self.tenant_id,
        )
        return rows

    async def states_owed(self) -> list[str]:
        """The states that the deliveries are about, once all events have been handled."""
        await self.handled()
        return [row["event"]["state"] for row in await self.owed()]
