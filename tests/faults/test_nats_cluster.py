"""Ten rounds of a NATS cluster under load: each node is killed in turn, and every service is ready within 15 seconds.

Each service is a process of its own that nobody restarts. HEADWATER_NATS_ROUNDS sets how many rounds there are.
"""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from deploy.provision import provision
from libs.contracts.services import START_ORDER
from libs.runtime.bus import Bus
from tests.faults.ledger_invariants import check_ledger
from tests.faults.ledger_load import Load
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import register_flow
from tests.support.nats_cluster import NatsCluster, nats_cluster
from tests.support.nats_rounds import Rounds
from tests.support.ports import free_port
from tests.support.service_process import ServiceProcess, service_process

ROUNDS = int(os.environ.get("HEADWATER_NATS_ROUNDS", "10"))
READY_WITHIN = 15.0


@pytest.mark.slow
@pytest.mark.timeout(60 + 120 * ROUNDS)
async def test_each_node_is_lost_ten_times_and_every_service_is_soon_ready(
    stack: Stack, tmp_path: Path
) -> None:
    flow = await register_flow(stack.admin_pool, tasks=2)
    async with nats_cluster() as cluster:
        await provision(cluster.url("provision"), replicas=3)
        bus = Bus(cluster.url("gateway"), service="gateway")
        await bus.start()
        async with processes(stack, cluster, tmp_path) as (everybody, ports):
            load = await Load.of(bus, flow, label_limit=10, tag_limit=10)
            rounds = Rounds(
                cluster=cluster,
                load=load,
                pool=stack.admin_pool,
                unready=lambda: unready(ports),
                within=READY_WITHIN,
            )
            try:
                await rounds.go(ROUNDS)
            finally:
                print("seconds until all was well:", *(f"{wait:.1f}" for wait in rounds.waits))  # noqa: T201

            assert [each.process.returncode for each in everybody if each.process] == [None] * 6
        await bus.stop()

    await check_ledger(stack.admin_pool)
    assert len(rounds.waits) == 3 * ROUNDS


@asynccontextmanager
async def processes(
    stack: Stack, cluster: NatsCluster, folder: Path
) -> AsyncIterator[tuple[list[ServiceProcess], dict[str, int]]]:
    """All services, and where each says how it is."""
    ports = {name: free_port() for name in START_ORDER}
    async with AsyncExitStack() as exits:
        everybody = []
        for name, port in ports.items():
            settings = {
                "HEADWATER_NATS_URL": cluster.url(name),
                "HEADWATER_HEALTH_PORT": str(port),
                "HEADWATER_READER_POSTGRES_URL": stack.postgres_url("reader"),
                "HEADWATER_KEY_PEPPER": "a pepper for tests",
                "HEADWATER_AUTH": "off",
                "HEADWATER_PORT": str(free_port()),
            }
            process = service_process(stack, name, settings, log=folder / f"{name}.log")
            everybody.append(await exits.enter_async_context(process))

        async def up() -> bool:
            assert await unready(ports) == []
            return True

        await eventually(up, timeout=90, pause=0.5)
        yield everybody, ports


async def unready(ports: dict[str, int]) -> list[str]:
    """What the services say against themselves; a failed `/health` among it."""
    reasons = []
    async with httpx.AsyncClient(timeout=5) as http:
        for name, port in ports.items():
            for path in ("/health", "/ready"):
                answer = (await http.get(f"http://127.0.0.1:{port}{path}")).json()
                reasons += [f"{name}: {reason}" for reason in answer.get("reasons", ())]
    return reasons
