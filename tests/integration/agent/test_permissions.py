"""The agent and the ledger with no more rights on NATS than production gives them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from deploy.provision import provision
from libs.runtime.bus import Bus
from libs.runtime.ids import new_id
from services.runs.app import Runs
from services.runs.settings import RunsSettings
from tests.support.agent_process import agent_process, does
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.guarded_nats import GuardedNats, guarded_nats
from tests.support.ledger import Client, tenant_with_flow


@asynccontextmanager
async def guarded_ledger(stack: Stack, tenant_id: UUID) -> AsyncIterator[tuple[GuardedNats, Bus]]:
    """A ledger, and the gateway's connection to it, on a guarded broker."""
    async with guarded_nats([tenant_id]) as server:
        await provision(server.url("provision"))
        ledger = Runs(
            RunsSettings(postgres_url=stack.postgres_url("runs"), nats_url=server.url("runs"))
        )
        await ledger.start()
        bus = Bus(server.url("gateway"), service="gateway", drain_timeout=1)
        await bus.start()
        try:
            yield server, bus
        finally:
            await bus.stop()
            await ledger.stop()


async def test_an_agent_needs_no_more_than_its_tenants_subjects(
    stack: Stack, tmp_path: Path
) -> None:
    tenant_id = new_id()
    flow = await tenant_with_flow(stack.admin_pool, tenant_id=tenant_id)
    async with (
        guarded_ledger(stack, tenant_id) as (server, bus),
        agent_process(tmp_path, server.url(f"agent-{tenant_id}"), tenant_id) as agent,
    ):
        client = Client(bus, tenant_id)
        run_id = await client.create(flow, run_config=does("echo said; sleep 60"))
        await agent.has_started(run_id)
        await client.set(run_id, "Running")

        async def logged() -> bool:
            return bool(
                await stack.admin_pool.fetchval(
                    "SELECT true FROM runs.log WHERE flow_run_id = $1 AND message = 'said'", run_id
                )
            )

        await eventually(logged, timeout=20)
        await client.cancel(run_id)
        await agent.has_said("is Cancelled")

        assert server.violations() == []
