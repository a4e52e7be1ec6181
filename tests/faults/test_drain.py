"""SIGTERM to one of two replicas under load: gone within 20 s with exit code 0, and no acknowledged command is lost.

A caller that was not acknowledged was told so clearly, and the other replica takes the command.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import httpx
import nats
import pytest

from libs.contracts import subjects
from libs.runtime.ids import new_id
from tests.faults.ledger_load import Load
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.flows import TENANT, a_flow, a_flow_run
from tests.support.ledger import bus_on, register_flow
from tests.support.ports import free_port
from tests.support.service_process import ServiceProcess, gateway_process, service_process

pytestmark = pytest.mark.slow

WITHIN = 20.0  # seconds, from SIGTERM to the end of the process
CLIENTS = 16
FAST = {"HEADWATER_SCHEDULE_TICK": "PT0.2S", "HEADWATER_SCHEDULE_BATCH": "10"}
HOURLY = {"type": "Schedule", "clocks": [{"type": "CronClock", "cron": "0 * * * *"}]}


async def terminated(process: ServiceProcess) -> float:
    """Ask it to end; how long it took. Its exit code must be 0."""
    assert process.process is not None
    loop = asyncio.get_running_loop()
    began = loop.time()
    process.process.send_signal(signal.SIGTERM)
    code = await asyncio.wait_for(process.ended(), WITHIN)
    assert code == 0, process.name
    return loop.time() - began


@asynccontextmanager
async def two_of(
    stack: Stack, name: str, environment: dict[str, str] | None = None
) -> AsyncIterator[tuple[ServiceProcess, ServiceProcess]]:
    """Two replicas that serve."""
    ports = [free_port(), free_port()]
    async with AsyncExitStack() as processes, httpx.AsyncClient() as http:
        one, other = [
            await processes.enter_async_context(
                service_process(
                    stack, name, {"HEADWATER_HEALTH_PORT": str(port), **(environment or {})}
                )
            )
            for port in ports
        ]

        async def serves(port: int) -> bool:
            return (await http.get(f"http://127.0.0.1:{port}/health")).is_success

        for port in ports:
            await eventually(partial(serves, port), timeout=60, pause=0.1)
        yield one, other


async def test_a_ledger_that_drains_loses_no_acknowledged_state_and_refuses_none(
    stack: Stack,
) -> None:
    flow = await register_flow(stack.admin_pool)
    async with two_of(stack, "runs") as (leaving, _), bus_on(stack) as bus:
        load = Load(bus=bus, flow=flow)
        await load.one_run()
        stop = asyncio.Event()
        clients = [asyncio.create_task(load.drive(until=stop)) for _ in range(CLIENTS)]
        await eventually(lambda: len(load.finished) >= 2 * CLIENTS, timeout=60)

        took = await terminated(leaving)
        enough = len(load.finished) + CLIENTS
        await eventually(lambda: len(load.finished) >= enough, timeout=60)
        stop.set()
        await asyncio.gather(*clients)

    rows = await stack.admin_pool.fetch(
        """
        SELECT flow_run_id AS id, version, state FROM runs.flow_run_state WHERE tenant_id = $1
        UNION ALL SELECT task_run_id, version, state FROM runs.task_run_state WHERE tenant_id = $1
        """,
        flow.tenant_id,
    )
    assert took < WITHIN
    assert load.applied <= {(row["id"], row["version"], row["state"]) for row in rows}
    assert load.unanswered == 0, "a drain is nobody's outage"


@dataclass
class Creator:
    """Makes runs over HTTP, one after the other, through the gateway that answers."""

    urls: list[str]
    flow: UUID
    acknowledged: dict[str, str] = field(default_factory=dict)
    refused: int = 0
    """Requests that ended with an error instead of an answer; each was repeated at the other gateway."""

    async def create(self, until: asyncio.Event) -> None:
        async with AsyncExitStack() as exits:
            gateways = [
                await exits.enter_async_context(httpx.AsyncClient(base_url=url, timeout=20))
                for url in self.urls
            ]
            while not until.is_set():
                key = str(new_id())
                self.acknowledged[key] = await self._one(gateways, key)

    async def _one(self, gateways: list[httpx.AsyncClient], key: str) -> str:
        query = (
            f'mutation {{ create_flow_run(input: {{flow_id: "{self.flow}",'
            f' idempotency_key: "{key}"}}) {{ id }} }}'
        )
        for gateway in gateways:
            try:
                answer = (await gateway.post("/graphql", json={"query": query})).json()
            except httpx.TransportError:
                self.refused += 1
                continue
            if not answer.get("errors"):
                made: str = answer["data"]["create_flow_run"]["id"]
                return made
            assert answer["errors"][0]["extensions"]["code"] == "API_ERROR", answer
            self.refused += 1
        raise AssertionError("both gateways refused")


async def test_a_gateway_that_drains_answers_what_it_took(stack: Stack) -> None:
    async with AsyncExitStack() as processes:
        await processes.enter_async_context(service_process(stack, "runs", {}))
        leaving, first = await processes.enter_async_context(gateway_process(stack))
        _, second = await processes.enter_async_context(gateway_process(stack))
        tenant = await stack.admin_pool.fetchval("SELECT id FROM gateway.tenant")
        flow = await register_flow(stack.admin_pool, tenant_id=tenant)
        creator = Creator([first, second], flow.id)
        stop = asyncio.Event()
        clients = [asyncio.create_task(creator.create(stop)) for _ in range(CLIENTS)]
        await eventually(lambda: len(creator.acknowledged) >= 5 * CLIENTS, timeout=60)

        took = await terminated(leaving)
        enough = len(creator.acknowledged) + 2 * CLIENTS
        await eventually(lambda: len(creator.acknowledged) >= enough, timeout=60)
        stop.set()
        await asyncio.gather(*clients)

    rows = await stack.admin_pool.fetch(
        "SELECT idempotency_key AS key, id FROM runs.flow_run WHERE flow_id = $1", flow.id
    )
    made = {row["key"]: str(row["id"]) for row in rows}
    assert took < WITHIN
    assert creator.refused > 0, "nobody noticed: the gateway did not end under load"
    assert made == creator.acknowledged


async def test_a_scheduler_that_drains_leaves_every_schedule_to_the_other(stack: Stack) -> None:
    flows = [await a_flow(stack.admin_pool, schedule=HOURLY) for _ in range(200)]

    async def counts() -> dict[UUID, tuple[int, int]]:
        rows = await stack.admin_pool.fetch(
            "SELECT flow_id, count(*) AS runs, count(DISTINCT scheduled_start_time) AS instants"
            " FROM runs.flow_run WHERE flow_id = ANY($1::uuid[]) GROUP BY flow_id",
            flows,
        )
        return {row["flow_id"]: (row["runs"], row["instants"]) for row in rows}

    async def begun() -> bool:
        return len(await counts()) >= 10

    async def whole() -> bool:
        found = await counts()
        return len(found) == len(flows) and set(found.values()) == {(10, 10)}

    async with service_process(stack, "runs", {}), two_of(stack, "scheduler", FAST) as (leaving, _):
        await eventually(begun, timeout=60)

        took = await terminated(leaving)

        await eventually(whole, timeout=90, pause=0.2)

    assert took < WITHIN


async def test_a_heartbeat_service_that_drains_writes_the_pings_it_heard(stack: Stack) -> None:
    flow = await a_flow(stack.admin_pool, active=False)
    runs = [await a_flow_run(stack.admin_pool, flow=flow) for _ in range(600)]

    async def seen() -> set[UUID]:
        rows = await stack.admin_pool.fetch("SELECT flow_run_id FROM heartbeat.last_seen")
        return {row["flow_run_id"] for row in rows}

    async def all_seen() -> bool:
        return set(runs) <= await seen()

    async with two_of(stack, "heartbeat") as (leaving, _):
        client = await nats.connect(stack.nats_url)
        try:

            async def ping() -> None:
                for run in runs:  # one ping each: what is lost is not said again
                    await client.publish(subjects.BEAT.at(tenant_id=TENANT, flow_run_id=run))
                    await client.flush()

            pinging = asyncio.create_task(ping())
            await eventually(seen, timeout=60)
            took = await terminated(leaving)
            await pinging
            await eventually(all_seen, timeout=60)
        finally:
            await client.close()

    assert took < WITHIN
