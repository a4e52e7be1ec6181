"""Many native agents as processes, whose runs are processes too, and everything that can happen to them.

Each run's process says Running and Success at a stand-in for the gateway: it hands the state with the lease
of the process's own address to the ledger, and notes under which leases a start was accepted.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import psutil

from libs.contracts.base import Refused
from libs.contracts.runs import StateApplied
from libs.runtime.bus import Bus
from libs.runtime.ids import new_id
from tests.support.agent_process import AgentProcess, agent_process
from tests.support.cut import Cut, cut_before
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Client, Flow, bus_on, tenant_with_flow
from tests.support.service_process import ServiceProcess

SETTINGS = {
    "HEADWATER_DISPATCH_FIRST_LEASE": "PT2S",
    "HEADWATER_DISPATCH_START_LEASE": "PT5S",
    "HEADWATER_DISPATCH_RENEW": "PT1S",
    "HEADWATER_DISPATCH_START_ATTEMPTS": "100",
}
REPLICAS = 2
AT_ONCE = 4
"""Agents that are started at once; each costs the better part of a second of CPU."""

# bash opens sockets by itself: ten thousand interpreters would be the cost of the whole test.
_PROGRAM = """\
#!/bin/bash
if [ "$1" = "-c" ]; then echo 1.4.1; exit 0; fi
say() {{
    exec 3<>"/dev/tcp/127.0.0.1/$GATEWAY" || return 1
    echo "$PREFECT__CLOUD__API $1" >&3
    read -r answer <&3
    exec 3>&-
    [ "$answer" = accepted ]
}}
say Running || exit 1
echo "started, {starts}"
sleep "0.$((RANDOM % 4))"
say Success
"""


@dataclass(slots=True, kw_only=True)
class GatewayStandIn:
    """Takes states from the runs' processes."""

    client: Client
    starts: dict[UUID, set[UUID]] = field(default_factory=lambda: defaultdict(set))

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One line, `<address of the lease> <state>`; `accepted` or `refused`."""
        with suppress(OSError, ValueError, asyncio.IncompleteReadError):
            address, state = (await reader.readline()).decode().split()
            *_, run, token = address.split("/")
            accepted = await self._set(UUID(run), state, UUID(token))
            if accepted and state == "Running":
                self.starts[UUID(run)].add(UUID(token))
            writer.write(b"accepted\n" if accepted else b"refused\n")
            await writer.drain()
        writer.close()

    async def _set(self, run: UUID, state: str, token: UUID) -> bool:
        """Asked until the ledger says yes or no: it may be away."""
        while True:
            with suppress(AssertionError):
                outcome = await self.client.set(run, state, lease_token=token)
                if isinstance(outcome, StateApplied):
                    return True
                if isinstance(outcome, Refused):
                    return False
            await asyncio.sleep(0.2)


@dataclass(slots=True, kw_only=True)
class World:
    """All of it. `faults` counts what was done, `killed` holds the runs whose process was killed."""

    stack: Stack
    flow: Flow
    client: Client
    gateway: GatewayStandIn
    chance: random.Random
    ledgers: list[ServiceProcess]
    agents: list[AgentProcess]
    ways: list[Cut]
    faults: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    killed: set[UUID] = field(default_factory=set)

    async def states(self) -> dict[str, int]:
        """How many runs are in which state. A Running one whose process was killed, which was reported, is `buried`:
        what revives it (Lazarus) is not here.
        """
        rows = await self.stack.admin_pool.fetch(
            """
            SELECT CASE WHEN state = 'Running' AND lease_token IS NULL AND id = ANY ($2) THEN 'buried'
                ELSE state END AS state, count(*) AS n
            FROM runs.flow_run WHERE tenant_id = $1 GROUP BY 1
            """,
            self.flow.tenant_id,
            list(self.killed),
        )
        return {row["state"]: row["n"] for row in rows}

    async def run(self, total: int, *, within: float, pause: float) -> None:
        """Let everything happen until all runs are over."""

        async def is_over() -> bool:
            found = await self.states()
            left = total - found.get("Success", 0) - found.get("buried", 0)
            if left > total // 10:
                await self.trouble()
            assert left == 0, f"{found} after {dict(self.faults)}"
            return True

        await eventually(is_over, timeout=within, pause=pause)

    async def trouble(self) -> None:
        """One fault, drawn by weight."""
        faults: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (4, self.kill_an_agent),
            (4, self.pause_an_agent),
            (4, self.kill_a_run),
            (3, self.pause_a_run),
            (3, self.cut_a_way),
            (1, self.kill_a_ledger),
            (1, self.kill_the_broker),
        ]
        weights = [weight for weight, _ in faults]
        [(_, fault)] = self.chance.choices(faults, weights)
        await fault()

    async def every_trouble_once(self) -> None:
        """So that a short story has all of them."""
        for fault in (
            self.kill_a_run, self.pause_a_run, self.kill_an_agent, self.pause_an_agent,
            self.cut_a_way, self.kill_the_broker, self.kill_a_ledger,
        ):  # fmt: skip
            await self._surely(fault)

    async def _surely(self, fault: Callable[[], Awaitable[None]]) -> None:
        """In a moment in which no process of a run is found, its fault does nothing: it waits for the next one."""
        before = sum(self.faults.values())

        async def happens() -> bool:
            await fault()
            return sum(self.faults.values()) > before

        await eventually(happens, timeout=60)

    async def kill_an_agent(self) -> None:
        agent = self.chance.choice(self.agents)
        self.faults["agents killed"] += 1
        await agent.kill()
        await agent.spawn()

    async def pause_an_agent(self) -> None:
        agent = self.chance.choice(self.agents)
        self.faults["agents paused"] += 1
        agent.signal(signal.SIGSTOP)
        await asyncio.sleep(self.chance.choice((0.5, 3.0)))  # within its leases, and beyond
        agent.signal(signal.SIGCONT)

    async def kill_a_run(self) -> None:
        if (found := self._a_run()) is None:
            return
        run, shell = found
        self.killed.add(run)
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if self.chance.random() < 0.5:
                os.killpg(shell.pid, signal.SIGKILL)  # nobody is left to see how it ended
            else:
                for child in shell.children():
                    child.kill()
            self.faults["runs killed"] += 1

    async def pause_a_run(self) -> None:
        if (found := self._a_run()) is None:
            return
        _, shell = found
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(shell.pid, signal.SIGSTOP)
            self.faults["runs paused"] += 1
            await asyncio.sleep(self.chance.choice((0.2, 2.0)))
            os.killpg(shell.pid, signal.SIGCONT)

    async def cut_a_way(self) -> None:
        way = self.chance.choice(self.ways)
        way.cut()
        self.faults["ways cut"] += 1
        await asyncio.sleep(self.chance.choice((0.1, 2.5)))
        way.mend()

    async def kill_a_ledger(self) -> None:
        ledger = self.chance.choice(self.ledgers)
        self.faults["ledgers killed"] += 1
        await ledger.kill()
        await ledger.start()

    async def kill_the_broker(self) -> None:
        """Its supervisor starts it again; what JetStream had acknowledged is there."""
        assert self.stack.nats is not None
        pid, restarts = self.stack.nats.pid, self.stack.nats.restarts
        if pid is not None:
            self.faults["brokers killed"] += 1
            os.kill(pid, signal.SIGKILL)
            nats = self.stack.nats
            await eventually(lambda: nats.restarts > restarts, timeout=60)

    def _a_run(self) -> tuple[UUID, psutil.Process] | None:
        """A run whose process was started, and the shell that waits for it."""
        agents = self.chance.sample(self.agents, len(self.agents))
        for agent in agents:
            for path in (agent.folder / "state").glob("runs/*/pid"):
                with suppress(OSError, ValueError, psutil.Error):
                    shell = psutil.Process(int(path.read_text()))
                    if str(path.parent) in shell.cmdline():
                        return UUID(path.parent.name.partition(".")[0]), shell
        return None


async def everything_dies(
    stack: Stack, folder: Path, *, agents: int, runs: int, seed: int, within: float, pause: float
) -> World:
    """Start the agents, create the runs, and let everything happen until all are over."""
    flow = await tenant_with_flow(stack.admin_pool)
    ledgers = [ServiceProcess(stack=stack, environment=SETTINGS) for _ in range(REPLICAS)]
    async with AsyncExitStack() as exits:
        for ledger in ledgers:
            exits.push_async_callback(ledger.kill)
            await ledger.start()
        bus: Bus = await exits.enter_async_context(bus_on(stack))
        client = Client(bus, flow.tenant_id)
        await eventually(lambda: _answers(client), timeout=60)
        gateway = GatewayStandIn(client=client)
        server = await asyncio.start_server(gateway.answer, "127.0.0.1", 0, backlog=1000)
        exits.callback(server.close)
        port = server.sockets[0].getsockname()[1]
        ways = [await exits.enter_async_context(cut_before(stack.nats_url)) for _ in range(4)]
        turns = asyncio.Semaphore(AT_ONCE)

        async def an_agent(n: int) -> AgentProcess:
            async with turns:
                return await exits.enter_async_context(
                    agent_process(
                        folder / f"agent-{n}", ways[n % len(ways)].url, flow.tenant_id,
                        *("--name", f"agent-{n}", "--capacity", "2", "--env", f"GATEWAY={port}"),
                        program=_PROGRAM,
                    )
                )  # fmt: skip

        world = World(
            stack=stack, flow=flow, client=client, gateway=gateway, ledgers=ledgers, ways=ways,
            agents=list(await asyncio.gather(*(an_agent(n) for n in range(agents)))),
            chance=random.Random(seed),  # noqa: S311 - a schedule of faults that can be replayed
        )  # fmt: skip
        creating = asyncio.create_task(_create(client, flow, runs))
        await eventually(lambda: len(gateway.starts) > agents, timeout=60)
        await world.every_trouble_once()
        await creating
        await world.run(runs, within=within, pause=pause)
        return world


async def check(world: World, *, runs: int) -> None:
    """Each accepted start once for each time that the run was due, none lost. Only a run whose process was killed has
    no success; its agent reports it, and it may be due again, counted as a resurrection.
    """
    resurrected = {
        row["id"]: row["times_resurrected"]
        for row in await world.stack.admin_pool.fetch(
            "SELECT id, times_resurrected FROM runs.flow_run WHERE tenant_id = $1",
            world.flow.tenant_id,
        )
    }
    too_often = {
        run: tokens
        for run, tokens in world.gateway.starts.items()
        if len(tokens) > 1 + resurrected[run]
    }
    assert not too_often
    states = await world.states()
    assert sum(states.values()) == runs
    assert states.keys() <= {"Success", "buried"}
    rows = await world.stack.admin_pool.fetch(
        "SELECT id FROM runs.flow_run WHERE tenant_id = $1 AND state = 'Success'",
        world.flow.tenant_id,
    )
    # Of a killed process the gateway may not have learned that its start was accepted: its lease was over by then.
    assert {row["id"] for row in rows} <= world.gateway.starts.keys()


async def _create(client: Client, flow: Flow, runs: int) -> None:
    """Each has a key, so that asking again while the ledger is away makes it once."""

    async def create(key: UUID) -> None:
        while True:
            with suppress(AssertionError):
                await client.create(flow, idempotency_key=str(key))
                return
            await asyncio.sleep(0.2)

    for start in range(0, runs, 100):
        await asyncio.gather(*(create(new_id()) for _ in range(min(100, runs - start))))


async def _answers(client: Client) -> bool:
    await client.queue()
    return True
