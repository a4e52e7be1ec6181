"""Processes that are stopped and go on: the small form of `tests/faults/test_heartbeat.py`, with a silence of 4 s."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import nats
import pytest

from libs.contracts import subjects
from libs.runtime.ids import new_id
from services.heartbeat.domain.last_heard import key_of
from services.heartbeat.listener import PingListener
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.flows import TENANT, a_flow, a_flow_run
from tests.support.pauses import passes, paused
from tests.support.service_process import service_process

pytestmark = pytest.mark.slow

INTERVAL, SILENCE = 0.5, 4.0
SETTINGS = {
    "HEADWATER_HEARTBEAT_INTERVAL": f"PT{INTERVAL}S",
    # Four seconds: who is stopped for one of them goes on within the others on a full machine, too.
    "HEADWATER_HEARTBEAT_MISSES": "8",
    "HEADWATER_HEARTBEAT_WRITE_INTERVAL": "PT0.5S",
    "HEADWATER_HEARTBEAT_CHECK_INTERVAL": "PT0.2S",
    "HEADWATER_HEARTBEAT_SWEEP": "PT1S",
    "HEADWATER_HEARTBEAT_SWEEP_GRACE": "PT1S",
    "HEADWATER_HEARTBEAT_NEEDS_GATEWAY": "false",
}


@asynccontextmanager
async def flow_process(stack: Stack, folder: Path, run: UUID) -> AsyncIterator[Process]:
    """A process that pings for its run as long as it is scheduled."""
    file = folder / str(run)
    file.write_text(f"{run}\n")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.pinger", "--nats", stack.nats_url),
        *("--tenant", str(TENANT), "--runs", str(file)),
        *("--interval", str(INTERVAL)),
        stdin=asyncio.subprocess.PIPE,
        stdout=DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def test_a_listener_whose_broker_answered_too_late_hears_on(stack: Stack) -> None:
    if stack.nats is None or stack.nats.pid is None:
        pytest.skip("the broker is not ours to pause")
    listener, run = PingListener(), new_id()
    await listener.connect(stack.nats_url)
    await listener.listen()
    client = await nats.connect(stack.nats_url)
    try:
        with paused(stack.nats.pid):
            assert not await listener.keeps_up(1)

        async def is_heard() -> bool:
            await client.publish(subjects.BEAT.at(tenant_id=TENANT, flow_run_id=run))
            return listener.has_just_heard(key_of(TENANT, run))

        await eventually(is_heard)
        assert await eventually(lambda: listener.keeps_up(1))
    finally:
        await listener.close()
        await client.close()


async def test_a_listener_that_nobody_reads_does_not_keep_up(stack: Stack) -> None:
    listener = PingListener()
    await listener.connect(stack.nats_url)
    await listener.listen()
    try:
        assert listener._reading_task is not None
        listener._reading_task.cancel()
        await asyncio.gather(listener._reading_task, return_exceptions=True)

        assert not await listener.keeps_up(1)
    finally:
        await listener.close()


async def test_who_is_stopped_for_a_while_and_goes_on_is_no_zombie_and_who_stays_stopped_is_one(
    stack: Stack, tmp_path: Path
) -> None:
    flow = await a_flow(stack.admin_pool, active=False)
    steady, halting = [await a_flow_run(stack.admin_pool, flow=flow) for _ in range(2)]

    async def hears_both() -> bool:
        """For longer than a silence, and now."""
        return bool(
            await stack.admin_pool.fetchval(
                "SELECT (SELECT count(*) FROM heartbeat.last_seen WHERE at > now() - interval '1.5 s') = 2"
                " AND (SELECT now() - since > $1 * interval '1 s' AND now() - at < '1 s' FROM heartbeat.watch)",
                SILENCE,
            )
        )

    async def announced() -> set[UUID]:
        rows = await stack.admin_pool.fetch("SELECT flow_run_id FROM heartbeat.zombie")
        return {row["flow_run_id"] for row in rows}

    async with (
        service_process(stack, "heartbeat", SETTINGS) as service,
        flow_process(stack, tmp_path, steady),
        flow_process(stack, tmp_path, halting) as process,
    ):
        await eventually(hears_both, timeout=60)
        with paused(process.pid):
            await passes(SILENCE / 4)
        assert service.process is not None
        with paused(service.process.pid):
            await passes(1.5 * SILENCE)
        await eventually(hears_both, timeout=60)
        assert await announced() == set()

        with paused(process.pid):
            await eventually(announced, timeout=60)

        assert await announced() == {halting}
