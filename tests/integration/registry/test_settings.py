"""Schedules that are started and paused, and safeguards that are switched."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from libs.contracts import registry as contracts
from libs.contracts.base import Applied, Refused
from libs.contracts.errors import Code
from libs.runtime.ids import new_id
from tests.integration.registry.office import Office
from tests.support.serialized_flows import a_flow, a_parameter, a_schedule, an_interval

FIRST = {
    "heartbeat_enabled": True,
    "disable_heartbeat": False,
    "lazarus_enabled": True,
    "version_locking_enabled": False,
}


async def set_active(office: Office, flow_id: UUID, *, active: bool) -> Applied | Refused:
    """Start or pause a schedule."""
    return await office.ask(
        contracts.SET_SCHEDULE_ACTIVE,
        contracts.SetScheduleActive(tenant_id=office.tenant_id, flow_id=flow_id, active=active),
    )


async def settle(office: Office, flow_id: UUID, **safeguards: bool) -> Applied | Refused:
    """Switch safeguards."""
    return await office.ask(
        contracts.SET_FLOW_SETTINGS,
        contracts.SetFlowSettings(tenant_id=office.tenant_id, flow_id=flow_id, **safeguards),
    )


async def test_the_moment_is_kept_in_which_heartbeats_came_on(office: Office) -> None:
    made = await office.register(a_flow())

    async def since() -> datetime | None:
        when: datetime | None = await office.stack.admin_pool.fetchval(
            "SELECT heartbeats_since FROM registry.flow_group g JOIN registry.flow f"
            " ON f.flow_group_id = g.id WHERE f.id = $1",
            made.id,
        )
        return when

    await settle(office, made.id, heartbeat_enabled=True)
    never_off = await since()
    await settle(office, made.id, heartbeat_enabled=False)
    off = await since()
    await settle(office, made.id, heartbeat_enabled=True)
    came_on = await since()
    await settle(office, made.id, heartbeat_enabled=True, lazarus_enabled=False)

    assert never_off is None
    assert off is None
    assert came_on is not None
    assert await since() == came_on


async def test_a_schedule_is_started_and_paused(office: Office) -> None:
    made = await office.register(a_flow(schedule=a_schedule()), set_schedule_active=False)

    started = await set_active(office, made.id, active=True)
    while_active = await office.flow(made.id)
    await set_active(office, made.id, active=True)
    paused = await set_active(office, made.id, active=False)

    assert started == paused == Applied(id=made.id)
    assert while_active["is_schedule_active"] is True
    assert (await office.flow(made.id))["is_schedule_active"] is False
    # on, on again, off
    assert (await office.told(made.id))["schedule_changed"] == 3


@pytest.mark.parametrize("active", [True, False])
async def test_the_schedule_of_an_unknown_flow_is_no_success(
    office: Office,
    active: bool,
) -> None:
    assert await set_active(office, new_id(), active=active) == Applied(success=False)


async def test_without_a_schedule_there_is_nothing_to_start(office: Office) -> None:
    made = await office.register(a_flow())

    assert await set_active(office, made.id, active=True) == Refused(
        code=Code.SCHEDULE_MISSING, fields={"flow_id": str(made.id)}
    )
    assert (await office.flow(made.id))["is_schedule_active"] is False


async def test_a_schedule_without_clocks_is_not_started(office: Office) -> None:
    serialized = a_flow(schedule={"type": "Schedule", "clocks": []})
    made = await office.register(serialized, set_schedule_active=False)

    refused = await set_active(office, made.id, active=True)

    fields = {"flow": f"{serialized['name']} version 1"}
    assert refused == Refused(code=Code.SCHEDULE_EMPTY, fields=fields)


async def test_an_unknown_flow_has_no_schedule_to_start(office: Office) -> None:
    assert await set_active(office, new_id(), active=True) == Applied(success=False)


async def test_the_groups_schedule_is_a_schedule_to_start(office: Office) -> None:
    made = await office.register(a_flow())
    await office.do(
        contracts.UPDATE_FLOW_GROUP,
        contracts.UpdateFlowGroup(
            tenant_id=office.tenant_id,
            flow_group_id=made.flow_group_id,
            changes={"schedule": {"interval_clocks": [{"interval": 3600}]}},
        ),
    )

    assert await set_active(office, made.id, active=True) == Applied(id=made.id)
    assert (await office.register(a_flow())).version == 2
    newest = await office.rows(
        "SELECT is_schedule_active FROM registry.flow WHERE flow_group_id = $1 AND version = 2",
        made.flow_group_id,
    )
    assert newest == [{"is_schedule_active": True}]


async def test_a_schedule_whose_runs_would_lack_a_parameter_is_refused(office: Office) -> None:
    serialized = a_flow(schedule=a_schedule(), parameters=[a_parameter("x", required=True)])
    made = await office.register(serialized)

    refused = await set_active(office, made.id, active=True)
    await office.do(
        contracts.UPDATE_FLOW_GROUP,
        contracts.UpdateFlowGroup(
            tenant_id=office.tenant_id,
            flow_group_id=made.flow_group_id,
            changes={"default_parameters": {"x": 2**70}},
        ),
    )
    allowed = await set_active(office, made.id, active=True)

    assert refused == lacking_x()
    assert allowed == Applied(id=made.id)


def lacking_x(title: str = "orders version 1") -> Refused:
    """The refusal of a schedule that leaves x without a value."""
    return Refused(
        code=Code.REQUIRED_PARAMETERS_UNSCHEDULABLE, fields={"flow": title, "names": "'x'"}
    )


async def change_group(office: Office, flow_group_id: UUID, **changes: Any) -> Applied | Refused:
    """Change what a group overrides."""
    return await office.ask(
        contracts.UPDATE_FLOW_GROUP,
        contracts.UpdateFlowGroup(
            tenant_id=office.tenant_id, flow_group_id=flow_group_id, changes=changes
        ),
    )


def hourly(**defaults: Any) -> dict[str, Any]:
    """A group's schedule as clients set it."""
    return {"interval_clocks": [{"interval": 3600, "parameter_defaults": defaults}]}


async def test_a_groups_schedule_that_lacks_a_parameter_cannot_be_started(office: Office) -> None:
    made = await office.register(a_flow(parameters=[a_parameter("x", required=True)]))
    await change_group(office, made.flow_group_id, schedule=hourly())

    refused = await set_active(office, made.id, active=True)
    await change_group(office, made.flow_group_id, schedule=hourly(x=1))

    assert refused == lacking_x()
    assert await set_active(office, made.id, active=True) == Applied(id=made.id)


async def test_a_groups_schedule_may_give_what_the_flows_own_lacks(office: Office) -> None:
    serialized = a_flow(schedule=a_schedule(), parameters=[a_parameter("x", required=True)])
    made = await office.register(serialized)
    await change_group(office, made.flow_group_id, schedule=hourly(x=1))

    assert await set_active(office, made.id, active=True) == Applied(id=made.id)
    again = await office.register(serialized, set_schedule_active=True)
    assert (await office.flow(again.id))["is_schedule_active"] is True


@pytest.mark.parametrize(
    "change",
    [{"schedule": hourly()}, {"schedule": None}, {"default_parameters": {"y": 1}}],
    ids=str,
)
async def test_no_change_of_a_group_stops_a_schedule_that_is_followed(
    office: Office, change: dict[str, Any]
) -> None:
    """It would look active, and nothing would ever be planned."""
    serialized = a_flow(schedule=a_schedule(), parameters=[a_parameter("x", required=True)])
    made = await office.register(serialized)
    schedule = hourly(**({} if "default_parameters" in change else {"x": 1}))
    await change_group(office, made.flow_group_id, schedule=schedule, default_parameters={"x": 1})
    await set_active(office, made.id, active=True)
    if "schedule" in change:
        await change_group(office, made.flow_group_id, default_parameters={})

    refused = await change_group(office, made.flow_group_id, **change)
    await set_active(office, made.id, active=False)

    assert refused == lacking_x()
    assert await change_group(office, made.flow_group_id, **change) == Applied(
        id=made.flow_group_id
    )


async def test_a_schedule_that_is_started_while_its_group_changes_is_never_left_without_a_parameter(
    office: Office,
) -> None:
    flow = a_flow(schedule=a_schedule(), parameters=[a_parameter("x", required=True)])
    for _ in range(10):
        made = await office.register(flow, version_group_id=str(new_id()))
        await change_group(office, made.flow_group_id, default_parameters={"x": 1})

        started, changed = await asyncio.gather(
            set_active(office, made.id, active=True),
            change_group(office, made.flow_group_id, default_parameters={}),
        )

        assert [isinstance(answer, Refused) for answer in (started, changed)].count(True) == 1


async def test_an_archived_flows_schedule_is_not_started_but_may_be_paused(office: Office) -> None:
    made = await office.register(a_flow(schedule=a_schedule()), set_schedule_active=True)
    await office.on_flow(contracts.ARCHIVE_FLOW, made.id)

    refused = await set_active(office, made.id, active=True)
    paused = await set_active(office, made.id, active=False)

    assert refused == Refused(code=Code.ARCHIVED_UNSCHEDULABLE, fields={"flow_id": str(made.id)})
    assert paused == Applied(id=made.id)
    assert (await office.flow(made.id))["is_schedule_active"] is False


async def test_a_schedule_that_has_ended_is_not_started(office: Office) -> None:
    dates = {"type": "DatesClock", "dates": [{"dt": "2020-05-01T10:00:00", "tz": "Europe/Berlin"}]}
    serialized = a_flow(schedule=a_schedule(dates))
    made = await office.register(serialized, set_schedule_active=False)

    refused = await set_active(office, made.id, active=True)
    await change_group(office, made.flow_group_id, schedule=hourly())

    assert refused == Refused(
        code=Code.SCHEDULE_ENDED,
        fields={"flow": f"{serialized['name']} version 1", "at": "2020-05-01T10:00:00+02:00"},
    )
    assert await set_active(office, made.id, active=True) == Applied(id=made.id)


async def test_clocks_may_give_what_is_required(office: Office) -> None:
    clock = an_interval(parameter_defaults={"x": 1})
    serialized = a_flow(schedule=a_schedule(clock), parameters=[a_parameter("x", required=True)])

    made = await office.register(serialized)

    assert (await office.flow(made.id))["is_schedule_active"] is True


async def test_a_new_flow_shows_the_first_safeguards(office: Office) -> None:
    made = await office.register(a_flow(), idempotency_key="k")

    assert (await office.flow(made.id))["settings"] == FIRST


@pytest.mark.parametrize(
    ("switched", "shown"),
    [
        ({"heartbeat_enabled": False}, {"heartbeat_enabled": False, "disable_heartbeat": True}),
        ({"heartbeat_enabled": True}, {}),
        ({"lazarus_enabled": False}, {"lazarus_enabled": False}),
        ({"version_locking_enabled": True}, {"version_locking_enabled": True}),
    ],
)
async def test_a_safeguard_is_shown_on_every_version_and_the_next(
    office: Office, switched: dict[str, bool], shown: dict[str, Any]
) -> None:
    first = await office.register(a_flow())
    second = await office.register(a_flow())

    assert await settle(office, first.id, **switched) == Applied(id=first.id)
    third = await office.register(a_flow())

    for made in (first, second, third):
        assert (await office.flow(made.id))["settings"] == FIRST | shown
    assert (await office.told(first.id))["settings_changed"] == 1


async def test_safeguards_that_are_switched_at_once_are_all_kept(office: Office) -> None:
    made = await office.register(a_flow())

    await asyncio.gather(
        *(settle(office, made.id, heartbeat_enabled=False) for _ in range(10)),
        *(settle(office, made.id, lazarus_enabled=False) for _ in range(10)),
        *(settle(office, made.id, version_locking_enabled=True) for _ in range(10)),
        *(office.register(a_flow()) for _ in range(10)),
    )

    expected = {
        "heartbeat_enabled": False,
        "disable_heartbeat": True,
        "lazarus_enabled": False,
        "version_locking_enabled": True,
    }
    rows = await office.rows(
        "SELECT DISTINCT settings FROM registry.flow WHERE flow_group_id = $1", made.flow_group_id
    )
    group = await office.row(
        "SELECT settings FROM registry.flow_group WHERE id = $1", made.flow_group_id
    )
    assert rows == [{"settings": expected}]
    assert group["settings"] == expected | {"idempotency_key": None}


async def test_the_safeguards_of_an_unknown_flow_are_refused(office: Office) -> None:
    stranger = await Office.open(office.stack, office.service)
    theirs = await stranger.register(a_flow())

    for flow_id in (new_id(), theirs.id):
        refused = await settle(office, flow_id, heartbeat_enabled=False)
        assert refused == Refused(code=Code.FLOW_INVALID_ID)
    assert (await office.flow(theirs.id))["settings"] == FIRST
