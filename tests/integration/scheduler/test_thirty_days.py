"""Thirty days, warped: two schedulers, flows edited, paused, archived and re-registered at random; one ledger.

The ledger is played by the test as its contract says: an instant is made once for ever, nothing in the past. What is
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

from libs.contracts.runs import ClearScheduled, CreateScheduled
from libs.runtime.ids import new_id
from services.scheduler.app import Scheduler, build
from services.scheduler.settings import SchedulerSettings
from tests.support.engines import Stack
from tests.support.flows import a_flow
from tests.support.running import running
from tests.support.work import WorkReader, work_of_runs

pytestmark = pytest.mark.slow

BEGIN = datetime(
    2026, 3, 20, tzinfo=UTC
)  # over the change of the clocks in Europe; the schedules are in UTC
NEVER = timedelta(days=1)
SEED = 20260320


@dataclass
class Followed:
    """One flow as the test believes it to be; `hours` is the interval of its schedule."""

    id: UUID
    hours: int
    active: bool = True
    archived: bool = False

    def coming(self, now: datetime) -> set[datetime]:
        """The next ten whole multiples of `hours` since 2019."""
        if not self.active or self.archived:
            return set()
        epoch = datetime(2019, 1, 1, tzinfo=UTC)
        step = timedelta(hours=self.hours)
        first = (now - epoch) // step + 1
        return {epoch + step * (first + k) for k in range(10)}


@dataclass
class World:
    """The registry, the ledger, and the time."""

    stack: Stack
    schedulers: list[Scheduler]
    work: WorkReader
    now: datetime = BEGIN
    flows: list[Followed] = field(default_factory=list)

    async def register(self, hours: int) -> Followed:
        flow = Followed(id=await a_flow(self.stack.admin_pool, schedule=every(hours)), hours=hours)
        self.flows.append(flow)
        return flow

    async def edit(self, flow: Followed, chance: random.Random) -> None:
        match chance.choice(["schedule", "pause", "archive", "register"]):
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

    async def change(self, flow: Followed, column: str, value: Any) -> None:
        await self.stack.admin_pool.execute(
            f"UPDATE registry.flow SET {column} = $2 WHERE id = $1", flow.id, value
        )

    async def tick(self) -> None:
        """Both schedulers at once, then the ledger does what it was asked."""
        await asyncio.gather(*(scheduler.tick(self.now) for scheduler in self.schedulers))
        for subject, body in await self.work.take():
            if ".create_scheduled." in subject:
                await self.create(CreateScheduled.model_validate_json(body))
            else:
                await self.clear(ClearScheduled.model_validate_json(body))

    async def create(self, message: CreateScheduled) -> None:
        for instant in message.instants:
            assert instant.start_time > self.now, "an instant in the past was proposed"
            await self.stack.admin_pool.execute(
                "INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, version,"
                " scheduled_start_time, schedule_hash, auto_scheduled, state, state_timestamp, serialized_state)"
                " SELECT $1, tenant_id, id, flow_group_id, 'a run', 1, $3, $4, true, 'Scheduled', $3, '{}'"
                " FROM registry.flow WHERE id = $2 AND is_schedule_active AND NOT archived"
                " ON CONFLICT DO NOTHING",
                new_id(),
                message.flow_id,
                instant.start_time,
                instant.schedule_hash,
            )

    async def clear(self, message: ClearScheduled) -> None:
        await self.stack.admin_pool.execute(
            "DELETE FROM runs.flow_run WHERE flow_id = $1 AND state = 'Scheduled' AND auto_scheduled"
            " AND NOT (scheduled_start_time = ANY($2))",
            message.flow_id,
            [start for start, _ in message.keep],
        )

    async def pass_time(self, step: timedelta) -> None:
        self.now += step
        await self.stack.admin_pool.execute(
            "UPDATE runs.flow_run SET state = 'Success' WHERE state = 'Scheduled' AND scheduled_start_time <= $1",
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
                    schedule_tick=NEVER,
                    schedule_batch=3,
                )
            )
            schedulers.append(await opened.enter_async_context(running(scheduler, ticks=False)))
        work = await opened.enter_async_context(work_of_runs(stack.nats_url))
        yield World(stack=stack, schedulers=schedulers, work=work)


async def test_thirty_days_of_edits_leave_exactly_the_next_ten_runs_of_every_flow(
    world: World,
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - a seeded story
    for hours in (1, 2, 3, 6, 12, 24):
        await world.register(hours)

    while world.now < BEGIN + timedelta(days=30):
        for flow in chance.sample(world.flows, k=chance.choice([0, 0, 1, 2])):
            await world.edit(flow, chance)
        await world.tick()

        pending = await world.pending()
        assert pending == {flow.id: flow.coming(world.now) for flow in world.flows}, world.now

        await world.pass_time(timedelta(minutes=chance.randrange(5, 900)))

    twice = await world.stack.admin_pool.fetchval(
        "SELECT count(*) FROM (SELECT FROM runs.flow_run"
        " GROUP BY flow_id, scheduled_start_time HAVING count(*) > 1) AS t"
    )
    assert twice == 0
