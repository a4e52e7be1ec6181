"""The scheduler on a real PostgreSQL and a real broker; `runs` is played by the test."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.contracts import subjects
from libs.contracts.registry import FlowScheduleChanged
from libs.contracts.runs import ClearScheduled, CreateScheduled
from libs.runtime.ids import new_id
from services.scheduler.app import Scheduler, build
from services.scheduler.settings import SchedulerSettings
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.flows import TENANT, a_flow, a_flow_run
from tests.support.running import running
from tests.support.work import WorkReader, work_of_runs

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
HOURLY = {"type": "Schedule", "clocks": [{"type": "CronClock", "cron": "0 * * * *"}]}


@pytest.fixture
async def scheduler(stack: Stack) -> AsyncIterator[Scheduler]:
    await stack.admin_pool.execute("TRUNCATE registry.project, registry.flow_group CASCADE")
    await stack.admin_pool.execute("TRUNCATE scheduler.schedule, runs.flow_run CASCADE")
    service = build(
        SchedulerSettings(
            postgres_url=stack.postgres_url("scheduler"),
            nats_url=stack.nats_url,
        )
    )
    async with running(service, ticks=False):
        yield service


@pytest.fixture
async def work(stack: Stack) -> AsyncIterator[WorkReader]:
    async with work_of_runs(stack.nats_url) as reader:
        await reader.take()
        yield reader


async def test_an_active_schedule_gets_its_next_ten_instants(
    stack: Stack, scheduler: Scheduler, work: WorkReader
) -> None:
    flow = await a_flow(stack.admin_pool, schedule=HOURLY)

    ticked = await scheduler.planner.tick(NOW)

    [created] = await work.take_all(CreateScheduled, verb="create_scheduled")
    assert ticked.adopted == 1
    assert created.flow_id == flow
    assert [instant.start_time for instant in created.instants] == [
        datetime(2026, 3, 1, hour, tzinfo=UTC) for hour in range(13, 23)
    ]


async def test_a_tick_with_nothing_new_proposes_nothing(
    stack: Stack, scheduler: Scheduler, work: WorkReader
) -> None:
    await a_flow(stack.admin_pool, schedule=HOURLY)
    await scheduler.planner.tick(NOW)
    await work.take()

    ticked = await scheduler.planner.tick(NOW + timedelta(seconds=5))

    assert ticked.instants == 0
    assert await work.take() == []


async def test_when_an_instant_has_passed_the_next_one_is_added(
    stack: Stack, scheduler: Scheduler, work: WorkReader
) -> None:
    await a_flow(stack.admin_pool, schedule=HOURLY)
    await scheduler.planner.tick(NOW)
    await work.take()

    ticked = await scheduler.planner.tick(datetime(2026, 3, 1, 13, 0, tzinfo=UTC))

    [created] = await work.take_all(CreateScheduled, verb="create_scheduled")
    assert ticked.topped_up == 1
    assert created.instants[-1].start_time == datetime(2026, 3, 1, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE registry.flow SET is_schedule_active = false",
        "UPDATE registry.flow SET archived = true",
    ],
)
async def test_a_paused_or_archived_flow_is_cleared_and_forgotten(
    stack: Stack, scheduler: Scheduler, work: WorkReader, change: str
) -> None:
    flow = await a_flow(stack.admin_pool, schedule=HOURLY)
    await scheduler.planner.tick(NOW)
    await work.take()

    await stack.admin_pool.execute(change)
    await scheduler.planner.tick(NOW)

    [cleared] = await work.take_all(ClearScheduled, verb="clear_scheduled")
    assert (cleared.flow_id, cleared.keep) == (flow, [])
    await scheduler.planner.tick(NOW + timedelta(seconds=30))
    assert await stack.admin_pool.fetchval("SELECT count(*) FROM scheduler.schedule") == 0


async def test_a_pause_that_never_reached_the_ledger_is_said_again(
    stack: Stack, scheduler: Scheduler, work: WorkReader
) -> None:
    flow = await a_flow(stack.admin_pool, schedule=HOURLY)
    await scheduler.planner.tick(NOW)
    await a_scheduled_run(stack, flow, NOW + timedelta(hours=1))
    await stack.admin_pool.execute("UPDATE registry.flow SET is_schedule_active = false")
    await scheduler.planner.tick(NOW)
    await scheduler.bus.js.purge_stream("WORK")

    again = await scheduler.planner.tick(NOW + timedelta(seconds=30))

    [cleared] = await work.take_all(ClearScheduled, verb="clear_scheduled")
    assert (again.cleared_again, cleared.flow_id) == (1, flow)


async def a_scheduled_run(stack: Stack, flow: UUID, start: datetime) -> None:
    run = await a_flow_run(stack.admin_pool, flow=flow, state="Scheduled")
    await stack.admin_pool.execute(
        "UPDATE runs.flow_run SET auto_scheduled = true, schedule_hash = 'h', version = 1,"
        " scheduled_start_time = $2 WHERE id = $1",
        run,
        start,
    )


async def test_the_schedule_of_the_group_wins_over_the_flows_own(
    stack: Stack, scheduler: Scheduler, work: WorkReader
) -> None:
    await a_flow(stack.admin_pool, schedule=HOURLY)
    await scheduler.planner.tick(NOW)
    await work.take()

    daily = {"clocks": [{"type": "CronClock", "cron": "0 9 * * *"}]}
    await stack.admin_pool.execute("UPDATE registry.flow_group SET schedule = $1", daily)
    await scheduler.planner.tick(NOW)

    messages = await work.take()
    cleared = ClearScheduled.model_validate_json(messages[0][1])
    created = CreateScheduled.model_validate_json(messages[1][1])
    assert created.instants[0].start_time == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert [start for start, _ in cleared.keep] == [i.start_time for i in created.instants]


async def test_a_flow_is_not_followed_before_its_last_piece_has_come(
    stack: Stack, scheduler: Scheduler, work: WorkReader
) -> None:
    flow = await a_flow(stack.admin_pool, schedule=HOURLY)
    await stack.admin_pool.execute(
        "INSERT INTO registry.flow_piece (id, tenant_id, flow_id, field, documents) "
        "VALUES ($1, $2, $3, 'tasks', '{}')",
        new_id(), TENANT, flow,
    )  # fmt: skip

    half = await scheduler.planner.tick(NOW)
    await stack.admin_pool.execute("DELETE FROM registry.flow_piece")
    whole = await scheduler.planner.tick(NOW)

    assert (half.adopted, half.instants) == (0, 0)
    assert (whole.adopted, whole.instants) == (1, 10)


async def test_a_schedule_that_cannot_be_read_does_not_hold_up_the_others(
    stack: Stack, scheduler: Scheduler, work: WorkReader
) -> None:
    await a_flow(stack.admin_pool, schedule={"clocks": [{"type": "SundialClock"}]})
    good = await a_flow(stack.admin_pool, schedule=HOURLY)

    await scheduler.planner.tick(NOW)
    again = await scheduler.planner.tick(NOW)

    [created] = await work.take_all(CreateScheduled, verb="create_scheduled")
    assert created.flow_id == good
    assert again.changed == 0


async def test_an_event_of_the_registry_brings_a_tick_at_once(
    stack: Stack, scheduler: Scheduler, work: WorkReader
) -> None:
    flow = await a_flow(stack.admin_pool, schedule=HOURLY)
    loop = next(loop for loop in scheduler.loops if loop.name == "schedules")
    await loop.stop()
    loop._start_after = 0
    loop.start()
    await eventually(lambda: loop.last_success)
    await work.take()

    event = FlowScheduleChanged(
        event_id=new_id(), at=NOW, tenant_id=TENANT, flow_id=flow, flow_group_id=new_id()
    )
    await scheduler.bus.js.publish(
        subjects.FLOW_SCHEDULE_CHANGED.at(flow_id=flow), event.model_dump_json().encode()
    )

    async def proposed_again() -> list[Any]:
        return await work.take_all(CreateScheduled, verb="create_scheduled")

    assert await eventually(proposed_again)


async def test_instants_that_never_reached_the_ledger_are_proposed_again(
    stack: Stack, scheduler: Scheduler, work: WorkReader
) -> None:
    await a_flow(stack.admin_pool, schedule=HOURLY)
    await scheduler.planner.tick(NOW)
    await scheduler.bus.js.purge_stream("WORK")

    soon = await scheduler.planner.compare(NOW + timedelta(seconds=20))
    later = await scheduler.planner.compare(NOW + timedelta(seconds=40))

    [created] = await work.take_all(CreateScheduled, verb="create_scheduled")
    assert (soon, later) == (0, 1)
    assert len(created.instants) == 10


async def test_two_schedulers_ticking_at_once_follow_each_flow_once(
    stack: Stack, scheduler: Scheduler, work: WorkReader
) -> None:
    for _ in range(30):
        await a_flow(stack.admin_pool, schedule=HOURLY)
    await scheduler.planner.tick(NOW)
    await work.take()
    later = datetime(2026, 3, 1, 13, 0, tzinfo=UTC)

    first, second = await asyncio.gather(
        scheduler.planner.tick(later), scheduler.planner.tick(later)
    )

    created = await work.take_all(CreateScheduled, verb="create_scheduled")
    assert first.topped_up + second.topped_up == 30
    assert len({message.flow_id for message in created}) == len(created) == 30
