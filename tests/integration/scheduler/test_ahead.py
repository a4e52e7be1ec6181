"""What is ahead is in the ledger, whatever happened to it: both services, on real engines."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from libs.contracts import runs, subjects
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.runs.ledger import removal
from tests.support.engines import Stack
from tests.support.planning import Planning, at_hours, hour, planning_on, schedule

TEN = list(range(1, 11))
EVEN = [2, 4, 6, 8, 10]


@pytest.fixture(scope="module")
async def planning(stack: Stack) -> AsyncIterator[Planning]:
    async with planning_on(stack) as found:
        yield found


# versions


async def test_two_unarchived_versions_of_a_flow_are_two_schedules(planning: Planning) -> None:
    hourly = await planning.flow(at_hours(*TEN))
    every_other = await planning.replace(hourly, at_hours(*EVEN))
    await planning.change(hourly, archived=False)

    await planning.tick()

    assert await planning.hours(hourly) == TEN
    assert await planning.hours(every_other) == EVEN


async def test_a_version_that_replaces_another_leaves_it_what_was_handed_out(
    planning: Planning,
) -> None:
    old = await planning.flow(at_hours(*TEN))
    await planning.client.set(await planning.run_at(old, 1), "Submitted")
    new = await planning.replace(old, at_hours(*TEN))

    await planning.tick()

    assert await planning.hours(new) == TEN[1:]
    assert await planning.hours(old) == []
    assert await planning.compare() == 0


async def test_a_version_that_replaces_another_does_not_bring_back_what_was_deleted(
    planning: Planning,
) -> None:
    old = await planning.flow(at_hours(*TEN))
    await planning.delete(await planning.run_at(old, 3))
    new = await planning.replace(old, at_hours(*TEN))

    await planning.tick()

    assert await planning.hours(new) == [1, 2, *TEN[3:]]
    assert await planning.compare() == 0


async def test_a_run_that_is_handed_out_while_its_version_is_replaced_is_made_once(
    planning: Planning,
) -> None:
    old = await planning.flow(at_hours(*TEN))
    handed_out = [await planning.run_at(old, n) for n in TEN]
    new = await planning.replace(old, at_hours(*TEN))

    await asyncio.gather(
        planning.tick(), *(planning.client.set(run, "Submitted") for run in handed_out)
    )

    taken = await planning.stack.admin_pool.fetch(
        "SELECT scheduled_start_time FROM runs.flow_run WHERE flow_id = ANY($1)", [old.id, new.id]
    )
    assert sorted(row[0] for row in taken) == [hour(n) for n in TEN]


# instants


async def test_ten_instants_ahead_are_whole_however_many_clocks_share_them(
    planning: Planning,
) -> None:
    clocks = [at_hours(*range(1, 13), n=n) for n in range(14)]

    flow = await planning.flow(*clocks)

    assert await planning.hours(flow) == [n for n in TEN for _ in clocks]


# what is made again, and what stays away


async def test_runs_that_somebody_deleted_from_the_database_are_made_again(
    planning: Planning,
) -> None:
    flow = await planning.flow(at_hours(*TEN))
    await planning.lose(flow, TEN[:9])  # the newest is there, as in a table that lost its head

    found = await planning.compare()

    assert found == 1
    assert await planning.hours(flow) == TEN
    assert await planning.compare() == 0


async def test_a_run_that_a_person_deleted_stays_away_whatever_happens_to_the_schedule(
    planning: Planning,
) -> None:
    flow = await planning.flow(at_hours(*TEN))
    for n in (2, 5):
        assert await planning.delete(await planning.run_at(flow, n))
    left = [n for n in TEN if n not in (2, 5)]

    assert await planning.compare() == 0
    assert await planning.hours(flow) == left
    await planning.change(flow, is_schedule_active=False)
    await planning.tick()
    assert await planning.hours(flow) == []
    await planning.change(flow, is_schedule_active=True)
    await planning.tick()
    assert await planning.hours(flow) == left
    await planning.change(flow, schedule=schedule(at_hours(*EVEN)))
    await planning.tick()
    assert await planning.hours(flow) == [4, 6, 8, 10]
    await planning.change(flow, schedule=schedule(at_hours(*TEN)))
    await planning.tick()
    assert await planning.hours(flow) == left
    await planning.change(flow, archived=True)
    await planning.tick()
    await planning.change(flow, archived=False)
    await planning.tick()
    assert await planning.hours(flow) == left


async def test_where_all_that_was_ahead_was_deleted_switching_the_schedule_on_makes_it_again(
    planning: Planning,
) -> None:
    flow = await planning.flow(at_hours(*TEN))
    for n in TEN:
        assert await planning.delete(await planning.run_at(flow, n))
    assert await planning.compare() == 0
    assert await planning.hours(flow) == []

    await planning.switch_on_again(flow)
    await planning.compare()

    assert await planning.hours(flow) == TEN


async def test_what_came_ahead_after_all_was_deleted_does_not_keep_the_rest_away(
    planning: Planning,
) -> None:
    flow = await planning.flow(at_hours(*TEN))
    for n in TEN:
        assert await planning.delete(await planning.run_at(flow, n))
    # As a minute that passes puts the eleventh minute ahead, before the person reaches for the switch.
    await planning.change(flow, schedule=schedule(at_hours(*TEN[1:], 11)))
    await planning.tick()
    assert await planning.hours(flow) == [11]

    await planning.switch_on_again(flow)
    await planning.compare()

    assert await planning.hours(flow) == [*TEN[1:], 11]


async def test_where_something_is_planned_switching_the_schedule_on_brings_nothing_back(
    planning: Planning,
) -> None:
    for deleted in ([2], [1, 3], [10]):
        flow = await planning.flow(at_hours(*TEN))
        for n in deleted:
            assert await planning.delete(await planning.run_at(flow, n))

        await planning.switch_on_again(flow)
        await planning.compare()

        assert await planning.hours(flow) == [n for n in TEN if n not in deleted]


async def test_a_run_deleted_from_one_of_two_schedules_is_not_deleted_from_the_other(
    planning: Planning,
) -> None:
    one = await planning.flow(at_hours(*TEN))
    other = await planning.replace(one, at_hours(*TEN))
    await planning.change(one, archived=False)
    await planning.tick()

    await planning.delete(await planning.run_at(one, 1))
    await planning.compare()

    assert await planning.hours(one) == TEN[1:]
    assert await planning.hours(other) == TEN


async def test_a_run_that_is_deleted_while_it_is_said_again_stays_deleted(
    planning: Planning,
) -> None:
    flow = await planning.flow(at_hours(*TEN))
    for n in TEN:
        run = await planning.run_at(flow, n)
        # Another default each time, so that the scheduler says all ten again.
        await planning.change_group(flow, default_parameters={"round": n})

        await asyncio.gather(planning.delete(run), planning.tick())

        assert n not in await planning.hours(flow)
    assert await planning.hours(flow) == []


async def test_a_pause_that_arrives_after_the_schedule_was_resumed_deletes_nothing(
    planning: Planning,
) -> None:
    flow = await planning.flow(at_hours(*TEN))

    await say(planning, flow, runs.ClearScheduled, seen_schedule="")

    assert await planning.hours(flow) == TEN


async def test_instants_of_a_schedule_that_was_changed_meanwhile_are_not_made(
    planning: Planning,
) -> None:
    flow = await planning.flow(at_hours(*EVEN))
    late = runs.ScheduledInstant(start_time=hour(1), schedule_hash="h")

    await say(planning, flow, runs.CreateScheduled, instants=[late], seen_schedule="of yesterday")

    assert await planning.hours(flow) == EVEN


async def test_runs_that_no_schedule_yields_are_cleared_though_the_word_was_lost(
    planning: Planning,
) -> None:
    flow = await planning.flow(at_hours(*TEN))
    await planning.change(flow, schedule=schedule(at_hours(*EVEN)))
    stray = runs.ScheduledInstant(start_time=hour(11), schedule_hash="h")
    await planning.tick()
    await say(planning, flow, runs.CreateScheduled, instants=[stray])

    await planning.compare()

    assert await planning.hours(flow) == EVEN


async def test_what_is_due_survives_a_change_of_the_schedule_but_no_pause(
    planning: Planning,
) -> None:
    flow = await planning.flow(at_hours(*TEN))
    due = await planning.run_at(flow, 1)
    await planning.stack.admin_pool.execute(
        "UPDATE runs.flow_run SET scheduled_start_time = $2, state_start_time = $2 WHERE id = $1",
        due,
        utc_now() - timedelta(minutes=1),
    )

    await planning.change(flow, schedule=schedule(at_hours(*EVEN)))
    await planning.tick()
    waiting = [row["id"] for row in await planning.planned(flow)]
    await planning.change(flow, is_schedule_active=False)
    await planning.tick()

    assert due in waiting
    assert await planning.planned(flow) == []


async def test_a_paused_flow_is_not_waited_for_because_a_person_moved_one_of_its_runs(
    planning: Planning,
) -> None:
    flow = await planning.flow(at_hours(*TEN))
    moved = await planning.run_at(flow, 1)
    await planning.client.set(
        moved, {"type": "Scheduled", "start_time": hour(20).isoformat(), "message": "later"}
    )
    await planning.change(flow, is_schedule_active=False)
    await planning.tick()

    cleared = await planning.scheduler.planner.tick(utc_now() + timedelta(minutes=1))

    assert cleared.cleared_again == 0


async def test_a_run_that_was_cancelled_months_ahead_is_not_made_again_when_it_is_old(
    planning: Planning,
) -> None:
    flow = await planning.flow(at_hours(*TEN))
    await planning.client.cancel(await planning.run_at(flow, 1))

    await removal.runs_older_than(planning.ledger.database, utc_now() + timedelta(days=30))
    await planning.compare()

    assert await planning.hours(flow) == TEN[1:]


# inputs


async def test_planned_runs_follow_the_defaults_labels_and_run_config_of_their_group(
    planning: Planning,
) -> None:
    flow = await planning.flow(
        at_hours(1, 2, x=1), at_hours(3, labels=["own"]), parameters=[{"name": "x", "default": 0}]
    )
    before = [row["id"] for row in await planning.planned(flow)]

    await planning.change_group(
        flow,
        default_parameters={"x": 5, "y": 6},
        labels=["gpu", "big"],
        run_config={"type": "UniversalRun", "env": {"A": "1"}},
    )
    await planning.tick()

    after = await planning.planned(flow)
    assert [row["id"] for row in after] == before
    assert [(row["parameters"], row["labels"]) for row in after] == [
        ({"x": 1, "y": 6}, ["big", "gpu"]),
        ({"x": 1, "y": 6}, ["big", "gpu"]),
        ({"x": 5, "y": 6}, ["own"]),
    ]
    assert {row["run_config"]["type"] for row in after} == {"UniversalRun"}
    await planning.change_group(flow, default_parameters={}, labels=None, run_config=None)
    await planning.tick()
    assert [
        (row["parameters"], row["labels"], row["run_config"])
        for row in await planning.planned(flow)
    ] == [({"x": 1}, [], None), ({"x": 1}, [], None), ({"x": 0}, ["own"], None)]


async def test_runs_that_somebody_touched_keep_what_they_have(planning: Planning) -> None:
    flow = await planning.flow(at_hours(*range(1, 7)))
    touched = {n: await planning.run_at(flow, n) for n in range(1, 6)}
    await planning.rename(touched[1], name="the one for the auditors")
    await planning.rename(touched[2], labels=["mine"])
    await planning.client.set(touched[3], "Submitted")
    await planning.client.set(touched[4], {"type": "Scheduled", "start_time": hour(30).isoformat()})
    await planning.client.cancel(touched[5])

    await planning.change_group(flow, default_parameters={"x": 5}, labels=["gpu"])
    await planning.tick()

    rows = await planning.stack.admin_pool.fetch(
        "SELECT parameters, labels FROM runs.flow_run WHERE flow_id = $1 ORDER BY scheduled_start_time",
        flow.id,
    )
    assert [tuple(row) for row in rows] == [
        ({}, []),
        ({}, ["mine"]),
        ({}, []),
        ({}, []),
        ({}, []),
        ({"x": 5}, ["gpu"]),
    ]


async def test_a_clock_whose_parameter_lost_its_default_has_its_runs_cleared_and_says_why(
    planning: Planning,
) -> None:
    flow = await planning.flow(
        at_hours(1, 2),
        at_hours(3, table="orders"),
        parameters=[{"name": "table", "required": True}],
        group={"default_parameters": {"table": "all"}},
    )
    assert await planning.hours(flow) == [1, 2, 3]

    await planning.change_group(flow, default_parameters={})
    await planning.tick()

    assert await planning.hours(flow) == [3]
    assert await reason(planning, flow) == "parameters_missing: table"
    assert await planning.compare() == 0
    await planning.change_group(flow, default_parameters={"table": "all"})
    await planning.tick()
    assert await planning.hours(flow) == [1, 2, 3]
    assert await reason(planning, flow) is None


async def reason(planning: Planning, flow: Any) -> str | None:
    found: str | None = await planning.stack.admin_pool.fetchval(
        "SELECT reason FROM scheduler.schedule WHERE flow_id = $1", flow.id
    )
    return found


async def say(planning: Planning, flow: Any, message: Any, **fields: Any) -> None:
    """Put a message of the scheduler on the stream."""
    subject = {
        runs.CreateScheduled: subjects.WORK_CREATE_SCHEDULED,
        runs.ClearScheduled: subjects.WORK_CLEAR_SCHEDULED,
        runs.ForgetDeleted: subjects.WORK_FORGET_DELETED,
    }[message]
    body = message(tenant_id=flow.tenant_id, flow_id=flow.id, **fields)
    await planning.client.bus.publish_work(subject.at(flow_id=flow.id), body, key=str(new_id()))
    await planning.settled()
