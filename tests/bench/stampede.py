"""After an outage: `python -m tests.bench.stampede [--distressed 50000] [--seconds 20]`. It takes two minutes.

So many runs were handed to agents that died. Healthy work comes at 50 runs/s, ad hoc, for fifty native agents, first
alone, then while Lazarus brings the others back to the same agents, at four times the pace of its defaults.
Figure: from the creation of a healthy run to the claim in an agent's hands, in both; the second is to be within twice
the first.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
from collections.abc import Iterable
from uuid import UUID

from libs.runtime.bus import Bus
from libs.runtime.ids import new_id
from tests.bench.agent_dispatch import Crowd, crowd, show
from tests.support.engines import Stack, postgres_for_tests, stack_on
from tests.support.eventually import eventually
from tests.support.ledger import Client, Flow, bus_on, register_flow
from tests.support.service_process import ServiceProcess, ledger_process

RATE = 50
PACE = {
    "HEADWATER_LAZARUS_TICK": "PT10S",
    "HEADWATER_LAZARUS_SPREAD": "PT9S",
    "HEADWATER_LAZARUS_TENANT_RATE": "400",
}
DISTRESSED = """
INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, version, heartbeat, scheduled_start_time,
                           state, state_timestamp, serialized_state)
SELECT r, f.tenant_id, f.id, f.flow_group_id, 'a run', 2, past, past, 'Submitted', past, '{}'
FROM registry.flow f, unnest($2::uuid[]) AS r, (SELECT now() - interval '20 minutes' AS past) p WHERE f.id = $1
"""


async def main(arguments: argparse.Namespace) -> int:
    """Print the figures; 1 if the median or the 99th percentile more than doubled, or nothing was revived."""
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before the start")
    async with (
        postgres_for_tests() as postgres,
        stack_on(postgres) as stack,
        ledger_process(stack),
        bus_on(stack) as bus,
    ):
        flow = await register_flow(stack.admin_pool)
        await eventually(lambda: _answers(bus, flow), timeout=30)
        await stack.admin_pool.execute(
            "INSERT INTO gateway.tenant (id, name, slug) VALUES ($1, 'a tenant', 'a-tenant')"
            " ON CONFLICT DO NOTHING",
            flow.tenant_id,
        )
        ids = [new_id() for _ in range(arguments.distressed)]
        await stack.admin_pool.execute(DISTRESSED, flow.id, ids, timeout=120)
        await stack.admin_pool.execute("ANALYZE runs.flow_run", timeout=120)
        async with crowd(stack, flow) as agents:
            working = asyncio.create_task(agents.work())
            alone = await _latencies(agents, bus, flow, seconds=arguments.seconds)
            show(f"healthy work alone, {RATE}/s", alone)
            lazarus = ServiceProcess(stack=stack, name="lazarus", environment=PACE)
            await lazarus.start()
            try:
                await eventually(lambda: _revived(stack), timeout=60, pause=0.5)
                before = await _revived(stack)
                beside = await _latencies(agents, bus, flow, seconds=arguments.seconds)
                pace = (await _revived(stack) - before) / arguments.seconds
            finally:
                await lazarus.kill()
            working.cancel()
        show("while Lazarus drains", beside)
        median = statistics.median(beside) / statistics.median(alone)
        tail = _p99(beside) / _p99(alone)
        print(
            f"{pace:.0f} runs brought back a second; the median is {median:.2f}x, the p99 {tail:.2f}x"
        )
        return int(max(median, tail) > 2 or not pace)


async def _latencies(agents: Crowd, bus: Bus, flow: Flow, *, seconds: int) -> list[float]:
    client = Client(bus, flow.tenant_id)
    creating: list[asyncio.Task[UUID]] = []
    loop = asyncio.get_running_loop()
    begin = loop.time()
    for number in range(RATE * seconds):
        await asyncio.sleep(max(0.0, begin + number / RATE - loop.time()))
        creating.append(asyncio.create_task(client.create(flow)))
    ids = set(await asyncio.gather(*creating))
    await eventually(lambda: ids <= agents.latencies.keys(), timeout=60, pause=0.2)
    return [agents.latencies[run] for run in ids]


async def _revived(stack: Stack) -> int:
    found: int = await stack.admin_pool.fetchval(
        "SELECT count(*) FROM runs.flow_run WHERE times_resurrected > 0"
    )
    return found


async def _answers(bus: Bus, flow: Flow) -> bool:
    await Client(bus, flow.tenant_id).queue()
    return True


def _p99(seconds: Iterable[float]) -> float:
    found = sorted(seconds)
    return found[int(len(found) * 0.99)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--distressed", type=int, default=50_000)
    parser.add_argument("--seconds", type=int, default=20)
    sys.exit(asyncio.run(main(parser.parse_args())))
