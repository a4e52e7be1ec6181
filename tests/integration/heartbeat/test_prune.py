"""Records of zombies are deleted once nobody needs them."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.heartbeat.app import build
from services.heartbeat.settings import HeartbeatSettings
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.flows import TENANT, a_flow_run
from tests.support.running import running

OLD = timedelta(days=8)
YOUNG = timedelta(days=6)


def settings(stack: Stack, **changes: Any) -> HeartbeatSettings:
    return HeartbeatSettings(
        postgres_url=stack.postgres_url("heartbeat"), nats_url=stack.nats_url, **changes
    )


async def announced(stack: Stack, *, before: timedelta, run: UUID) -> UUID:
    await stack.admin_pool.execute(
        "INSERT INTO heartbeat.zombie (flow_run_id, version, tenant_id, last_seen, detected)"
        " VALUES ($1, 3, $2, $3, $3)",
        run,
        TENANT,
        utc_now() - before,
    )
    return run


async def ended(stack: Stack, *, before: timedelta) -> UUID:
    run = await a_flow_run(stack.admin_pool, state="Failed")
    await stack.admin_pool.execute(
        "UPDATE runs.flow_run SET end_time = $2 WHERE id = $1", run, utc_now() - before
    )
    return run


async def kept(stack: Stack) -> set[UUID]:
    rows = await stack.admin_pool.fetch("SELECT flow_run_id FROM heartbeat.zombie")
    return {row["flow_run_id"] for row in rows}


async def test_a_zombie_is_deleted_when_its_run_ended_long_ago_or_is_gone(stack: Stack) -> None:
    await stack.admin_pool.execute("TRUNCATE heartbeat.zombie")
    needed = {
        await announced(stack, before=YOUNG, run=await ended(stack, before=YOUNG)),
        await announced(stack, before=OLD, run=await ended(stack, before=YOUNG)),
        await announced(stack, before=OLD, run=await a_flow_run(stack.admin_pool)),
        await announced(stack, before=YOUNG, run=new_id()),
    }
    for _ in range(2):
        await announced(stack, before=OLD, run=await ended(stack, before=OLD))
    await announced(stack, before=OLD, run=new_id())

    async with running(build(settings(stack)), held={"sweep"}) as service:
        deleted = [await service.silences.prune(limit=2) for _ in range(3)]

    assert deleted == [2, 1, 0]
    assert await kept(stack) == needed


async def test_the_sweep_deletes_them(stack: Stack) -> None:
    await stack.admin_pool.execute("TRUNCATE heartbeat.zombie")
    await announced(stack, before=OLD, run=new_id())

    async def is_empty() -> bool:
        return not await kept(stack)

    changes: dict[str, Any] = {
        "heartbeat_interval": timedelta(seconds=0.5),
        "heartbeat_write_interval": timedelta(seconds=0.5),
        "heartbeat_check_interval": timedelta(seconds=0.3),
        "alive_every": timedelta(seconds=0.15),
        "heartbeat_sweep": timedelta(seconds=0.5),
    }
    async with running(build(settings(stack, **changes))):
        await eventually(is_empty, timeout=30)
