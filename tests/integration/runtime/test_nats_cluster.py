"""A cluster of three NATS nodes: each is lost in turn, and what provisioning could not make is missed by name.

The ten rounds with a process for each service, and the fifteen seconds, are in tests/faults/test_nats_cluster.py.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from deploy.engines import EngineError
from deploy.provision import provision
from libs.contracts.streams import DLQ, EVENTS, LOGS, WORK, Stream
from libs.runtime.bus import Bus
from libs.runtime.bus.streams import NotProvisionedError
from libs.runtime.service import Service
from services.runs.app import Runs
from services.runs.settings import RunsSettings
from tests.faults.ledger_invariants import check_ledger
from tests.faults.ledger_load import Load
from tests.support.engines import Database
from tests.support.eventually import eventually
from tests.support.guarded_nats import guarded_nats
from tests.support.ledger import register_flow
from tests.support.nats_cluster import NatsCluster, nats_cluster
from tests.support.nats_rounds import Rounds
from tests.support.running import running
from tests.support.services import services_on


@pytest.fixture(scope="module")
async def cluster() -> AsyncIterator[NatsCluster]:
    async with nats_cluster() as found:
        await provision(found.url("provision"), replicas=3)
        yield found


async def test_every_service_comes_back_when_its_node_is_lost(
    database: Database, cluster: NatsCluster
) -> None:
    flow = await register_flow(database.admin_pool, tasks=2)
    bus = Bus(cluster.url("gateway"), service="gateway")
    await bus.start()
    async with AsyncExitStack() as exits:
        everybody = services_on(database, cluster.url)
        for service in everybody:
            await exits.enter_async_context(running(service))
        load = await Load.of(bus, flow, label_limit=10, tag_limit=10)
        rounds = Rounds(
            cluster=cluster,
            load=load,
            pool=database.admin_pool,
            unready=lambda: unready(everybody),
            within=60.0,
        )

        await rounds.go(1)

        assert [reason for service in everybody for reason in service.failed()] == []
    await bus.stop()
    await check_ledger(database.admin_pool)
    assert len(load.finished) >= len(rounds.waits) == 3


async def test_provisioning_that_broke_off_is_said_by_whoever_needs_the_rest(
    database: Database,
) -> None:
    too_much = replace(LOGS, max_bytes=1 << 50)
    async with guarded_nats() as server:
        url = server.url("provision")

        with pytest.raises(EngineError) as refused:
            await provision(url, streams=[EVENTS, too_much, WORK, DLQ])

        assert "LOGS: " in str(refused.value)
        assert "3 of 4 streams are there; mend this and provision again." in str(refused.value)
        settings = RunsSettings(
            postgres_url=database.postgres_url("runs"), nats_url=server.url("runs")
        )
        async with running(Runs(settings)) as ledger:
            assert await ledger.unready() == [
                "NATS has no consumer runs__logs of the stream LOGS: provision it"
                " (python -m deploy.provision)"
            ]
            await provision(url)
            await eventually(lambda: is_ready(ledger), timeout=30)
        assert server.violations() == []


async def test_a_service_whose_consumers_cannot_be_bound_says_which_and_does_not_start(
    database: Database,
) -> None:
    async with guarded_nats() as server:
        await provision(server.url("provision"), streams=[EVENTS, LOGS])
        settings = RunsSettings(
            postgres_url=database.postgres_url("runs"), nats_url=server.url("runs")
        )

        with pytest.raises(NotProvisionedError) as missing:
            async with running(Runs(settings)):
                pass

        assert "NATS has no consumer runs__work of the stream WORK" in str(missing.value)
        assert server.violations() == []


async def test_who_only_publishes_misses_its_stream_too(database: Database) -> None:
    async with guarded_nats() as server:
        everybody = services_on(database, server.url)
        missed = {
            service.name: await missed_by(service)
            for service in everybody
            if service.name in {"registry", "lazarus", "gateway"}
        }
        refused = server.violations()

    assert missed == {
        "registry": ["NATS has no stream EVENTS: provision it (python -m deploy.provision)"],
        "lazarus": ["NATS has no stream WORK: provision it (python -m deploy.provision)"],
        "gateway": ["NATS has no stream LOGS: provision it (python -m deploy.provision)"],
    }
    assert refused == []


async def test_a_cluster_without_room_is_told_how_much_it_needs(cluster: NatsCluster) -> None:
    roomy = Stream(name="ROOMY", subjects=("roomy.>",), max_bytes=20 << 30)
    # The node that came back last may still be catching up: what can be made is made by now.
    await provision(cluster.url("provision"), replicas=3)

    with pytest.raises(EngineError) as refused:
        await provision(
            cluster.url("provision"), streams=[roomy], replicas=3, wait=timedelta(seconds=2)
        )

    assert "ROOMY: " in str(refused.value)
    assert "Each of 3 nodes needs room for 20.00 GiB and more" in str(refused.value)


async def missed_by(service: Service) -> list[str]:
    async with running(service):
        return service.bus.missing()


async def is_ready(service: Service) -> bool:
    assert await service.unready() == []
    return True


async def unready(services: list[Service]) -> list[str]:
    return [
        f"{service.name}: {reason}" for service in services for reason in await service.unready()
    ]
