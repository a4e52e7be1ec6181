"""Automations under load: `python -m tests.bench.automations [--seconds 10] [--rate 200] [--deadlines 10000]`.

Figures: from a state change of the ledger until its delivery is owed, at 200 events a second with 1,000 hooks of two
tenants, and the service's CPU of an event beside that of the ledger that makes it; then the CPU of the service with
10,000 open deadlines and nothing to do, beside the same without them (budget: 1% of a core).
"""

import argparse
import asyncio
import os
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from libs.runtime.ids import new_id
from tests.support.automations import gateways_were_always_heard
from tests.support.engines import Stack, postgres_for_tests, stack_on
from tests.support.eventually import eventually
from tests.support.ledger import Client, Flow, bus_on, ledger_on, tenant_with_flow

HOOKS = """
WITH actions AS (
    INSERT INTO automations.action (id, tenant_id, action_type, action_config)
    SELECT gen_random_uuid(), $1, 'WebhookAction', '{"url": "https://hooks.example.com/x"}'
    FROM generate_series(1, $2) RETURNING id
)
INSERT INTO automations.hook (id, tenant_id, event_type, event_tags, action_id)
SELECT gen_random_uuid(), $1, 'FlowRunStateChangedEvent',
    jsonb_build_object('state', jsonb_build_array('Scheduled'), 'flow_group_id', jsonb_build_array(
        CASE WHEN row_number() OVER () = 1 THEN $3::uuid ELSE gen_random_uuid() END)),
    id
FROM actions
"""
DEADLINES = """
INSERT INTO automations.sla_deadline (id, tenant_id, flow_sla_config_id, flow_run_id, attempt, run_version, due)
SELECT gen_random_uuid(), r.tenant_id, $1, r.id, 1, r.version, now() + interval '1 hour' FROM runs.flow_run r LIMIT $2
"""
RUNS = """
INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, version, scheduled_start_time, state,
    state_timestamp, state_start_time, serialized_state)
SELECT gen_random_uuid(), $1, $2, $3, 'a run', 1, now() + interval '1 hour', 'Scheduled', now(),
    now() + interval '1 hour', '{}' FROM generate_series(1, $4)
"""
WAITED = """
SELECT extract(epoch FROM created - (event ->> 'timestamp')::timestamptz)::float8 AS seconds
FROM automations.delivery ORDER BY 1
"""
_TICK = os.sysconf("SC_CLK_TCK")


async def main(seconds: int, rate: int, deadlines: int) -> None:
    """Print the figures."""
    async with postgres_for_tests() as postgres, stack_on(postgres) as stack:
        await gateways_were_always_heard(stack)
        flows = [await tenant_with_flow(stack.admin_pool) for _ in range(2)]
        for flow in flows:
            await stack.admin_pool.execute(HOOKS, flow.tenant_id, 500, flow.group_id)
            await stack.admin_pool.execute(
                "INSERT INTO automations.ruleset (tenant_id, version) VALUES ($1, 1)",
                flow.tenant_id,
            )
        async with ledger_on(stack), bus_on(stack) as bus, automations_of(stack) as process:
            clients = [(Client(bus, flow.tenant_id), flow) for flow in flows]
            await measure_events(stack, process, clients, seconds=seconds, rate=rate)
            await measure_deadlines(stack, process, flows[0], deadlines)


@asynccontextmanager
async def automations_of(stack: Stack) -> AsyncIterator[Process]:
    """The service as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.automations"),
        env=os.environ
        | {
            "HEADWATER_POSTGRES_URL": stack.postgres_url("automations"),
            "HEADWATER_NATS_URL": stack.nats_url,
        },
        stderr=DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


async def measure_events(
    stack: Stack,
    process: Process,
    clients: list[tuple[Client, Flow]],
    *,
    seconds: int,
    rate: int,
) -> None:
    """How soon deliveries are owed, and what an event costs."""
    for client, flow in clients:
        await client.create(flow)
    await owed(stack, len(clients))  # it is there, and has its rules in memory
    ours, theirs = time.process_time(), cpu_of(process)
    count = seconds * rate
    began = time.perf_counter()
    waiting = []
    for number in range(count):
        client, flow = clients[number % len(clients)]
        waiting.append(asyncio.create_task(client.create(flow)))
        ahead = number / rate - (time.perf_counter() - began)
        if ahead > 0:
            await asyncio.sleep(ahead)
    await asyncio.gather(*waiting)
    await owed(stack, count + len(clients))
    waits = [row["seconds"] for row in await stack.admin_pool.fetch(WAITED)]
    per_event = 1e6 / count
    print(
        f"{count:,} events at {rate}/s, 1,000 hooks: owed after p50 {at(waits, 0.5)}, p99 {at(waits, 0.99)};"
        f" CPU of an event {(cpu_of(process) - theirs) * per_event:.0f} us, beside"
        f" {(time.process_time() - ours) * per_event:.0f} us of ledger and load"
    )


async def measure_deadlines(stack: Stack, process: Process, flow: Flow, count: int) -> None:
    """The CPU of a core that open deadlines cost."""
    without = await idle(process)
    config = new_id()
    await stack.admin_pool.execute(
        "INSERT INTO automations.flow_sla_config (id, tenant_id, kind, duration_seconds)"
        " VALUES ($1, $2, 'SCHEDULED_NOT_STARTED', 60)",
        config,
        flow.tenant_id,
    )
    await stack.admin_pool.execute(
        "INSERT INTO automations.flow_group_sla (id, tenant_id, flow_sla_config_id, flow_group_id)"
        " VALUES ($1, $2, $3, $4)",
        new_id(),
        flow.tenant_id,
        config,
        flow.group_id,
    )
    await stack.admin_pool.execute(RUNS, flow.tenant_id, flow.id, flow.group_id, count)
    await stack.admin_pool.execute(DEADLINES, config, count)
    await stack.admin_pool.execute("ANALYZE")
    print(f"{count:,} deadlines: {await idle(process):.2%} of a core, beside {without:.2%} without")


async def idle(process: Process) -> float:
    """The part of a core that the process and its database connections use for a minute and a half."""
    began, used = time.perf_counter(), cpu_of(process)
    await asyncio.sleep(90)  # with a sweep
    return (cpu_of(process) - used) / (time.perf_counter() - began)


def cpu_of(process: Process) -> float:
    """Seconds of CPU that the process and its connections' backends have used."""
    pids = [process.pid]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if b"headwater_automations" in (entry / "cmdline").read_bytes():
                    pids.append(int(entry.name))
            except OSError:
                continue
    used = 0.0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        used += (int(fields[11]) + int(fields[12])) / _TICK
    return used


async def owed(stack: Stack, count: int) -> None:
    """Wait until so many deliveries are owed."""

    async def are() -> bool:
        found: int = await stack.admin_pool.fetchval("SELECT count(*) FROM automations.delivery")
        return found >= count

    await eventually(are, timeout=120, pause=0.2)


def at(waits: list[float], part: float) -> str:
    """A percentile of sorted seconds."""
    return f"{waits[min(int(len(waits) * part), len(waits) - 1)] * 1000:.0f} ms"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--deadlines", type=int, default=10_000)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.seconds, arguments.rate, arguments.deadlines))
