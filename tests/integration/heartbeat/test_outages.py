"""Our own outages cost no run that is alive, and find the dead ones all the same."""

import asyncio
import os
import signal
from contextlib import suppress
from datetime import timedelta
from typing import Any

import nats.errors
import pytest

from libs.contracts import subjects
from services.heartbeat.app import Heartbeat, build
from services.heartbeat.settings import HeartbeatSettings
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.flows import TENANT, a_flow_run

pytestmark = pytest.mark.slow

SILENCE = timedelta(seconds=3)


def a_service(stack: Stack) -> Heartbeat:
    return build(
        HeartbeatSettings(
            postgres_url=stack.postgres_url("heartbeat"),
            nats_url=stack.nats_url,
            heartbeat_interval=timedelta(seconds=0.5),
            heartbeat_misses=6,
            heartbeat_write_interval=timedelta(seconds=0.5),
            heartbeat_sweep=timedelta(seconds=1),
            heartbeat_sweep_grace=timedelta(seconds=1),
            heartbeat_check_interval=timedelta(seconds=0.3),
            heartbeat_needs_gateway=False,
        )
    )


async def has_listened(stack: Stack) -> bool:
    return bool(
        await stack.admin_pool.fetchval(
            "SELECT now() - since > $1 AND now() - at < interval '2 s' FROM heartbeat.watch",
            SILENCE,
        )
    )


async def zombies(stack: Stack) -> set[Any]:
    rows = await stack.admin_pool.fetch("SELECT flow_run_id FROM heartbeat.zombie")
    return {row["flow_run_id"] for row in rows}


async def pinging(stack: Stack, run: Any, stop: asyncio.Event) -> None:
    """A client with a connection of its own, whose failed pings are lost, as Core's are."""

    async def quiet(_error: Exception) -> None: ...

    client = await nats.connect(
        stack.nats_url, max_reconnect_attempts=-1, reconnect_time_wait=0.1, error_cb=quiet
    )
    while not stop.is_set():
        if client.is_connected:
            with suppress(nats.errors.Error):
                await client.publish(subjects.BEAT.at(tenant_id=TENANT, flow_run_id=run))
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await stop.wait()
    await client.close()


async def test_a_broker_that_was_killed_costs_no_live_run_and_hides_no_dead_one(
    stack: Stack,
) -> None:
    if stack.nats is None or stack.nats.pid is None:
        pytest.skip("the broker is not ours to kill")
    alive = await a_flow_run(stack.admin_pool)
    dead = await a_flow_run(stack.admin_pool)
    service = a_service(stack)
    await service.start()
    stop = asyncio.Event()
    client = asyncio.create_task(pinging(stack, alive, stop))
    try:
        await service.bus.client.publish(subjects.BEAT.at(tenant_id=TENANT, flow_run_id=dead))
        await eventually(
            lambda: stack.admin_pool.fetchval("SELECT count(*) = 2 FROM heartbeat.last_seen"),
            timeout=30,
        )

        os.kill(stack.nats.pid, signal.SIGKILL)

        async def dead_one_is_found() -> bool:
            return dead in await zombies(stack)

        await eventually(dead_one_is_found, timeout=60)
        assert alive not in await zombies(stack)
    finally:
        stop.set()
        await client
        await service.stop()


async def test_a_service_that_was_away_judges_nobody_by_what_it_missed(stack: Stack) -> None:
    await stack.admin_pool.execute(
        "TRUNCATE runs.flow_run, heartbeat.last_seen, heartbeat.zombie, heartbeat.watch CASCADE"
    )
    alive = await a_flow_run(stack.admin_pool)
    stop = asyncio.Event()
    client = asyncio.create_task(pinging(stack, alive, stop))
    try:
        first = a_service(stack)
        await first.start()
        await eventually(lambda: has_listened(stack), timeout=60)
        await first.stop()
        # Away for hours: what it wrote is old, and so is its last confirmation.
        await stack.admin_pool.execute(
            "UPDATE heartbeat.last_seen SET at = at - interval '3 hours'"
        )
        await stack.admin_pool.execute(
            "UPDATE heartbeat.watch SET at = at - interval '3 hours', since = since - interval '3 hours'"
        )

        second = a_service(stack)
        await second.start()
        try:
            await eventually(lambda: has_listened(stack), timeout=60)
            await second.silences.sweep()
            assert await zombies(stack) == set()
        finally:
            await second.stop()
    finally:
        stop.set()
        await client
