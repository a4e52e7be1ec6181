"""What a group overrides for all its versions."""

from typing import Any
from uuid import UUID

import pytest

from libs.contracts import registry as contracts
from libs.contracts.base import Applied, Refused
from libs.contracts.errors import Code
from libs.runtime.ids import new_id
from tests.integration.registry.office import Office
from tests.support.serialized_flows import a_flow


async def change(office: Office, flow_group_id: UUID, **changes: Any) -> Applied | Refused:
    """Overwrite columns of a group."""
    return await office.ask(
        contracts.UPDATE_FLOW_GROUP,
        contracts.UpdateFlowGroup(
            tenant_id=office.tenant_id, flow_group_id=flow_group_id, changes=changes
        ),
    )


async def group(office: Office, flow_group_id: UUID) -> dict[str, Any]:
    """A group's row."""
    return await office.row("SELECT * FROM registry.flow_group WHERE id = $1", flow_group_id)


@pytest.mark.parametrize(
    ("column", "given", "stored"),
    [
        ("description", "of all versions", "of all versions"),
        ("description", None, None),
        ("labels", ["b", "a", "b"], ["b", "a"]),
        ("labels", [], []),
        ("labels", None, None),
        ("default_parameters", {"x": [1, None]}, {"x": [1, None]}),
        ("run_config", {"type": "DockerRun"}, {"type": "DockerRun"}),
        ("run_config", None, None),
        ("schedule", None, None),
    ],
)
async def test_a_column_is_overwritten_and_no_other(
    office: Office, column: str, given: Any, stored: Any
) -> None:
    made = await office.register(a_flow())
    await change(
        office,
        made.flow_group_id,
        description="before",
        labels=["before"],
        default_parameters={"before": 1},
        run_config={"type": "LocalRun"},
        schedule={"cron_clocks": [{"cron": "0 0 * * *"}]},
    )
    before = await group(office, made.flow_group_id)

    answer = await change(office, made.flow_group_id, **{column: given})

    after = await group(office, made.flow_group_id)
    assert answer == Applied(id=made.flow_group_id)
    assert await office.told(made.flow_group_id, "flow_group") == {"changed": 2}
    assert after | {"updated": None} == before | {column: stored, "updated": None}


async def test_a_schedule_is_made_of_clocks_and_told_to_every_unarchived_version(
    office: Office,
) -> None:
    first = await office.register(a_flow())
    second = await office.register(a_flow())

    await change(
        office,
        first.flow_group_id,
        schedule={
            "cron_clocks": [{"cron": "0 9 * * *"}],
            "interval_clocks": [{"interval": 3600}],
            "timezone": "Europe/Berlin",
        },
    )

    schedule = (await group(office, first.flow_group_id))["schedule"]
    assert [clock["type"] for clock in schedule["clocks"]] == ["CronClock", "IntervalClock"]
    assert schedule["clocks"][0]["start_date"]["tz"] == "Europe/Berlin"
    assert "schedule_changed" not in await office.told(first.id)
    assert (await office.told(second.id))["schedule_changed"] == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"schedule": {"timezone": "Mars/Olympus"}}, Code.TIMEZONE_INVALID),
        ({"schedule": {"interval_clocks": [{"interval": 59}]}}, Code.CLOCK_INVALID),
        ({"schedule": {"cron_clocks": [{"cron": "now and then"}]}}, Code.CLOCK_INVALID),
        ({"labels": "gpu"}, Code.INVALID),
        ({"name": "other"}, Code.INVALID),
        ({"description": "good", "run_config": "bad"}, Code.INVALID),
        ({"run_config": {"type": "NoSuchRun"}}, Code.INVALID),
    ],
)
async def test_a_bad_change_changes_nothing(
    office: Office, changes: dict[str, Any], code: Code
) -> None:
    made = await office.register(a_flow())
    before = await group(office, made.flow_group_id)

    refused = await change(office, made.flow_group_id, **changes)

    assert isinstance(refused, Refused)
    assert refused.code is code
    assert await group(office, made.flow_group_id) == before


async def test_an_unknown_group_is_no_success(office: Office) -> None:
    stranger = await Office.open(office.stack, office.service)
    theirs = await stranger.register(a_flow())

    for flow_group_id in (new_id(), theirs.flow_group_id):
        assert await change(office, flow_group_id, labels=["x"]) == Applied(success=False)
    assert (await group(office, theirs.flow_group_id))["labels"] is None
