"""Which instants a schedule yields. That they are Prefect's is shown in tests/integration/scheduler."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.scheduler.domain.schedules import BadScheduleError, parse

NEW_YORK = "America/New_York"
HOUR = 3_600_000_000  # microseconds


def cron(expression: str, **more: Any) -> dict[str, Any]:
    return {"type": "CronClock", "cron": expression} | more


def every(hours: float, **more: Any) -> dict[str, Any]:
    return {"type": "IntervalClock", "interval": int(hours * HOUR)} | more


def on(day: str, zone: str = NEW_YORK) -> dict[str, str]:
    return {"dt": day, "tz": zone}


def starts(*clocks: dict[str, Any], after: datetime, n: int = 3, **more: Any) -> list[str]:
    events = parse({"clocks": list(clocks)} | more).next(n, after=after)
    return [event.start_time.isoformat() for event in events]


# 14 March: 2:00 is 3:00.
SPRING = datetime(2021, 3, 13, 12, tzinfo=ZoneInfo(NEW_YORK)).astimezone(UTC)
# 7 November: 2:00 is 1:00.
AUTUMN = datetime(2021, 11, 6, 12, tzinfo=ZoneInfo(NEW_YORK)).astimezone(UTC)


def test_a_daily_interval_keeps_its_wall_clock_time_in_spring() -> None:
    assert starts(every(24, start_date=on("2021-01-01T09:00:00")), after=SPRING, n=2) == [
        "2021-03-14T09:00:00-04:00",
        "2021-03-15T09:00:00-04:00",
    ]


def test_a_daily_interval_keeps_its_wall_clock_time_in_autumn() -> None:
    assert starts(every(24, start_date=on("2021-01-01T09:00:00")), after=AUTUMN, n=1) == [
        "2021-11-07T09:00:00-05:00"
    ]


def test_a_time_that_the_clocks_skip_is_moved_on() -> None:
    assert starts(every(24, start_date=on("2021-01-01T02:30:00")), after=SPRING, n=1) == [
        "2021-03-14T03:30:00-04:00"
    ]


def test_a_time_that_comes_twice_happens_once_the_second_time() -> None:
    assert starts(cron("30 1 * * *", start_date=on("2021-01-01T00:00:00")), after=AUTUMN, n=2) == [
        "2021-11-07T01:30:00-05:00",
        "2021-11-08T01:30:00-05:00",
    ]


def test_cron_runs_on_the_wall_clock_of_its_start_date() -> None:
    after = datetime(2026, 7, 1, tzinfo=UTC)

    assert starts(
        cron("0 9 * * *", start_date=on("2026-01-01T00:00:00", "Asia/Kolkata")), after=after, n=1
    ) == ["2026-07-01T09:00:00+05:30"]


def test_a_range_of_one_month_is_that_month() -> None:
    after = datetime(2026, 3, 1, tzinfo=UTC)

    assert starts(cron("0 0 1 11-11 *"), after=after, n=1) == ["2026-11-01T00:00:00+00:00"]


def test_two_clocks_at_one_instant_with_different_parameters_are_two_runs() -> None:
    after = datetime(2026, 3, 1, tzinfo=UTC)
    first, second = (
        cron("0 9 * * *", parameter_defaults={"x": 12}),
        cron("0 9 * * *", parameter_defaults={"x": 21}),
    )

    events = parse({"clocks": [first, second]}).next(2, after=after)

    assert sorted(event.parameters["x"] for event in events) == [12, 21]
    assert events[0].start_time == events[1].start_time


def test_two_clocks_that_say_the_same_are_one_run() -> None:
    after = datetime(2026, 3, 1, tzinfo=UTC)

    assert starts(cron("0 9 * * *"), cron("0 9 * * *"), after=after, n=2) == [
        "2026-03-01T09:00:00+00:00",
        "2026-03-02T09:00:00+00:00",
    ]


def test_a_filter_that_refuses_everything_ends() -> None:
    never = {"fn": "prefect.schedules.filters.on_date", "kwargs": {"month": 2, "day": 30}}

    assert starts(every(1), after=SPRING, filters=[never]) == []


def test_cron_for_a_day_that_never_comes_ends() -> None:
    assert starts(cron("0 0 30 2 *"), after=SPRING) == []


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        (None, "a schedule is an object"),
        ({}, "list of clocks"),
        ({"clocks": [{"type": "SundialClock"}]}, "unknown clock type 'SundialClock'"),
        ({"clocks": [{"type": "IntervalClock"}]}, "interval"),
        ({"clocks": [every(1 / 61)]}, "shorter than one minute"),
        ({"clocks": [{"type": "IntervalClock", "interval": "soon"}]}, "TypeError"),
        ({"clocks": [cron("61 * * * *")]}, "invalid cron string"),
        ({"clocks": [cron("* * * * *", start_date=on("2021-01-01T00:00:00", "Mars/Base"))]}, "unknown time zone"),
        ({"clocks": [cron("* * * * *", start_date=on("2021-01-01T00:00:00", "../etc/passwd"))]}, "time zone"),
        ({"clocks": [cron("* * * * *", start_date={"dt": "yesterday", "tz": "UTC"})]}, "ValueError"),
        ({"clocks": [cron("* * * * *", labels="gpu")]}, "labels is a list"),
        ({"clocks": [cron("* * * * *", parameter_defaults=[1])]}, "parameter_defaults is an object"),
        ({"clocks": [{"type": "DatesClock", "dates": []}]}, "at least one"),
        ({"clocks": [{"type": "RRuleClock", "rrule_obj": {"type": "rrule", "rr": "FREQ=NEVER"}}]}, "ValueError"),
        ({"clocks": [{"type": "RRuleClock", "rrule_obj": {"type": "rrools"}}]}, "recurrence rule"),
        ({"clocks": [], "filters": [{"fn": "os.system", "kwargs": {"command": "id"}}]}, "unknown filter"),
        ({"clocks": [], "adjustments": [{"fn": "os.system", "kwargs": {}}]}, "unknown adjustment"),
        ({"clocks": [], "filters": [{"kwargs": {}}]}, "KeyError"),
    ],
)  # fmt: skip
def test_what_is_not_a_schedule_is_refused_with_a_reason(schedule: Any, says: str) -> None:
    with pytest.raises(BadScheduleError) as refused:
        parse(schedule)

    assert says in str(refused.value)


def rule(text: str, start: str) -> dict[str, Any]:
    return {
        "type": "RRuleClock",
        "rrule_obj": {"type": "rrule", "rr": text, "_dtstart": start, "_until": None},
    }


def test_a_rule_for_every_second_since_2018_is_answered_at_once() -> None:
    schedule = parse({"clocks": [rule("RRULE:FREQ=SECONDLY;INTERVAL=7", "2018-01-01T00:00:00")]})

    [event] = schedule.next(1, after=datetime(2026, 3, 1, tzinfo=UTC))

    since = event.start_time - datetime(2018, 1, 1, tzinfo=UTC)
    assert since.total_seconds() % 7 == 0
    assert (
        timedelta(0) < event.start_time - datetime(2026, 3, 1, tzinfo=UTC) <= timedelta(seconds=7)
    )


def test_a_rule_that_counts_further_than_anyone_looks_is_refused() -> None:
    with pytest.raises(BadScheduleError, match="more than 10000 times"):
        parse({"clocks": [rule("RRULE:FREQ=SECONDLY;COUNT=1000000000", "2018-01-01T00:00:00")]})


@pytest.mark.parametrize(
    ("day", "days"),
    [
        ("0", ["01-01", "02-01", "03-01", "04-01"]),
        ("0,15", ["01-01", "01-15", "02-01", "02-15"]),
        ("0-6/2", ["01-01", "01-02", "01-04", "01-06"]),
        ("0/5", ["01-01", "01-05", "01-10", "01-15"]),
    ],
)
def test_day_zero_beside_seconds_is_the_first_as_in_the_clients_croniter(
    day: str, days: list[str]
) -> None:
    """Shown by croniter 1.4.1, which comes with Core 1.4.1."""
    schedule = parse({"clocks": [cron(f"0 0 {day} * * 0")]})

    events = schedule.next(4, after=datetime(2025, 12, 31, tzinfo=UTC))

    assert [f"{event.start_time:%m-%d}" for event in events] == days
