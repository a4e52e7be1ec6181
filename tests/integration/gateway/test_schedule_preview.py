"""Clocks that nobody has saved: when they would make runs, or why they would be refused."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.services import all_services


@pytest.fixture(scope="module")
async def gql(stack: Stack) -> AsyncIterator[Gql]:
    async with (
        all_services(stack) as gateway,
        Gql(f"http://127.0.0.1:{gateway.port}") as client,
    ):
        yield client


async def preview(gql: Gql, clocks: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    data = await gql(
        """query ($clocks: [preview_clock_input!]!, $timezone: String, $count: Int! = 3) {
            schedule_preview(clocks: $clocks, timezone: $timezone, count: $count, after: "2026-03-27T12:00:00Z") {
                instants { start_time local parameters labels } reason } }""",
        clocks=clocks,
        **more,
    )
    found: dict[str, Any] = data["schedule_preview"]
    return found


async def test_clocks_show_their_next_instants_on_the_wall_clock_of_their_zone(gql: Gql) -> None:
    found = await preview(
        gql,
        [
            {
                "cron": "0 9 * * *",
                "start_date": "2026-01-01T00:00:00",
                "labels": ["a"],
                "parameter_defaults": {"x": 1},
            },
            {"dates": ["2026-03-28T18:00:00"], "timezone": "America/New_York"},
        ],
        timezone="Europe/Berlin",
    )

    assert found["reason"] is None
    assert [(one["start_time"], one["local"]) for one in found["instants"]] == [
        ("2026-03-28T08:00:00+00:00", "2026-03-28T09:00:00+01:00"),
        ("2026-03-28T22:00:00+00:00", "2026-03-28T18:00:00-04:00"),
        ("2026-03-29T07:00:00+00:00", "2026-03-29T09:00:00+02:00"),
    ]
    assert [(one["parameters"], one["labels"]) for one in found["instants"][:2]] == [
        ({"x": 1}, ["a"]),
        ({}, None),
    ]


@pytest.mark.parametrize(
    ("clocks", "more", "said"),
    [
        ([{"cron": "0 0 30 2 *"}], {}, "never comes: the calendar has no such day"),
        ([{"interval": 5}], {}, "at least 60 seconds are expected, not 5"),
        ([{"rrule": "weekly"}], {}, "is not a recurrence rule"),
        ([{"cron": "* * * * *"}], {"timezone": "Mars/Olympus"}, "Invalid timezone"),
        ([{"cron": "* * * * *", "interval": 60}], {}, "exactly one of cron, interval, rrule and"),
        ([{}], {}, "clock 1 must have exactly one of"),
        ([], {}, "at least one clock is expected"),
        ([{"cron": "* * * * *"}], {"count": 101}, "1 to 100 instants"),
    ],
)
async def test_clocks_that_would_be_refused_say_why(
    gql: Gql, clocks: list[dict[str, Any]], more: dict[str, Any], said: str
) -> None:
    found = await preview(gql, clocks, **more)

    assert found["instants"] == []
    assert said in found["reason"]
