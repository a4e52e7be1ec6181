"""Schedules: which are good, which may be started, and how a group's is made."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.registry.domain.firing import end_of
from services.registry.domain.schedules import Schedule, group_schedule, in_force, ungiven
from tests.support.serialized_flows import a_cron, a_schedule, an_interval

NOW = datetime(2026, 3, 8, 20, 30, 15, 250000, tzinfo=UTC)


def test_every_kind_of_clock_of_core_is_read() -> None:
    """As Core 1.4.1 serialized them."""
    schedule = a_schedule(
        a_cron(start_date={"dt": "2020-01-01T00:00:00", "tz": "US/Pacific"}),
        an_interval(start_date={"dt": "2020-01-01T00:00:00", "tz": "+02:00"}, labels=["l"]),
        {"type": "DatesClock", "dates": [{"dt": "2030-01-01T00:00:00", "tz": "UTC"}]},
        {
            "type": "RRuleClock",
            "rrule_obj": {
                "type": "rrule",
                "rr": "DTSTART:20200101T000000\nRRULE:FREQ=DAILY;UNTIL=20310101T000000",
                "_dtstart": "2020-01-01T00:00:00+00:00",
                "_until": "2031-01-01T00:00:00+00:00",
            },
        },
        {
            "type": "RRuleClock",
            "rrule_obj": {
                "type": "rruleset",
                "_rrule": [{"type": "rrule", "rr": "RRULE:FREQ=DAILY"}],
                "_exrule": [],
                "_rdate": ["2030-01-01T00:00:00"],
                "_exdate": [],
            },
        },
        filters=[{"fn": "prefect.schedules.filters.at_time", "kwargs": {"t": "//time:01:00:00"}}],
        not_filters=[None],
        adjustments=[{"fn": "prefect.schedules.adjustments.next_weekday", "kwargs": {}}],
    )

    assert len(Schedule.model_validate(schedule).clocks) == 5


@pytest.mark.parametrize(
    "expression",
    [
        "0 9 * * FRI",
        "0 0 1 MAR *",
        "@daily",
        "*/5 * * * *",
        "0 0 L * *",
        "0 0 * * mon#2",
        " 0 0 * * * ",
    ],
)
def test_a_cron_expression_is_read(expression: str) -> None:
    Schedule.model_validate(a_schedule(a_cron(expression)))


@pytest.mark.parametrize(
    ("expression", "day_or"),
    [
        ("0 0 30 2 *", None),
        ("0 0 31 2,4,6,9,11 *", None),
        ("0 0 30 2 * 15", None),
        ("0 0 30 2 MON", False),
    ],
)
def test_a_cron_expression_that_never_comes_is_refused(
    expression: str, day_or: bool | None
) -> None:
    with pytest.raises(ValidationError, match="never comes: the calendar has no such day"):
        Schedule.model_validate(a_schedule(a_cron(expression, day_or=day_or)))


@pytest.mark.parametrize(
    ("expression", "day_or"),
    [
        ("0 0 29 2 *", None),
        ("0 0 30 2 MON", None),
        ("0 0 29 2 MON", False),
        ("0 0 31 1-2 *", None),
        ("0 0 1 1 * 0 2090", None),
    ],
)
def test_a_cron_expression_that_comes_rarely_is_read(expression: str, day_or: bool | None) -> None:
    Schedule.model_validate(a_schedule(a_cron(expression, day_or=day_or)))


@pytest.mark.parametrize("day", ["0", "00", "0,15", "0-3", "0-6/2", "0/5"])
def test_day_zero_is_read_where_seconds_are_given_as_the_clients_croniter_does(day: str) -> None:
    Schedule.model_validate(a_schedule(a_cron(f"42 0 {day} * * 0")))

    with pytest.raises(ValidationError):
        Schedule.model_validate(a_schedule(a_cron(f"42 0 {day} * *")))


@pytest.mark.parametrize(
    "rule",
    [
        "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "RRULE:FREQ=YEARLY;BYMONTH=4,6;BYMONTHDAY=31",
        "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-30",
    ],
)
def test_a_rule_whose_days_the_calendar_does_not_have_is_refused(rule: str) -> None:
    clock = {"type": "RRuleClock", "rrule_obj": {"type": "rrule", "rr": rule}}

    with pytest.raises(ValidationError, match="never comes: no month that it names has such a day"):
        Schedule.model_validate(a_schedule(clock))


@pytest.mark.parametrize(
    "rule",
    [
        "RRULE:FREQ=DAILY",
        "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
        "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-29,30",
        "RRULE:FREQ=MONTHLY;BYMONTHDAY=31",
    ],
)
def test_a_rule_whose_days_come_is_read(rule: str) -> None:
    clock = {"type": "RRuleClock", "rrule_obj": {"type": "rrule", "rr": rule}}

    Schedule.model_validate(a_schedule(clock))


def a_moment(text: str, tz: str = "UTC") -> dict[str, str]:
    """A moment as Core serializes it."""
    return {"dt": text, "tz": tz}


def test_a_clock_that_ends_before_it_starts_is_refused() -> None:
    clock = an_interval(
        start_date=a_moment("2026-01-02T00:00:00", "+02:00"),
        end_date=a_moment("2026-01-01T23:00:00", "Europe/Berlin"),
    )

    Schedule.model_validate(a_schedule(clock))
    with pytest.raises(ValidationError, match="the clock would never fire"):
        Schedule.model_validate(a_schedule(clock | {"end_date": a_moment("2026-01-01T00:00:00")}))


DATES = {"type": "DatesClock", "dates": [a_moment("2020-05-01T10:00:00", "Europe/Berlin")]}
RULE = {
    "type": "RRuleClock",
    "rrule_obj": {
        "type": "rrule",
        "rr": "RRULE:FREQ=DAILY;UNTIL=20210101T000000",
        "_dtstart": "2020-01-01T00:00:00+00:00",
        "_until": "2021-01-01T00:00:00+00:00",
    },
}


@pytest.mark.parametrize(
    ("clocks", "end"),
    [
        ([], None),
        ([an_interval()], None),
        ([DATES], datetime(2020, 5, 1, 8, tzinfo=UTC)),
        ([DATES, an_interval()], None),
        ([DATES, RULE], datetime(2021, 1, 1, tzinfo=UTC)),
        ([RULE | {"end_date": a_moment("2020-07-01T00:00:00")}], datetime(2020, 7, 1, tzinfo=UTC)),
        ([a_cron(end_date=a_moment("2030-01-01T00:00:00", "+02:00"))], datetime(2029, 12, 31, 22, tzinfo=UTC)),
        ([{"type": "RRuleClock", "rrule_obj": {"type": "rruleset"}}], None),
    ],
)  # fmt: skip
def test_a_schedule_ends_with_the_last_of_its_clocks(
    clocks: list[dict[str, Any]], end: datetime | None
) -> None:
    assert end_of({"clocks": clocks}) == end


def test_a_schedule_whose_dates_are_past_may_be_registered_again() -> None:
    Schedule.model_validate(a_schedule(DATES, RULE))


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "0 9 * *",
        "61 * * * *",
        "0 0 32 * *",
        "@reboot",
        "R R * * *",
        "0 r(9-17) * * *",
        "0 9,r * * *",
    ],
)
def test_what_is_no_cron_expression_or_a_random_one_is_refused(expression: str) -> None:
    with pytest.raises(ValidationError):
        Schedule.model_validate(a_schedule(a_cron(expression)))


@pytest.mark.parametrize(
    ("required", "group_defaults", "clocks", "missing"),
    [
        ([], {}, [{}], []),
        (["x"], {}, [{}], ["x"]),
        (["x"], {"x": None}, [{}], []),
        (["x"], {}, [{"x": 1}], []),
        (["x"], {}, [{"x": 1}, {"y": 1}], ["x"]),
        (["x", "y"], {"x": 1}, [{"y": 1}, {"y": 2}], []),
        (["y", "x"], {"z": 1}, [{}], ["x", "y"]),
    ],
)
def test_every_clock_or_the_group_must_give_what_is_required(
    required: list[str],
    group_defaults: dict[str, Any],
    clocks: list[dict[str, Any]],
    missing: list[str],
) -> None:
    schedule = a_schedule(*(an_interval(parameter_defaults=given) for given in clocks))

    assert ungiven(required=required, group_defaults=group_defaults, schedule=schedule) == missing


def test_nothing_is_missing_where_there_is_no_schedule() -> None:
    assert ungiven(required=["x"], group_defaults={}, schedule=None) == []


def test_the_groups_schedule_is_in_force_before_the_flows() -> None:
    own, of_group = a_schedule(an_interval(60)), a_schedule(an_interval(120))

    assert in_force(of_group=of_group, of_flow=own) == of_group
    assert in_force(of_group=None, of_flow=own) == own
    assert in_force(of_group=None, of_flow=None) is None
    assert in_force(of_group=None, of_flow={"clocks": []}) is None


def test_a_groups_schedule_has_its_crons_first_and_starts_now_in_its_zone() -> None:
    schedule = group_schedule(
        {
            "interval_clocks": [{"interval": 60, "parameter_defaults": {"x": 1}}],
            "cron_clocks": [{"cron": "0 9 * * *", "parameter_defaults": None}],
            "timezone": "America/New_York",
        },
        now=NOW,
    )

    start = {"dt": "2026-03-08T16:30:15.250000", "tz": "America/New_York"}
    assert schedule == {
        "type": "Schedule",
        "clocks": [
            {"type": "CronClock", "cron": "0 9 * * *", "parameter_defaults": {}, "start_date": start},
            {
                "type": "IntervalClock",
                "interval": 60_000_000,
                "parameter_defaults": {"x": 1},
                "start_date": start,
            },
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    "absent", [{}, {"cron_clocks": None, "interval_clocks": None}, {"cron_clocks": []}]
)
def test_a_groups_schedule_without_clocks_is_refused_with_what_to_do_instead(
    absent: dict[str, Any],
) -> None:
    """It would override the flows' own schedules with nothing."""
    refused = group_schedule(absent, now=NOW)

    assert refused == Refused(
        code=Code.INVALID,
        fields={
            "reason": "cron_clocks: at least one clock is expected here or in interval_clocks;"
            " delete_flow_group_schedule lets the flows' own schedules apply again,"
            " set_schedule_inactive pauses a flow"
        },
    )


def test_a_null_list_of_clocks_is_an_empty_one() -> None:
    schedule = group_schedule({"cron_clocks": None, "interval_clocks": [{"interval": 60}]}, now=NOW)

    assert isinstance(schedule, dict)
    assert len(schedule["clocks"]) == 1


def test_without_a_zone_clocks_have_no_start() -> None:
    schedule = group_schedule({"cron_clocks": [{"cron": "* * * * *"}]}, now=NOW)

    assert isinstance(schedule, dict)
    assert schedule["clocks"][0]["start_date"] is None


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "America", "/etc/passwd", 7])
def test_an_unknown_zone_is_refused_by_its_name(zone: Any) -> None:
    assert group_schedule({"timezone": zone}, now=NOW) == Refused(
        code=Code.TIMEZONE_INVALID, fields={"timezone": str(zone)}
    )


@pytest.mark.parametrize(
    "asked",
    [
        {"interval_clocks": [{"interval": 59}]},
        {"interval_clocks": [{"interval": "60"}]},
        {"interval_clocks": [{"interval": True}]},
        {"interval_clocks": [{"interval": 10**12}]},
        {"interval_clocks": [{}]},
        {"interval_clocks": ["hourly"]},
        {"cron_clocks": [{"cron": "every day"}]},
        {"cron_clocks": [{"cron": None}]},
        {"cron_clocks": [{"cron": "* * * * *", "parameter_defaults": [1]}]},
        {"cron_clocks": [{"cron": "* * * * *"}, {"cron": ""}]},
    ],
)
def test_a_bad_clock_refuses_the_whole_schedule(asked: dict[str, Any]) -> None:
    refused = group_schedule(asked, now=NOW)

    assert isinstance(refused, Refused)
    assert refused.code is Code.CLOCK_INVALID


@pytest.mark.parametrize(
    ("kind", "clock", "shown", "reason"),
    [
        (
            "interval_clocks",
            {"interval": 30, "parameter_defaults": None},
            "{'interval': 30}",
            "interval: at least 60 seconds are expected, not 30",
        ),
        (
            "interval_clocks",
            {"interval": -(10**400)},
            None,
            "interval: at least 60 seconds are expected",
        ),
        ("interval_clocks", {"interval": 10**12}, None, "interval: at most a century is expected"),
        (
            "interval_clocks",
            {"interval": "60"},
            "{'interval': '60'}",
            "interval: a whole number of seconds is expected",
        ),
        ("interval_clocks", {}, "{}", "an object with `interval` is expected"),
        ("cron_clocks", "hourly", "hourly", "an object with `cron` is expected"),
        (
            "cron_clocks",
            {"cron": "every day"},
            "{'cron': 'every day'}",
            "cron: 'every day' is not a cron expression",
        ),
        (
            "cron_clocks",
            {"cron": "0 0 30 2 *"},
            "{'cron': '0 0 30 2 *'}",
            "cron: '0 0 30 2 *' never comes: the calendar has no such day",
        ),
    ],
)
def test_a_bad_clock_is_shown_as_it_was_given_with_the_reason(
    kind: str, clock: Any, shown: str | None, reason: str
) -> None:
    refused = group_schedule({kind: [clock]}, now=NOW)

    assert isinstance(refused, Refused)
    assert refused.code is Code.CLOCK_INVALID
    assert refused.fields["clock"] == (shown if shown is not None else f"{clock}")
    assert refused.fields["reason"] == reason


def test_a_schedule_that_is_no_object_is_refused() -> None:
    refused = group_schedule("hourly", now=NOW)

    assert isinstance(refused, Refused)
    assert refused.code is Code.INVALID


@pytest.mark.parametrize(
    "clock",
    [
        {"type": "IntervalClock", "interval": "60000000"},
        {"type": "IntervalClock", "interval": True},
        {"type": "DatesClock", "dates": []},
    ],
)
def test_a_clock_that_the_scheduler_could_not_read_is_refused(clock: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Schedule.model_validate(a_schedule(clock))


@pytest.mark.parametrize(
    "function",
    [
        "prefect.schedules.filters.is_weekday",
        {"fn": "prefect.schedules.filters.is_weekday", "kwargs": {"day": 1}},
        {"fn": "prefect.schedules.filters.on_date", "kwargs": {"month": "x", "day": 1}},
        {"fn": "prefect.schedules.filters.on_date", "kwargs": {"month": 1}},
        {"fn": "prefect.schedules.filters.on_date", "kwargs": {"month": 2, "day": 30}},
        {"fn": "prefect.schedules.filters.on_date", "kwargs": {"month": 13, "day": 1}},
        {"fn": "prefect.schedules.filters.at_time", "kwargs": {"t": "01:00"}},
        {"fn": "prefect.schedules.filters.at_time", "kwargs": {"t": "//time:later"}},
        {"fn": "prefect.schedules.filters.on_datetime", "kwargs": {"dt": "//datetime:"}},
        {"fn": "prefect.schedules.filters.on_datetime", "kwargs": []},
        {"fn": "prefect.schedules.filters.is_day_of_week"},
        {"fn": 7},
        7,
    ],
)
def test_a_filter_that_the_scheduler_could_not_read_is_refused(function: object) -> None:
    with pytest.raises(ValidationError):
        Schedule.model_validate(a_schedule(an_interval(), filters=[function]))


@pytest.mark.parametrize("seconds", ["//timedelta:soon", "//timedelta:1e300", 60])
def test_an_adjustment_by_no_time_is_refused(seconds: object) -> None:
    add = {"fn": "prefect.schedules.adjustments.add", "kwargs": {"interval": seconds}}

    with pytest.raises(ValidationError):
        Schedule.model_validate(a_schedule(an_interval(), adjustments=[add]))
