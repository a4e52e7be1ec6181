"""How soon a killed flow process is found: `python -m tests.bench.zombies [--processes 100]`. It takes four minutes.

A whole Headwater with its real settings. So many processes ping over GraphQL every 30 s, as Core's do, and are ended by
kill -9 at a random phase; half as many again live on, so that no mass silence is told. Figure: the time from each
process' last ping until its run was announced, which is to be 120 to 125 s for all; and what became of its task.
"""

import argparse
import asyncio
import random
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from tests.support.engines import Stack, postgres_for_tests, stack_on
from tests.support.flows import TENANT, a_flow, a_flow_run, a_task_run
from tests.support.services import all_services

# Like Core's heartbeat thread: one request, again at once if it fails, then thirty seconds' sleep. It says when it sent
# what was answered.
PINGS = """
import http.client, json, sys, time
port, run = int(sys.argv[1]), sys.argv[2]
query = 'mutation { update_flow_run_heartbeat(input: {flow_run_id: "%s"}) { success } }' % run
while True:
    sent = time.time()
    try:
        way = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        way.request("POST", "/", json.dumps({"query": query}), {"Content-Type": "application/json"})
        assert b'"success":true' in way.getresponse().read().replace(b" ", b"")
        way.close()
    except OSError:
        time.sleep(1)
        continue
    print(sent, flush=True)
    time.sleep(30)
"""
SOONEST, LATEST = 120.0, 125.0


async def main(arguments: argparse.Namespace) -> int:
    """Print the figures; 1 if one was found too early, too late or not at all."""
    async with postgres_for_tests() as postgres, stack_on(postgres) as stack:
        # Without keys a request belongs to the oldest tenant: that of the runs.
        await stack.admin_pool.execute(
            "INSERT INTO gateway.tenant (id, name, slug) VALUES ($1, 'a tenant', 'a-tenant')",
            TENANT,
        )
        async with all_services(stack) as gateway:
            return await _measure(stack, gateway.port, arguments.processes)


async def _measure(stack: Stack, port: int, processes: int) -> int:
    flow = await a_flow(stack.admin_pool, active=False)
    doomed = [await _a_run(stack, flow) for _ in range(processes)]
    living = [await _a_run(stack, flow) for _ in range(processes * 3 // 2)]
    with TemporaryDirectory(prefix="headwater-bench-") as folder:
        crowd = await _crowd(stack, living, Path(folder) / "runs")
        try:
            last = await asyncio.gather(*(_killed(run, port) for run in doomed))
            print(f"{len(last)} processes killed", flush=True)
            await _announced(stack, len(doomed))
        finally:
            crowd.kill()
            await crowd.wait()
    return await _report(stack, dict(zip(doomed, last, strict=True)))


async def _a_run(stack: Stack, flow: UUID) -> UUID:
    run = await a_flow_run(stack.admin_pool, flow=flow)
    await a_task_run(stack.admin_pool, run)
    return run


async def _crowd(stack: Stack, runs: list[UUID], file: Path) -> Process:
    file.write_text("".join(f"{run}\n" for run in runs))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.pinger", "--nats", stack.nats_url),
        *("--tenant", str(TENANT), "--runs", str(file)),
        stdin=PIPE,
        stdout=DEVNULL,
    )


async def _killed(run: UUID, port: int) -> float:
    """Let a process ping for this run, kill it at a random phase; when it sent its last ping."""
    await asyncio.sleep(random.uniform(0, 15))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", PINGS, str(port), str(run)), stdout=PIPE
    )
    assert process.stdout is not None
    first = await process.stdout.readline()
    await asyncio.sleep(random.uniform(10, 40))
    process.kill()
    said, _ = await process.communicate()
    return float((first + said).split()[-1])


async def _announced(stack: Stack, count: int) -> None:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        if await stack.admin_pool.fetchval("SELECT count(*) FROM heartbeat.zombie") >= count:
            break
        await asyncio.sleep(1)
    await asyncio.sleep(3)  # whoever else is found now was found by mistake


async def _report(stack: Stack, last: dict[UUID, float]) -> int:
    rows = await stack.admin_pool.fetch(
        "SELECT flow_run_id, extract(epoch FROM detected)::float8 AS at FROM heartbeat.zombie"
    )
    waits = sorted(r["at"] - last[r["flow_run_id"]] for r in rows if r["flow_run_id"] in last)
    in_time = sum(SOONEST <= wait <= LATEST for wait in waits)
    failed = await stack.admin_pool.fetchval(
        "SELECT count(*) FROM runs.task_run WHERE state = 'Failed' AND flow_run_id = ANY($1)",
        list(last),
    )
    span = f"{waits[0]:.2f} to {waits[-1]:.2f} s" if waits else "never"
    print(
        f"{len(last)} processes killed: {len(waits)} announced, {span} after their last ping,"
        f" {in_time} of them within {SOONEST:.0f} to {LATEST:.0f} s; {failed} tasks failed;"
        f" {len(rows) - len(waits)} false"
    )
    return int(in_time < len(last) or len(rows) > len(waits))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=100)
    sys.exit(asyncio.run(main(parser.parse_args())))
