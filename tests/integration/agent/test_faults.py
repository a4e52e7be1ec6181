"""Many agents, many runs, everything dying: each accepted start once, none lost."""

import asyncio
import os
import random
import sys
from asyncio.subprocess import DEVNULL, Process
from collections import defaultdict
from contextlib import suppress
from uuid import UUID

import pytest

from libs.contracts.agents import ClaimedRun, Outcome, Standing
from libs.contracts.base import Refused
from libs.contracts.runs import StateApplied
from libs.runtime.bus import Bus
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.headwater import START_WITHIN
from tests.support.ledger import Client, bus_on, register_flow
from tests.support.raw_agent import RawAgent, raw_agent

pytestmark = pytest.mark.slow

AGENTS = 50
RUNS = 1500
_BETWEEN_KILLS = 20  # runs that are finished meanwhile
DEATHS = 0.03  # of agents, per batch of claimed runs
SEED = int(os.environ.get("SEED", "20261122"))


class World:
    """Agents that work and die, and what they were told."""

    def __init__(self, stack: Stack, bus: Bus, tenant_id: UUID) -> None:
        self._stack = stack
        self._client = Client(bus, tenant_id)
        self._tenant_id = tenant_id
        self._chance = random.Random(SEED)  # noqa: S311 - a schedule of deaths that can be replayed
        self.starts: dict[UUID, set[UUID]] = defaultdict(set)
        self.deaths = 0
        self._is_over = False

    async def end(self, working: list[asyncio.Task[None]]) -> None:
        """Cancel the agents. One that closes its connection can lose the cancellation: it is not born again."""
        self._is_over = True
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    async def work(self) -> None:
        """Live, die, and be born again, until the end."""
        while not self._is_over:
            # Whatever it is, this agent is dead, and another takes its place.
            with suppress(Exception):
                async with raw_agent(self._stack.nats_url, self._tenant_id) as agent:
                    await self._life(agent)
            await asyncio.sleep(0.1)

    async def _life(self, agent: RawAgent) -> None:
        while not self._is_over:
            await agent.claim(capacity=5, wait=5)
            runs = await agent.claimed_runs(within=8)
            if runs and self._chance.random() < DEATHS:
                self.deaths += 1
                return
            if runs:
                await self._start(agent, runs)

    async def _start(self, agent: RawAgent, runs: list[ClaimedRun]) -> None:
        standings = {r.flow_run_id: r.standing for r in await agent.renew(*runs)}
        for run in runs:
            if standings[run.flow_run_id] is not Standing.HELD:
                continue
            if await self._set(run, "Running"):
                self.starts[run.flow_run_id].add(run.lease_token)
                await self._set(run, "Success")
                await agent.report(run, Outcome.EXITED, exit_code=0)

    async def _set(self, run: ClaimedRun, state: str) -> bool:
        """Whether the ledger accepted the state; asked until it says."""
        while not self._is_over:
            with suppress(AssertionError):  # the request itself was refused: nobody serves it now
                outcome = await self._client.set(
                    run.flow_run_id, state, lease_token=run.lease_token
                )
                if isinstance(outcome, StateApplied):
                    return True
                if isinstance(outcome, Refused):
                    return False
            await asyncio.sleep(0.2)
        return False


async def ledger(stack: Stack) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.runs"),
        env=os.environ
        | {
            "HEADWATER_POSTGRES_URL": stack.postgres_url("runs"),
            "HEADWATER_NATS_URL": stack.nats_url,
            "HEADWATER_DISPATCH_FIRST_LEASE": "PT2S",
            "HEADWATER_DISPATCH_START_LEASE": "PT5S",
            "HEADWATER_DISPATCH_RENEW": "PT2S",
            "HEADWATER_DISPATCH_START_ATTEMPTS": "50",
        },
        stdout=DEVNULL,
        stderr=DEVNULL,
    )


async def test_each_run_has_one_accepted_start_and_none_is_lost(stack: Stack) -> None:
    flow = await register_flow(stack.admin_pool)
    replicas = [await ledger(stack), await ledger(stack)]
    chance = random.Random(SEED)  # noqa: S311 - as above
    kills = 0
    try:
        async with bus_on(stack) as bus:
            client = Client(bus, flow.tenant_id)
            await eventually(lambda: _is_up(client), timeout=2 * START_WITHIN)
            for _ in range(RUNS // 100):
                await asyncio.gather(*(client.create(flow) for _ in range(100)))
            world = World(stack, bus, flow.tenant_id)
            working = [asyncio.create_task(world.work()) for _ in range(AGENTS)]

            async def unfinished() -> int:
                found: int = await stack.admin_pool.fetchval(
                    "SELECT count(*) FROM runs.flow_run WHERE tenant_id = $1 AND state <> 'Success'",
                    flow.tenant_id,
                )
                return found

            before = RUNS
            # So that the first look kills one, however quick the machine is.
            await eventually(
                lambda: len(world.starts) >= 2 * _BETWEEN_KILLS, timeout=120, pause=0.05
            )

            async def killed_now_and_then() -> bool:
                nonlocal kills, before
                left = await unfinished()
                # By work done and not by time: on a full machine a replica takes longer to start than the pause, and
                # each would be killed before it has served anybody.
                if left > 100 and before - left >= _BETWEEN_KILLS:
                    before = left
                    place = chance.randrange(len(replicas))
                    kills += 1
                    replicas[place].kill()
                    await replicas[place].wait()
                    replicas[place] = await ledger(stack)
                assert left == 0, f"{left} unfinished, seed {SEED}"
                return True

            await eventually(killed_now_and_then, timeout=600, pause=4)
            await world.end(working)
    finally:
        for replica in replicas:
            with suppress(ProcessLookupError):
                replica.kill()
            await replica.wait()

    assert world.deaths > 0, SEED
    assert kills > 0
    assert len(world.starts) == RUNS
    twice = {run: tokens for run, tokens in world.starts.items() if len(tokens) > 1}
    assert not twice, SEED
    gaps = await stack.admin_pool.fetchval(
        """
        SELECT count(*) FROM (
            SELECT flow_run_id FROM runs.flow_run_state WHERE tenant_id = $1
            GROUP BY flow_run_id HAVING count(*) <> max(version)
        ) AS torn
        """,
        flow.tenant_id,
    )
    assert gaps == 0


async def _is_up(client: Client) -> bool:
    await client.queue()
    return True
