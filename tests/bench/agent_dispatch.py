"""Dispatch to native agents: `python -m tests.bench.agent_dispatch [--seconds 10]`.

Agents are protocol only (`tests.support.raw_agent`), in this process; the ledger is a process of its own, on PostgreSQL
and a nats-server of the test profile (no fsync). Everything shares the box, the load generator included.

* scheduled: 200 runs/s come due, 50 agents; from the due moment to the claim in the agent's hands.
* ad hoc: the same runs per second, created when they are due; from the creation to the claim.
* polled: what a loop with the stock agent's back-off (0.25 to 10 s) sees of ad-hoc runs, one every two seconds.
* started: 20 scheduled runs/s, 4 real agents; from the scheduled moment to the first word of the run's own process
  (bash in place of Prefect), beside it the same shell started by hand.
* idle: 10,000 agents whose claims wait; CPU of the ledger, the broker and PostgreSQL, with the same without agents.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import nats
import psutil

from libs.contracts.agents import ClaimedRun
from libs.runtime.bus import Bus
from libs.runtime.clock import utc_now
from services.runs.dispatch.settings import DispatchSettings
from tests.support.agent_process import AgentProcess, agent_process
from tests.support.engines import Stack, TestPostgres, postgres_for_tests, stack_on
from tests.support.eventually import eventually
from tests.support.ledger import Client, Flow, bus_on, register_flow, tenant_with_flow
from tests.support.raw_agent import RawAgent, raw_agent

RATE = 200
AGENTS = 50
IDLE = 10_000
CONNECTIONS = 10
PARTS = ("scheduled", "ad_hoc", "polled", "started", "idle")
STARTS = 200
_SAYS_WHEN = """\
#!/bin/bash
if [ "$1" = "-c" ]; then echo 1.4.1; exit 0; fi
echo "$PREFECT__CONTEXT__FLOW_RUN_ID $EPOCHREALTIME" >> "{starts}"
[ "$2" = by-hand ] || exec sleep 60  # one that ended before its run began would be started again
"""
PARK = DispatchSettings().claim_wait.total_seconds() * 0.95
"""Seconds between two claims of an idle agent, on average."""
POLLS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0)


@asynccontextmanager
async def ledger_process(stack: Stack) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.runs"),
        env=os.environ
        | {
            "HEADWATER_POSTGRES_URL": stack.postgres_url("runs"),
            "HEADWATER_NATS_URL": stack.nats_url,
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


def show(name: str, seconds: Sequence[float], *, budget: str = "") -> None:
    found = sorted(seconds)
    if not found:
        print(f"{name:<34} nothing was claimed")
        return
    p50 = statistics.median(found)
    p99 = found[min(len(found) - 1, int(len(found) * 0.99))]
    print(
        f"{name:<34} p50 {p50 * 1000:8.1f} ms   p99 {p99 * 1000:8.1f} ms   "
        f"max {found[-1] * 1000:8.1f} ms   n {len(found)}   {budget}"
    )


class Crowd:
    """Agents that claim and confirm, and note when each run reached them."""

    def __init__(self, agents: list[RawAgent]) -> None:
        self._agents = agents
        self._confirming: set[asyncio.Task[None]] = set()
        self.confirmed: dict[UUID, float] = {}
        self.latencies: dict[UUID, float] = {}
        self.twice = 0

    async def work(self) -> None:
        await asyncio.gather(*(self._agent(agent) for agent in self._agents))

    async def _agent(self, agent: RawAgent) -> None:
        while True:
            await agent.claim(capacity=4, wait=40)
            runs = await agent.claimed_runs(within=60)
            now = utc_now()
            for run in runs:
                self.twice += run.flow_run_id in self.latencies
                if run.due is not None:
                    self.latencies[run.flow_run_id] = (now - run.due).total_seconds()
            if runs:
                self._confirming.add(asyncio.create_task(self._confirm(agent, runs)))

    async def _confirm(self, agent: RawAgent, runs: list[ClaimedRun]) -> None:
        """As before a start; the states that follow are the ledger's bench, not this one's."""
        await agent.renew(*runs)
        now = utc_now()
        for run in runs:
            if run.due is not None:
                self.confirmed[run.flow_run_id] = (now - run.due).total_seconds()


async def scheduled(stack: Stack, bus: Bus, ledger: Process, *, seconds: int) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    total = RATE * seconds
    begin = utc_now() + timedelta(seconds=8 + total / 400)
    for start in range(0, total, 100):
        await asyncio.gather(
            *(
                client.create(flow, scheduled_start_time=begin + timedelta(seconds=n / RATE))
                for n in range(start, min(start + 100, total))
            )
        )
    async with crowd(stack, flow) as agents:
        working = asyncio.create_task(agents.work())
        await asyncio.sleep(max(0.0, (begin - utc_now()).total_seconds()))
        before = _used([psutil.Process(ledger.pid)])
        await finished(agents, total, within=seconds + 60)
        spent = _used([psutil.Process(ledger.pid)]) - before
        working.cancel()
    print(f"{'ledger CPU for claim and renewal':<34} {spent / total * 1000:.2f} ms a run")
    show(
        "due to claimed, 200/s, 50 agents", list(agents.latencies.values()), budget="<= 50, 250 ms"
    )
    show("due to confirmed (then it starts)", list(agents.confirmed.values()))
    print(
        f"{'':<34} claimed {len(agents.latencies)} of {total}, {agents.twice} twice, "
        f"{len(agents.confirmed)} confirmed"
    )


async def ad_hoc(stack: Stack, bus: Bus, *, seconds: int) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    total = RATE * seconds
    async with crowd(stack, flow) as agents:
        working = asyncio.create_task(agents.work())
        creating: set[asyncio.Task[UUID]] = set()
        loop = asyncio.get_running_loop()
        begin = loop.time() + 0.5
        for n in range(total):
            await asyncio.sleep(max(0.0, begin + n / RATE - loop.time()))
            creating.add(asyncio.create_task(client.create(flow)))
        await asyncio.gather(*creating)
        await finished(agents, total, within=60)
        working.cancel()
    show("created to claimed, 200/s", list(agents.latencies.values()))
    show("created to confirmed", list(agents.confirmed.values()))


async def polled(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    latencies: dict[UUID, float] = {}
    created: dict[UUID, float] = {}
    loop = asyncio.get_running_loop()

    async def poll() -> None:
        back_off = 0
        while True:
            found = [id_ for id_ in await client.queue() if id_ not in latencies]
            for id_ in found:
                latencies[id_] = loop.time() - created.get(id_, loop.time())
                await client.set(id_, "Submitted")
            back_off = 0 if found else min(back_off + 1, len(POLLS) - 1)
            await asyncio.sleep(POLLS[back_off])

    polling = asyncio.create_task(poll())
    for _ in range(8):
        await asyncio.sleep(2)
        at = loop.time()
        created[await client.create(flow)] = at
    await eventually(lambda: len(latencies) == 8, timeout=30)
    polling.cancel()
    show("created to seen by a stock poll", list(latencies.values()))


async def started(stack: Stack, bus: Bus) -> None:
    flow = await tenant_with_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as exits:
            agents = [
                await exits.enter_async_context(
                    agent_process(
                        Path(folder) / str(n), stack.nats_url, flow.tenant_id,
                        *("--name", f"agent-{n}", "--capacity", "60"), program=_SAYS_WHEN,
                    )
                )
                for n in range(4)
            ]  # fmt: skip
            begin = utc_now() + timedelta(seconds=15)
            moments = [begin + timedelta(seconds=n / 20) for n in range(STARTS)]
            due = {
                await client.create(flow, scheduled_start_time=at): at.timestamp() for at in moments
            }
            await eventually(
                lambda: sum(len(agent.started()) for agent in agents) >= STARTS,
                timeout=STARTS / 20 + 60,
                pause=0.5,
            )
            jitter = [
                float(line.split()[1]) - due[UUID(line.split()[0])]
                for agent in agents
                for line in (agent.folder / "starts").read_text().splitlines()
            ]
            by_hand = [await _started_by_hand(agents[0]) for _ in range(20)]
    show("scheduled moment to process, 20/s", jitter, budget="<= 200 ms at p99")
    show("the same shell started by hand", by_hand)


async def _started_by_hand(agent: AgentProcess) -> float:
    before = utc_now().timestamp()
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", f"{agent.folder / 'python'} -m by-hand", stdout=asyncio.subprocess.DEVNULL
    )
    await process.wait()
    return float((agent.folder / "starts").read_text().split()[-1]) - before


async def idle(stack: Stack, ledger: Process, *, seconds: int) -> None:
    tenant_id = (await register_flow(stack.admin_pool)).tenant_id
    before = await cpu(stack, ledger, seconds=seconds)
    clients = [await nats.connect(stack.nats_url) for _ in range(CONNECTIONS)]
    agents = [
        RawAgent(client=clients[n % CONNECTIONS], tenant_id=tenant_id, labels=[f"host-{n}"])
        for n in range(IDLE)
    ]
    for client in clients:
        inbox = client.new_inbox()
        await client.subscribe(inbox)
        for agent in agents:
            if agent.client is client:
                agent.inbox = inbox

    async def wait_for_work(agent: RawAgent, n: int) -> None:
        await asyncio.sleep(PARK * n / IDLE)
        while True:
            await agent.claim(wait=PARK, expires_silently=True)
            await asyncio.sleep(PARK)

    waiting = [asyncio.create_task(wait_for_work(agent, n)) for n, agent in enumerate(agents)]
    await asyncio.sleep(PARK + 1)
    after = await cpu(stack, ledger, seconds=seconds)
    for task in waiting:
        task.cancel()
    for client in clients:
        await client.close()
    for name, alone in before.items():
        print(
            f"{IDLE} idle agents: {name:<14} {after[name] * 100:5.1f}% of a core, "
            f"{alone * 100:.1f}% without them"
        )
    cost = sum(after[name] - before[name] for name in ("ledger", "broker"))
    print(f"{IDLE} idle agents: ledger and broker {cost * 100:.1f}% of a core   <= 5%")


async def cpu(stack: Stack, ledger: Process, *, seconds: int) -> dict[str, float]:
    """Share of a core that each process group uses."""
    assert stack.nats is not None
    assert stack.postgres is not None
    groups = {
        "ledger": [psutil.Process(ledger.pid)],
        "broker": [psutil.Process(stack.nats.pid)],
        "PostgreSQL": psutil.Process(stack.postgres.pid).children(recursive=True),
    }
    before = {name: _used(processes) for name, processes in groups.items()}
    await asyncio.sleep(seconds)
    return {name: (_used(processes) - before[name]) / seconds for name, processes in groups.items()}


def _used(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


@asynccontextmanager
async def crowd(stack: Stack, flow: Flow) -> AsyncIterator[Crowd]:
    async with AsyncExitStack() as exits:
        yield Crowd(
            [
                await exits.enter_async_context(raw_agent(stack.nats_url, flow.tenant_id))
                for _ in range(AGENTS)
            ]
        )


async def finished(agents: Crowd, total: int, *, within: float) -> None:
    await eventually(lambda: len(agents.confirmed) >= total, timeout=within, pause=0.2)


async def main(postgres: TestPostgres, *, seconds: int, parts: Sequence[str]) -> None:
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before the start")
    async with stack_on(postgres) as stack, ledger_process(stack) as ledger, bus_on(stack) as bus:
        probe = await register_flow(stack.admin_pool)
        await eventually(lambda: _answers(bus, probe), timeout=30)
        if "scheduled" in parts:
            await scheduled(stack, bus, ledger, seconds=seconds)
        if "ad_hoc" in parts:
            await ad_hoc(stack, bus, seconds=seconds)
        if "polled" in parts:
            await polled(stack, bus)
        if "started" in parts:
            await started(stack, bus)
        if "idle" in parts:
            await idle(stack, ledger, seconds=20)


async def _answers(bus: Bus, flow: Flow) -> bool:
    await Client(bus, flow.tenant_id).queue()
    return True


async def _run(seconds: int, *, parts: Sequence[str]) -> None:
    async with postgres_for_tests() as postgres:
        await main(postgres, seconds=seconds, parts=parts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    arguments = parser.parse_args()
    asyncio.run(_run(arguments.seconds, parts=arguments.only))
