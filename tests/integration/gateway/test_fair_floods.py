"""Who floods is told to come back soon, and another tenant's requests go on meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest

from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from services.gateway.bulk.decisions import Action
from services.gateway.bulk.store import UNFINISHED_OF_TENANT, Request
from services.gateway.keys import Key, Role, fingerprint
from tests.support.engines import Stack
from tests.support.ledger import Flow, tenant_with_flow
from tests.support.services import all_services

STREAMS, DOWNLOADS = 2, 8
"""What a key may have open."""
PATIENCE = 60.0
"""Seconds. Who waited for the flood would wait for longer than a test lasts, because what the flood asks is locked."""
CREATE = (
    "mutation($i: create_flow_run_input!) { create_flow_run(input: $i) { id } }",
    "create_flow_run",
)
START = (
    "mutation($i: set_flow_run_states_input!) { set_flow_run_states(input: $i) { states { status } } }",
    "set_flow_run_states",
)
BULK = (
    "mutation($i: bulk_flow_runs_input!) { bulk_flow_runs(input: $i) { finished } }",
    "bulk_flow_runs",
)


@dataclass(frozen=True, slots=True)
class World:
    """A gateway, who floods it, and another tenant."""

    gateway: Gateway
    flooding: httpx.AsyncClient
    flooding_tenant: UUID
    other: httpx.AsyncClient
    other_flow: Flow


@pytest.fixture
async def world(stack: Stack) -> AsyncIterator[World]:
    async with AsyncExitStack() as exits:
        gateway = await exits.enter_async_context(
            all_services(
                stack,
                auth="required",
                event_streams_per_key=STREAMS,
                # A tick between a request and its hold would finish it.
                held={"bulk"},
            )
        )
        flows = [await tenant_with_flow(stack.admin_pool) for _ in range(2)]
        clients = [
            await exits.enter_async_context(await a_client(gateway, flow.tenant_id))
            for flow in flows
        ]
        yield World(gateway, clients[0], flows[0].tenant_id, clients[1], flows[1])


async def a_client(gateway: Gateway, tenant_id: UUID) -> httpx.AsyncClient:
    text = f"hw_{new_id()}"
    key = Key(
        id=new_id(), tenant_id=tenant_id, user_id=new_id(), name="k", role=Role.USER, expires_at=None
    )  # fmt: skip
    hashed = fingerprint(text, gateway._settings.pepper)
    await gateway._store.create_key(key, hashed, created_by=None)
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{gateway.port}",
        headers={"authorization": f"Bearer {text}"},
        timeout=PATIENCE,
        limits=httpx.Limits(max_connections=None),
    )


async def ask(
    client: httpx.AsyncClient, mutation: tuple[str, str], given: object
) -> httpx.Response:
    return await client.post("/graphql", json={"query": mutation[0], "variables": {"i": given}})


async def unfinished_bulk_requests(world: World, stack: Stack) -> None:
    """As many as a tenant may have, held by another gateway."""
    for _ in range(UNFINISHED_OF_TENANT):
        request = Request(
            id=new_id(), tenant_id=world.flooding_tenant, request_key=str(new_id()),
            action=Action.CANCEL, arguments={}, total=0, finished=False, counts={},
        )  # fmt: skip
        await world.gateway._bulk_store.create(request, [], [])
    await stack.admin_pool.execute(
        "UPDATE gateway.bulk_request SET held_until = now() + interval '1 h' WHERE tenant_id = $1",
        world.flooding_tenant,
    )


async def test_floods_of_one_key_are_told_to_wait_and_another_tenants_requests_go_on(
    world: World, stack: Stack
) -> None:
    await unfinished_bulk_requests(world, stack)
    async with AsyncExitStack() as flood:
        for _ in range(STREAMS):
            stream = world.flooding.stream("GET", "/events")
            assert (await flood.enter_async_context(stream)).status_code == 200
        connection = await flood.enter_async_context(stack.admin_pool.acquire())
        await flood.enter_async_context(connection.transaction())
        await connection.execute("LOCK TABLE registry.project IN ACCESS EXCLUSIVE MODE")
        downloads = [
            asyncio.ensure_future(world.flooding.get("/api/tables/project.csv"))
            for _ in range(DOWNLOADS + 2)
        ]
        refused = [await world.flooding.get("/events")]
        refused.append(
            await ask(
                world.flooding,
                BULK,
                {"request_key": "one more", "action": "CANCEL", "where": {}},
            )
        )
        for ended in asyncio.as_completed(downloads):
            refused.append(await ended)
            if len(refused) == 4:
                break

        # The flood is under way: nothing of it ends well while the table is locked.
        async with asyncio.timeout(PATIENCE):
            made = await ask(world.other, CREATE, {"flow_id": str(world.other_flow.id)})
            run = made.json()["data"]["create_flow_run"]["id"]
            states = [{"flow_run_id": run, "state": {"type": "Running"}, "version": None}]
            started = await ask(world.other, START, {"states": states})
            read = await world.other.post("/graphql", json={"query": "{ flow_run { state } }"})
            table = await world.other.get("/api/tables/flow_run.csv")
            heard = await flood.enter_async_context(world.other.stream("GET", "/events"))

    for answer in refused:
        assert answer.status_code == 429, answer.text
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["errors"][0]["message"]
    assert started.json()["data"]["set_flow_run_states"]["states"] == [{"status": "SUCCESS"}]
    assert read.json()["data"]["flow_run"] == [{"state": "Running"}]
    assert (table.status_code, heard.status_code) == (200, 200)
    await asyncio.gather(*downloads)
