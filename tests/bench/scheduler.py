"""How long a tick of the scheduler takes: `python -m tests.bench.scheduler [--schedules 10000] [--new 1000]`.

Figures: a tick over many active schedules with nothing due, beside the bare reading of as many rows on the same box;
then new flows at once, until the ledger holds ten runs of each (scheduler and run ledger, both real).
"""

import argparse
import asyncio
import os
import sys
import time
from datetime import timedelta

from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.scheduler.app import build
from services.scheduler.planner import PATIENCE
from services.scheduler.settings import SchedulerSettings
from tests.support.engines import Stack, postgres_for_tests, stack_on
from tests.support.eventually import eventually
from tests.support.flows import TENANT

MANY_FLOWS = """
WITH projects AS (
    INSERT INTO registry.project (id, tenant_id, name) VALUES ($2, $1, $2::uuid::text)
), numbered AS (
    SELECT gen_random_uuid() AS flow, gen_random_uuid() AS flow_group, n FROM generate_series(1, $3) AS n
), groups AS (
    INSERT INTO registry.flow_group (id, tenant_id, name) SELECT flow_group, $1, flow_group::text FROM numbered
)
INSERT INTO registry.flow (id, tenant_id, project_id, flow_group_id, name, version, version_group_id,
                           schedule, is_schedule_active)
SELECT flow, $1, $2, flow_group, 'flow ' || n, 1, flow_group::text,
       jsonb_build_object('type', 'Schedule', 'clocks', jsonb_build_array(
           CASE WHEN n % 2 = 0
           THEN jsonb_build_object('type', 'CronClock', 'cron', n % 60 || ' * * * *')
           ELSE jsonb_build_object('type', 'IntervalClock', 'interval', 3600000000::bigint,
                                   'start_date', jsonb_build_object('dt', '2026-01-01T00:00:00', 'tz', 'Europe/Berlin'))
           END)), true
FROM numbered
"""

THEIR_RUNS = """
INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, version, scheduled_start_time, schedule_hash,
                           auto_scheduled, state, state_timestamp, state_start_time, serialized_state)
SELECT gen_random_uuid(), tenant_id, flow_id, flow_group_id, 'a run', 1, (key ->> 0)::timestamptz, key ->> 1, true,
       'Scheduled', now(), (key ->> 0)::timestamptz, '{}'
FROM scheduler.schedule, jsonb_array_elements(planned) AS key
"""


async def main(schedules: int, new: int) -> None:
    """Print the figures."""
    async with postgres_for_tests() as postgres, stack_on(postgres) as stack:
        never = timedelta(days=1)
        scheduler = build(
            SchedulerSettings(
                postgres_url=stack.postgres_url("scheduler"),
                nats_url=stack.nats_url,
                schedule_tick=never,
            )
        )
        for loop in scheduler.loops:
            loop._start_after = never.total_seconds()  # this script ticks
        await scheduler.start()
        await many_flows(stack, schedules)
        began = time.perf_counter()
        await scheduler.planner.tick()
        print(f"first tick, {schedules:,} schedules proposed: {since(began)}")
        # The ledger's own speed is measured below; here its rows are put there at once.
        await scheduler.bus.js.purge_stream("WORK")
        await stack.admin_pool.execute(THEIR_RUNS)
        await stack.admin_pool.execute("ANALYZE")
        for _ in range(3):
            began = time.perf_counter()
            ticked = await scheduler.planner.tick()
            print(f"tick, {schedules:,} schedules, nothing due: {since(began)} {ticked}")
        long_after = utc_now() + 2 * PATIENCE
        for _ in range(3):
            began = time.perf_counter()
            different = await scheduler.planner.compare(long_after)
            print(f"comparison of {schedules:,} schedules: {since(began)}, {different} differ")
        began = time.perf_counter()
        await stack.admin_pool.fetch("SELECT id, schedule FROM registry.flow")
        print(f"  beside it, the bare reading of the rows: {since(began)}")
        runs = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "services.runs"),
            env=os.environ
            | {
                "HEADWATER_POSTGRES_URL": stack.postgres_url("runs"),
                "HEADWATER_NATS_URL": stack.nats_url,
            },
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await many_flows(stack, new)
            began = time.perf_counter()
            await scheduler.planner.tick()
            print(f"tick, {new:,} new flows: {since(began)}")
            await ledger_holds(stack, (schedules + new) * 10)
            print(f"  until the ledger holds their {new * 10:,} runs: {since(began)}")
        finally:
            await scheduler.stop()
            runs.terminate()
            await runs.wait()


async def many_flows(stack: Stack, count: int) -> None:
    """Active schedules, half cron and half interval."""
    await stack.admin_pool.execute(MANY_FLOWS, TENANT, new_id(), count)


async def ledger_holds(stack: Stack, count: int) -> None:
    """Wait for so many runs."""

    async def holds() -> bool:
        held: int = await stack.admin_pool.fetchval("SELECT count(*) FROM runs.flow_run")
        return held >= count

    await eventually(holds, timeout=300, pause=0.1)


def since(began: float) -> str:
    """Seconds, for a person."""
    return f"{time.perf_counter() - began:.2f} s"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--new", type=int, default=1_000)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.schedules, arguments.new))
