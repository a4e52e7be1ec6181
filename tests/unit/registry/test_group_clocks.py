"""Every kind of clock that a group's schedule may have, as it is stored and as the scheduler then follows it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from libs.contracts.base import Refused
from services.registry.domain.schedules import group_schedule
from services.scheduler.domain.schedules import parse

NOW = datetime(2026, 3, 27, 15, 30, tzinfo=UTC)
"""Two days before the clocks of Berlin go forward."""


def followed(asked: dict[str, Any], *, n: int = 3) -> list[str]:
    """The next instants of a schedule as it is stored."""
    schedule = group_schedule(asked, now=NOW)
    assert isinstance(schedule, dict), schedule
    return [
        event.start_time.astimezone(UTC).isoformat() for event in parse(schedule).next(n, after=NOW)
    ]


def test_a_rule_follows_the_wall_clock_of_its_zone_across_a_change_of_clocks() -> None:
    rule = {"rrule": "FREQ=DAILY;BYHOUR=9;BYMINUTE=0", "timezone": "Europe/Berlin"}

    assert followed({"rrule_clocks": [rule]}) == [
        "2026-03-28T08:00:00+00:00",
        "2026-03-29T07:00:00+00:00",
        "2026-03-30T07:00:00+00:00",
    ]


def test_a_rule_without_a_start_begins_at_midnight_of_today() -> None:
    assert followed({"rrule_clocks": [{"rrule": "FREQ=DAILY"}], "timezone": "Europe/Berlin"}) == [
        "2026-03-27T23:00:00+00:00",
        "2026-03-28T23:00:00+00:00",
        "2026-03-29T22:00:00+00:00",
    ]


def test_a_rule_begins_where_it_or_its_clock_says() -> None:
    itself = {"rrule": "DTSTART:20260401T060000\nRRULE:FREQ=WEEKLY"}
    beside = {"rrule": "FREQ=WEEKLY", "start_date": "2026-04-01T06:00:00"}

    assert followed({"rrule_clocks": [itself]}, n=1) == ["2026-04-01T06:00:00+00:00"]
    assert followed({"rrule_clocks": [beside]}, n=1) == ["2026-04-01T06:00:00+00:00"]


def test_a_rule_ends_on_the_wall_clock_of_its_zone() -> None:
    rule = {"rrule": "FREQ=DAILY;BYHOUR=9;UNTIL=20260328T090000", "timezone": "Europe/Berlin"}

    assert followed({"rrule_clocks": [rule]}) == ["2026-03-28T08:00:00+00:00"]


def test_dates_without_an_offset_are_on_the_wall_clock_of_their_zone() -> None:
    dates = ["2026-03-30T09:00:00", "2026-03-28T09:00:00Z"]

    assert followed({"dates_clocks": [{"dates": dates, "timezone": "Europe/Berlin"}]}) == [
        "2026-03-28T09:00:00+00:00",
        "2026-03-30T07:00:00+00:00",
    ]


def test_each_clock_may_have_a_zone_and_labels_of_its_own() -> None:
    asked = {
        "cron_clocks": [
            {"cron": "0 9 * * *", "timezone": "Asia/Kolkata", "labels": ["in"]},
            {"cron": "0 9 * * *"},
        ],
        "timezone": "Europe/Berlin",
    }

    schedule = group_schedule(asked, now=NOW)

    assert isinstance(schedule, dict)
    assert [clock.get("labels") for clock in schedule["clocks"]] == [["in"], None]
    assert followed(asked, n=2) == ["2026-03-28T03:30:00+00:00", "2026-03-28T08:00:00+00:00"]


def test_an_interval_counts_from_its_start() -> None:
    clock = {"interval": 3600, "start_date": "2026-03-27T00:10:00"}

    assert followed({"interval_clocks": [clock]}, n=1) == ["2026-03-27T16:10:00+00:00"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"rrule_clocks": [{"rrule": "every day"}]}, "write it as FREQ=DAILY;BYHOUR=9"),
        ({"rrule_clocks": [{"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}]}, "never comes"),
        (
            {"rrule_clocks": [{"rrule": "RRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY"}]},
            "a clock of its own",
        ),
        ({"dates_clocks": [{"dates": []}]}, "at least one date"),
        ({"dates_clocks": [{"dates": ["tomorrow"]}]}, "write ISO 8601"),
        ({"cron_clocks": [{"cron": "* * * * *", "start_date": "now"}]}, "start_date: 'now'"),
        ({"cron_clocks": [{"cron": "* * * * *", "labels": [1]}]}, "labels"),
        ({"cron_clocks": [{"cron": "* * * * *", "timezone": "Mars/Olympus"}]}, "Mars/Olympus"),
    ],
)
def test_a_clock_that_cannot_be_is_refused_with_the_field_and_what_to_do(
    asked: dict[str, Any], said: str
) -> None:
    refused = group_schedule(asked, now=NOW)

    assert isinstance(refused, Refused)
    assert said in str(refused.fields)
