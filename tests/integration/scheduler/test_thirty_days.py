"""Thirty days, warped: two schedulers and a ledger; flows edited, paused, archived and re-registered at random, runs
deleted by people, messages lost.

The days are years ahead, so that for the ledger, which goes by PostgreSQL's clock, nothing is ever past. What is
expected is computed here by plain arithmetic on whole hours, not by the code under test.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.runs.app import Runs
from services.runs.ledger import removal
from services.scheduler.app import Scheduler, build
from services.scheduler.planner import PATIENCE
from services.scheduler.settings import SchedulerSettings
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.flows import TENANT, a_flow
from tests.support.ledger import ledger_on
from tests.support.running import running

pytestmark = pytest.mark.slow

# Over the change of the clocks in Europe; the schedules are in UTC.
BEGIN = datetime(2036, 3, 20, tzinfo=UTC)
SEED = 20260320


@dataclass
class Followed:
    """One flow as the test believes it to be; `hours` is the interval of its schedule."""

    id: UUID
    hours: int
    active: bool = True
    archived: bool = False
    deleted: set[datetime] = field(default_factory=set)

    def coming(self, now: datetime) -> set[datetime]:
        """The next ten whole multiples of `hours` since 2019, but those that a person deleted."""
        if not self.active or self.archived:
            return set()
        epoch = datetime(2019, 1, 1, tzinfo=UTC)
        step = timedelta(hours=self.hours)
        first = (now - epoch) // step + 1
        return {epoch + step * (first + k) for k in range(10)} - self.deleted


@dataclass
class World:
    """The registry, the services, and the time."""

    stack: Stack
    schedulers: list[Scheduler]
    ledger: Runs
    now: datetime = BEGIN
    flows: list[Followed] = field(default_factory=list)

    async def register(self, hours: int) -> Followed:
        flow = Followed(id=await a_flow(self.stack.admin_pool, schedule=every(hours)), hours=hours)
        self.flows.append(flow)
        return flow

    async def edit(self, flow: Followed, chance: random.Random) -> None:
        match chance.choice(["schedule", "pause", "archive", "register", "delete", "delete"]):
            case "schedule":
                flow.hours = chance.choice([1, 2, 3, 5, 8, 24])
                await self.change(flow, "schedule", every(flow.hours))
            case "pause":
                flow.active = not flow.active
                await self.change(flow, "is_schedule_active", flow.active)
            case "archive":
                flow.archived = not flow.archived
                await self.change(flow, "archived", flow.archived)
            case "register":
                flow.archived = True
                await self.change(flow, "archived", True)
                await self.register(flow.hours)
            case "delete":
                await self.delete_one(flow, chance)

    async def delete_one(self, flow: Followed, chance: random.Random) -> None:
        """As a person does."""
        planned = sorted((await self.pending())[flow.id])
        if planned:
            at = chance.choice(planned)
            run = await self.stack.admin_pool.fetchval(
                "SELECT id FROM runs.flow_run WHERE flow_id = $1 AND scheduled_start_time = $2",
                flow.id,
                at,
            )
            assert await removal.delete_flow_run(self.ledger.database, TENANT, run)
            flow.deleted.add(at)

    async def change(self, flow: Followed, column: str, value: Any) -> None:
        await self.stack.admin_pool.execute(
            f"UPDATE registry.flow SET {column} = $2 WHERE id = $1", flow.id, value
        )

    async def tick(self) -> None:
        """Both schedulers at once, then the ledger does what it was asked."""
        await asyncio.gather(*(scheduler.planner.tick(self.now) for scheduler in self.schedulers))
        await self.settled()

    async def compare(self) -> None:
        """Half a minute later, within the same minute: what was lost is said again, and a pause too."""
        later = self.now + PATIENCE + timedelta(seconds=1)
        for scheduler in self.schedulers:
            await scheduler.planner.compare(later)
            await scheduler.planner.tick(later)
        await self.settled()

    async def settled(self) -> None:
        async def empty() -> bool:
            info = await self.ledger.bus.js.stream_info("WORK")
            return info.state.messages == 0

        assert await eventually(empty)

    async def lose_rows(self, chance: random.Random) -> None:
        """As a person at a psql prompt does."""
        await self.stack.admin_pool.execute(
            "DELETE FROM runs.flow_run WHERE flow_id = $1 AND state = 'Scheduled'"
            " AND extract(hour FROM scheduled_start_time)::int % 2 = 0",
            chance.choice(self.flows).id,
        )

    async def pass_time(self, step: timedelta) -> None:
        self.now += step
        await self.stack.admin_pool.execute(
            "UPDATE runs.flow_run SET state = 'Success', version = 4"
            " WHERE state = 'Scheduled' AND scheduled_start_time <= $1",
            self.now,
        )

    async def pending(self) -> dict[UUID, set[datetime]]:
        rows = await self.stack.admin_pool.fetch(
            "SELECT flow_id, scheduled_start_time FROM runs.flow_run WHERE state = 'Scheduled'"
        )
        found: dict[UUID, set[datetime]] = {flow.id: set() for flow in self.flows}
        for row in rows:
            found[row["flow_id"]].add(row["scheduled_start_time"])
        return found


def every(hours: int) -> dict[str, Any]:
    return {"clocks": [{"type": "IntervalClock", "interval": hours * 3_600_000_000}]}


@pytest.fixture
async def world(stack: Stack) -> AsyncIterator[World]:
    async with AsyncExitStack() as opened:
        schedulers = []
        for _ in range(2):
            scheduler = build(
                SchedulerSettings(
                    postgres_url=stack.postgres_url("scheduler"),
                    nats_url=stack.nats_url,
                    schedule_batch=3,
                )
            )
            schedulers.append(await opened.enter_async_context(running(scheduler, ticks=False)))
        ledger = await opened.enter_async_context(ledger_on(stack))
        for loop in ledger.loops:
            await loop.stop()
        yield World(stack=stack, schedulers=schedulers, ledger=ledger)


async def test_thirty_days_of_edits_leave_exactly_the_next_ten_runs_of_every_flow(
    world: World,
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - a seeded story
    for hours in (1, 2, 3, 6, 12, 24):
        await world.register(hours)

    while world.now < BEGIN + timedelta(days=30):
        for flow in chance.sample(world.flows, k=chance.choice([0, 0, 1, 2])):
            await world.edit(flow, chance)
        accident = chance.choice(["none", "none", "lost messages", "lost rows"])
        if accident == "lost messages":
            await asyncio.gather(
                *(scheduler.planner.tick(world.now) for scheduler in world.schedulers)
            )
            await world.ledger.bus.js.purge_stream("WORK")
        await world.tick()
        if accident == "lost rows":
            await world.lose_rows(chance)
        if accident != "none":
            await world.compare()

        pending = await world.pending()
        assert pending == {flow.id: flow.coming(world.now) for flow in world.flows}, world.now

        await world.pass_time(timedelta(minutes=chance.randrange(5, 900)))

    twice = await world.stack.admin_pool.fetchval(
        "SELECT count(*) FROM (SELECT FROM runs.flow_run"
        " GROUP BY flow_id, scheduled_start_time HAVING count(*) > 1) AS t"
    )
    assert twice == 0
