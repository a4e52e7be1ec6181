"""What pings cost, and how soon silence is found: `python -m tests.bench.heartbeat [--runs 60000] [--seconds 60]`.

So many live runs ping every 30 s, straight over NATS, against a heartbeat service in a process of its own. Figures: the
service's CPU per ping and memory, false zombies (must be none), and, after some runs stop, when each was announced,
counted from its last ping. `--silence` shortens the two minutes.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import nats
import psutil

from libs.contracts.heartbeat import beat_message
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from tests.support.engines import Stack, postgres_for_tests, stack_on
from tests.support.eventually import eventually
from tests.support.flows import TENANT, a_flow

MANY_RUNS = """
INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, version, heartbeat, scheduled_start_time,
                           state, state_timestamp, serialized_state)
SELECT r, f.tenant_id, f.id, f.flow_group_id, 'a run', 3, now(), now(), 'Running', now(), '{}'
FROM registry.flow f, unnest($2::uuid[]) AS r WHERE f.id = $1
"""


async def main(runs: int, seconds: float, interval: float, silence: float, stop: int) -> None:
    """Print the figures."""
    async with postgres_for_tests() as postgres, stack_on(postgres) as stack:
        flow = await a_flow(stack.admin_pool, active=False)
        ids = [new_id() for _ in range(runs)]
        await stack.admin_pool.execute(MANY_RUNS, flow, ids)
        service = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "services.heartbeat"),
            env=os.environ
            | {
                "HEADWATER_POSTGRES_URL": stack.postgres_url("heartbeat"),
                "HEADWATER_NATS_URL": stack.nats_url,
                "HEADWATER_HEARTBEAT_SILENCE": f"PT{silence:.0f}S",
                "HEADWATER_HEARTBEAT_INTERVAL": f"PT{interval:.0f}S",
                "HEADWATER_HEARTBEAT_NEEDS_GATEWAY": "false",
            },
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await measure(
                stack,
                service.pid,
                ids,
                seconds=seconds,
                interval=interval,
                silence=silence,
                stop=stop,
            )
        finally:
            service.terminate()
            await service.wait()


async def measure(
    stack: Stack,
    pid: int,
    ids: list[UUID],
    *,
    seconds: float,
    interval: float,
    silence: float,
    stop: int,
) -> None:
    """Ping for so long, stop some runs, wait until they are announced."""
    process = psutil.Process(pid)
    client = await nats.connect(stack.nats_url, pending_size=64 << 20)
    span = timedelta(seconds=silence)
    live = list(ids)
    random.shuffle(live)
    last: dict[UUID, float] = {}
    sent = 0
    began = cpu_began = 0.0

    async def one_round() -> None:
        nonlocal sent
        start = time.monotonic()
        for number, run in enumerate(live):
            subject, headers, body = beat_message(TENANT, run, utc_now(), span)
            await client.publish(subject, body, headers=headers)
            last[run] = time.time()  # noqa: TID251 - a benchmark compares with the database's clock
            sent += 1
            ahead = start + interval * number / len(live) - time.monotonic()
            if ahead > 0.01:
                await asyncio.sleep(ahead)
        await asyncio.sleep(max(0.0, start + interval - time.monotonic()))

    await one_round()  # every run becomes known, which costs more than a ping
    began, sent_before = time.monotonic(), sent
    cpu_began = sum(process.cpu_times()[:2])
    while time.monotonic() - began < seconds:
        await one_round()
    took = time.monotonic() - began
    cpu = sum(process.cpu_times()[:2]) - cpu_began
    pings = sent - sent_before
    false = await stack.admin_pool.fetchval("SELECT count(*) FROM heartbeat.zombie")
    print(
        f"{len(ids):,} runs, {pings / took:,.0f} pings/s for {took:.0f} s: service "
        f"{cpu / took:.2f} cores, {cpu / pings * 1e6:.1f} us a ping, "
        f"{process.memory_info().rss >> 20} MiB, {false} false zombies"
    )
    stopped = set(random.sample(live, stop))
    live[:] = [run for run in live if run not in stopped]
    pinging = asyncio.create_task(_for_ever(one_round))

    async def found() -> bool:
        rows = await stack.admin_pool.fetchval("SELECT count(*) FROM heartbeat.zombie")
        return bool(rows >= stop)

    await eventually(found, timeout=silence + 60, pause=0.5)
    pinging.cancel()
    rows = await stack.admin_pool.fetch(
        "SELECT flow_run_id, extract(epoch FROM detected) AS at FROM heartbeat.zombie"
    )
    waits = sorted(float(row["at"]) - last[row["flow_run_id"]] for row in rows)
    wrong = sum(row["flow_run_id"] not in stopped for row in rows)
    print(
        f"{stop:,} runs stopped: announced {waits[0]:.1f} to {waits[-1]:.1f} s after their last ping"
        f" (silence {silence:.0f} s), {wrong} false"
    )
    await client.close()


async def _for_ever(one_round: Callable[[], Awaitable[None]]) -> None:
    while True:
        await one_round()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--interval", type=float, default=30)
    parser.add_argument("--silence", type=float, default=120)
    parser.add_argument("--stop", type=int, default=500)
    arguments = parser.parse_args()
    asyncio.run(
        main(
            arguments.runs,
            arguments.seconds,
            arguments.interval,
            arguments.silence,
            arguments.stop,
        )
    )
