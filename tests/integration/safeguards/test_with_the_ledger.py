"""Heartbeat, Lazarus and the run ledger together: a process dies, its run is found, answered and brought back."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.contracts import subjects
from libs.runtime.clock import utc_now
from services.heartbeat.app import Heartbeat
from services.heartbeat.app import build as build_heartbeat
from services.heartbeat.settings import HeartbeatSettings
from services.lazarus.app import Lazarus
from services.lazarus.app import build as build_lazarus
from services.lazarus.settings import LazarusSettings
from services.runs.app import build as build_runs
from services.runs.settings import RunsSettings
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.flows import TENANT, a_flow_run, a_task_run
from tests.support.running import running

SILENCE = timedelta(seconds=2)
PATIENCE = 50.0
"""Seconds to wait for a judgement: a process that stood still for a second judges nobody for one more silence. They are
fewer than the ledger's own deadline of a cancellation."""


@dataclass
class Safeguards:
    """The three services, and the tables."""

    pool: "asyncpg.Pool[asyncpg.Record]"
    heartbeat: Heartbeat
    lazarus: Lazarus

    async def ping(self, run: UUID) -> None:
        subject = subjects.BEAT.at(tenant_id=TENANT, flow_run_id=run)
        await self.heartbeat.bus.client.publish(subject)

    async def flow_run(self, run: UUID) -> Any:
        return await self.pool.fetchrow("SELECT * FROM runs.flow_run WHERE id = $1", run)

    async def task_state(self, run: UUID) -> str:
        state: str = await self.pool.fetchval("SELECT state FROM runs.task_run WHERE id = $1", run)
        return state

    async def logs(self, run: UUID) -> list[str]:
        rows = await self.pool.fetch(
            "SELECT message FROM runs.log WHERE flow_run_id = $1 ORDER BY timestamp", run
        )
        return [row["message"] for row in rows]


@pytest.fixture
async def safeguards(stack: Stack) -> AsyncIterator[Safeguards]:
    await stack.admin_pool.execute(
        "INSERT INTO gateway.tenant (id, name, slug) VALUES ($1, 'a tenant', 'a-tenant')"
        " ON CONFLICT DO NOTHING",
        TENANT,
    )
    heartbeat = build_heartbeat(
        HeartbeatSettings(
            postgres_url=stack.postgres_url("heartbeat"),
            nats_url=stack.nats_url,
            heartbeat_interval=SILENCE / 4,
            heartbeat_write_interval=SILENCE / 4,
            heartbeat_check_interval=timedelta(seconds=0.3),
            heartbeat_needs_gateway=False,
        )
    )
    lazarus = build_lazarus(
        LazarusSettings(
            postgres_url=stack.postgres_url("lazarus"),
            nats_url=stack.nats_url,
            heartbeat_interval=SILENCE / 4,
            lazarus_after=2 * SILENCE,
            lazarus_spread=timedelta(0),
        )
    )
    runs = build_runs(
        RunsSettings(postgres_url=stack.postgres_url("runs"), nats_url=stack.nats_url)
    )
    async with AsyncExitStack() as opened:
        for service in (runs, heartbeat):
            await opened.enter_async_context(running(service))
        # The tests call its tick, and count what it did.
        await opened.enter_async_context(running(lazarus, ticks=False))
        await eventually(
            lambda: stack.admin_pool.fetchval(
                "SELECT now() - since > $1 FROM heartbeat.watch", SILENCE
            ),
            timeout=PATIENCE,
        )
        yield Safeguards(pool=stack.admin_pool, heartbeat=heartbeat, lazarus=lazarus)


async def test_a_dead_process_is_found_its_task_failed_and_its_run_brought_back(
    safeguards: Safeguards,
) -> None:
    run = await a_flow_run(safeguards.pool)
    task = await a_task_run(safeguards.pool, run)
    await safeguards.ping(run)

    async def task_is_failed() -> bool:
        return await safeguards.task_state(task) == "Failed"

    await eventually(task_is_failed, timeout=PATIENCE)
    assert (await safeguards.flow_run(run))["state"] == "Running"

    async def lazarus_revives_it() -> bool:
        return (await safeguards.lazarus.resurrections.tick()).revived == 1

    async def is_scheduled() -> bool:
        return bool((await safeguards.flow_run(run))["state"] == "Scheduled")

    await eventually(lazarus_revives_it, timeout=PATIENCE, pause=0.3)
    await eventually(is_scheduled, timeout=PATIENCE)
    assert (await safeguards.flow_run(run))["times_resurrected"] == 1
    assert "Rescheduled by a Lazarus process. This is attempt 1." in await safeguards.logs(run)


async def test_a_dead_run_of_a_flow_that_was_archived_meanwhile_is_brought_back_too(
    safeguards: Safeguards,
) -> None:
    """A new version was registered while the run ran: it is no new run (fault 18 of the peer)."""
    run = await a_flow_run(safeguards.pool)
    await safeguards.pool.execute(
        "UPDATE registry.flow SET archived = true WHERE id = (SELECT flow_id FROM runs.flow_run WHERE id = $1)",
        run,
    )
    task = await a_task_run(safeguards.pool, run)
    await safeguards.ping(run)

    async def is_revived() -> bool:
        await safeguards.lazarus.resurrections.tick()
        return bool((await safeguards.flow_run(run))["state"] == "Scheduled")

    await eventually(is_revived, timeout=PATIENCE, pause=0.3)
    assert await safeguards.task_state(task) == "Failed"


async def test_with_lazarus_off_the_run_of_a_dead_process_is_failed(
    safeguards: Safeguards,
) -> None:
    run = await a_flow_run(safeguards.pool, settings={"lazarus_enabled": False})
    await safeguards.ping(run)

    async def is_failed() -> bool:
        return bool((await safeguards.flow_run(run))["state"] == "Failed")

    await eventually(is_failed, timeout=PATIENCE)
    assert (await safeguards.lazarus.resurrections.tick()).revived == 0


async def test_a_cancelling_run_that_falls_silent_is_failed(safeguards: Safeguards) -> None:
    run = await a_flow_run(safeguards.pool, state="Cancelling", state_timestamp=utc_now())
    await safeguards.ping(run)

    async def is_failed() -> bool:
        return bool((await safeguards.flow_run(run))["state"] == "Failed")

    await eventually(is_failed, timeout=PATIENCE)


async def test_after_ten_resurrections_the_run_is_given_up(safeguards: Safeguards) -> None:
    run = await a_flow_run(safeguards.pool, state="Submitted", times_resurrected=10)

    assert (await safeguards.lazarus.resurrections.tick()).given_up == 1

    async def is_failed() -> bool:
        return bool((await safeguards.flow_run(run))["state"] == "Failed")

    await eventually(is_failed, timeout=PATIENCE)
    assert (await safeguards.flow_run(run))["state_message"] == (
        "A Lazarus process attempted to reschedule this run 10 times without success. "
        "Marking as failed."
    )
