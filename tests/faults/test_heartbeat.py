"""Whatever of ours is away for longer than the silence: no live run is announced, and a dead one is found afterwards.

The heartbeat service and the ledger are processes of their own; a silence is four seconds. Outages are pauses
(SIGSTOP), which are worse than ends: what wakes up believes that no time has passed.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from uuid import UUID

import nats
import nats.errors
import pytest
from nats.aio.client import Client

from deploy.engines.supervisor import Supervisor
from libs.contracts import subjects
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.flows import TENANT, a_flow, a_flow_run, a_task_run
from tests.support.pauses import passes, paused
from tests.support.service_process import ServiceProcess

SILENCE = timedelta(seconds=4)
LONGER = 2.5 * SILENCE.total_seconds()
SETTINGS = {
    "HEADWATER_HEARTBEAT_INTERVAL": "PT1S",
    "HEADWATER_HEARTBEAT_WRITE_INTERVAL": "PT1S",
    "HEADWATER_HEARTBEAT_CHECK_INTERVAL": "PT0.3S",
    "HEADWATER_ALIVE_EVERY": "PT0.5S",
    "HEADWATER_HEARTBEAT_SWEEP": "PT1S",
    "HEADWATER_HEARTBEAT_SWEEP_GRACE": "PT1S",
}


@dataclass
class Crowd:
    """Live runs that ping over a connection of their own, and the word of a gateway that lives."""

    stack: Stack
    living: set[UUID] = field(default_factory=set)
    way_is_open: asyncio.Event = field(default_factory=asyncio.Event)
    _client: Client | None = None

    async def run(self) -> None:
        """Ping for ever. What cannot be sent is lost, as Core's pings are."""

        async def quiet(_error: Exception) -> None: ...

        self.way_is_open.set()
        self._client = await nats.connect(
            self.stack.nats_url, max_reconnect_attempts=-1, reconnect_time_wait=0.1, error_cb=quiet
        )
        while True:
            await self.way_is_open.wait()
            with suppress(nats.errors.Error):
                await self._client.publish(subjects.SIG_SERVICE_ALIVE.at(service="gateway"))
                for run in self.living:
                    await self.ping(run)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await asyncio.Future()

    async def ping(self, run: UUID) -> None:
        """One ping."""
        assert self._client is not None
        await self._client.publish(subjects.BEAT.at(tenant_id=TENANT, flow_run_id=run))


@dataclass
class World:
    """A running heartbeat service and ledger, a crowd, and what was announced."""

    stack: Stack
    heartbeat: ServiceProcess
    ledger: ServiceProcess
    crowd: Crowd
    flow: UUID

    async def a_live_run(self) -> UUID:
        run = await a_flow_run(self.stack.admin_pool, flow=self.flow)
        await a_task_run(self.stack.admin_pool, run)
        self.crowd.living.add(run)
        return run

    async def announced(self) -> set[UUID]:
        rows = await self.stack.admin_pool.fetch("SELECT flow_run_id FROM heartbeat.zombie")
        return {row["flow_run_id"] for row in rows}

    async def has_listened(self) -> bool:
        found = await self.stack.admin_pool.fetchval(
            "SELECT now() - since > $1 AND now() - at < '2 s' FROM heartbeat.watch", SILENCE
        )
        return bool(found)

    async def killed(self, *victims: str) -> None:
        """Kill these at once; they come back."""
        if "heartbeat" in victims:
            await self.heartbeat.kill()
        for name in {"postgres", "nats"} & set(victims):
            await _kill(self.stack.postgres if name == "postgres" else self.stack.nats)
        if "heartbeat" in victims:
            # A service that finds no broker gives up, and is started again by what looks after it.
            await eventually(self._broker_is_back, timeout=60)
            await self.heartbeat.start()

    async def _broker_is_back(self) -> bool:
        async def quiet(_error: Exception) -> None: ...

        client = await nats.connect(self.stack.nats_url, allow_reconnect=False, error_cb=quiet)
        await client.close()
        return True

    async def hears_again(self) -> object:
        """The moment of the first confirmation, behind an outage, that pings are heard."""
        await eventually(self._broker_is_back, timeout=60)
        over = await self.stack.admin_pool.fetchval("SELECT now()")
        return await eventually(
            lambda: self.stack.admin_pool.fetchval(
                "SELECT at FROM heartbeat.watch WHERE at > $1", over
            ),
            timeout=60,
        )

    async def dead_one_is_found_and_nobody_else(self) -> None:
        """After the outage: everybody pings on, one falls silent, and it alone is announced and answered."""
        await eventually(self.has_listened, timeout=60)
        assert await self.announced() == set()
        dead = self.crowd.living.pop()

        async def found() -> bool:
            return dead in await self.announced()

        await eventually(found, timeout=60)
        # Longer than the ack wait of the ledger's consumer: a delivery that a busy machine missed comes again.
        await eventually(lambda: self._task_failed(dead), timeout=60)
        assert await self.announced() == {dead}

    async def _task_failed(self, run: UUID) -> bool:
        state = await self.stack.admin_pool.fetchval(
            "SELECT state FROM runs.task_run WHERE flow_run_id = $1", run
        )
        return bool(state == "Failed")


@pytest.fixture
async def world(stack: Stack) -> AsyncIterator[World]:
    async with a_world(stack) as made:
        yield made


@asynccontextmanager
async def a_world(stack: Stack) -> AsyncIterator[World]:
    await stack.admin_pool.execute(
        "TRUNCATE runs.flow_run, heartbeat.last_seen, heartbeat.zombie, heartbeat.watch CASCADE"
    )
    heartbeat = ServiceProcess(stack=stack, name="heartbeat", environment=SETTINGS)
    ledger = ServiceProcess(stack=stack, name="runs")
    async with AsyncExitStack() as exits:
        for process in (heartbeat, ledger):
            await process.start()
            exits.push_async_callback(process.kill)
        crowd = Crowd(stack)
        flow = await a_flow(stack.admin_pool, active=False)
        world = World(stack, heartbeat, ledger, crowd, flow)
        for _ in range(10):
            await world.a_live_run()
        pinging = asyncio.create_task(crowd.run())
        exits.callback(pinging.cancel)
        await eventually(world.has_listened, timeout=60)
        yield world


def _pid(engine: Supervisor) -> int:
    return engine.pid or 0


PAUSES: dict[str, Callable[[World], int | None]] = {
    "the heartbeat service": lambda w: w.heartbeat.process.pid if w.heartbeat.process else None,
    "PostgreSQL": lambda w: w.stack.postgres.pid if w.stack.postgres else None,
    "the broker": lambda w: w.stack.nats.pid if w.stack.nats else None,
    "the ledger": lambda w: w.ledger.process.pid if w.ledger.process else None,
}


@pytest.mark.parametrize("who", PAUSES)
async def test_a_pause_longer_than_the_silence_costs_no_live_run(world: World, who: str) -> None:
    if world.stack.postgres is None or world.stack.nats is None:
        pytest.skip("these engines are not ours to pause")

    with paused(PAUSES[who](world)):
        await passes(LONGER)

    await world.dead_one_is_found_and_nobody_else()


async def test_a_replica_that_wakes_up_beside_one_that_went_on_announces_no_live_run(
    world: World,
) -> None:
    """The other kept the watch; what the stopped one was sent meanwhile, nobody read."""
    other = ServiceProcess(stack=world.stack, name="heartbeat", environment=SETTINGS)
    await other.start()
    try:
        for process in (world.heartbeat.process, other.process):
            assert process is not None
            await passes(SILENCE.total_seconds())
            with paused(process.pid):
                await passes(LONGER)

        await world.dead_one_is_found_and_nobody_else()
    finally:
        await other.kill()


async def test_a_gateway_that_is_away_takes_the_pings_with_it_and_nobody_is_judged(
    world: World,
) -> None:
    world.crowd.way_is_open.clear()
    await passes(LONGER)
    world.crowd.way_is_open.set()

    await world.dead_one_is_found_and_nobody_else()


async def _kill(engine: Supervisor | None) -> None:
    """As a power cut would; its supervisor starts it again."""
    if engine is None:
        pytest.skip("these engines are not ours to kill")
    os.kill(await eventually(partial(_pid, engine), timeout=60), signal.SIGKILL)


VICTIMS = [("heartbeat",), ("postgres",), ("nats",), ("heartbeat", "nats")]


@pytest.mark.parametrize("victims", VICTIMS, ids=" and ".join)
async def test_whoever_is_killed_again_and_again_costs_no_live_run(
    world: World, victims: tuple[str, ...]
) -> None:
    for _ in range(3):
        await world.killed(*victims)
        await passes(SILENCE.total_seconds() / 2)

    await world.dead_one_is_found_and_nobody_else()


@pytest.mark.parametrize("victims", [v for v in VICTIMS if v != ("postgres",)], ids=" and ".join)
async def test_who_died_shortly_before_an_outage_is_found_one_silence_later_at_most(
    world: World, victims: tuple[str, ...]
) -> None:
    """Nobody remembers its last ping: it counts as heard when we are back."""
    dead = world.crowd.living.pop()
    await passes(SILENCE.total_seconds() / 2)
    await world.killed(*victims)
    # A start on a busy machine takes as long as it takes; the time is counted from when pings are heard again.
    back = await world.hears_again()

    async def found_after() -> timedelta | None:
        found: timedelta | None = await world.stack.admin_pool.fetchval(
            "SELECT detected - $2::timestamptz FROM heartbeat.zombie WHERE flow_run_id = $1",
            dead,
            back,
        )
        return found

    took = await eventually(found_after, timeout=60)
    assert took is not None
    assert took < 2 * SILENCE
    assert await world.announced() == {dead}


@pytest.mark.parametrize("jump", [timedelta(hours=1), -timedelta(hours=1)], ids=["ahead", "back"])
async def test_a_clock_of_the_database_that_jumps_costs_no_live_run(
    world: World, jump: timedelta
) -> None:
    """Seen from the rows: a clock that jumps an hour ahead makes all that was written an hour older."""
    async with world.stack.admin_pool.acquire() as connection, connection.transaction():
        await connection.execute("UPDATE heartbeat.last_seen SET at = at - $1::interval", jump)
        await connection.execute(
            "UPDATE heartbeat.watch SET at = at - $1::interval, since = since - $1::interval", jump
        )

    await world.dead_one_is_found_and_nobody_else()


async def test_a_run_that_speaks_again_before_the_ledger_answers_is_left_alone(
    world: World,
) -> None:
    await world.ledger.kill()
    silent = world.crowd.living.pop()

    async def announced() -> bool:
        return silent in await world.announced()

    await eventually(announced, timeout=60)
    world.crowd.living.add(silent)  # its network is back

    async def was_seen() -> bool:
        return bool(
            await world.stack.admin_pool.fetchval(
                "SELECT s.at > z.detected FROM heartbeat.last_seen s"
                " JOIN heartbeat.zombie z USING (flow_run_id) WHERE s.flow_run_id = $1",
                silent,
            )
        )

    await eventually(was_seen, timeout=30)
    await world.ledger.start()
    dead = next(run for run in world.crowd.living if run != silent)
    world.crowd.living.remove(dead)
    await eventually(lambda: world._task_failed(dead), timeout=60)

    assert not await world._task_failed(silent), "it was announced first, so it was answered first"


async def test_a_second_sign_of_life_is_enough(world: World) -> None:
    """The run's own thread hangs; the agent that watches its process pings on (ARCHITECTURE.md)."""
    watched = world.crowd.living.pop()
    dead = world.crowd.living.pop()

    async def dead_one_is_found_while_the_agent_pings() -> bool:
        await world.crowd.ping(watched)
        return dead in await world.announced()

    await eventually(dead_one_is_found_while_the_agent_pings, timeout=60, pause=1)

    assert watched not in await world.announced()


async def test_a_run_that_finishes_is_never_touched_however_its_pings_end(world: World) -> None:
    finished = world.crowd.living.pop()
    await world.stack.admin_pool.execute(
        "UPDATE runs.flow_run SET state = 'Success', version = version + 1 WHERE id = $1", finished
    )

    await world.dead_one_is_found_and_nobody_else()

    state = await world.stack.admin_pool.fetchval(
        "SELECT state FROM runs.flow_run WHERE id = $1", finished
    )
    assert state == "Success"
