"""The scheduler's instants are those of the real `prefect.schedules` of Core 1.4.1, asked in its own environment.

Two answers of Core are bettered, not copied: it raises, and so schedules nothing, when one clock's cron never comes
again, or when a rule of naive dates has an end date; ours ends that clock, and reads naive as UTC.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.scheduler.domain.schedules import parse
from tests.support.prefect_schedules import PrefectSchedules, prefect_schedules

pytestmark = [pytest.mark.client, pytest.mark.slow]

HOUR = 3_600_000_000  # microseconds
ZONES = (
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",  # moves by half an hour
    "America/Santiago",  # moves at midnight
    "Asia/Kolkata",  # never moves, and is half an hour off
)
YEAR = datetime(2020, 1, 1, tzinfo=UTC)
BETTERED = ("CroniterBadDateError", "TypeError: can't compare offset-naive and offset-aware")


@pytest.fixture(scope="module")
def prefect() -> Iterator[PrefectSchedules]:
    with prefect_schedules() as real:
        yield real


def ours(schedule: dict[str, Any], n: int, after: datetime) -> list[list[Any]]:
    return [
        [
            event.start_time.astimezone(UTC).isoformat(),
            dict(event.parameters),
            None if event.labels is None else list(event.labels),
        ]
        for event in parse(schedule).next(n, after=after)
    ]


def interval(hours: float) -> dict[str, Any]:
    return {"type": "IntervalClock", "interval": int(hours * HOUR)}


def cron(expression: str, **more: Any) -> dict[str, Any]:
    return {"type": "CronClock", "cron": expression} | more


CLOCKS = (
    interval(1),
    interval(1.5),
    interval(24),
    interval(36),
    interval(24 * 7),
    cron("0 * * * *"),
    cron("*/15 0-3 * * *"),
    cron("30 1 * * *"),
    cron("30 2 * * *"),
    cron("0 0 * * *"),
    cron("0 0 * * 0"),
    cron("15 2 1 * *"),
    cron("0 3 13 * 5", day_or=False),
    cron("0 3 L * *"),
)


@pytest.mark.parametrize("zone", ZONES)
def test_every_clock_agrees_over_a_year_with_both_changes_of_the_clocks(
    prefect: PrefectSchedules, zone: str
) -> None:
    start = {"dt": "2019-06-01T00:30:00", "tz": zone}
    # Every three weeks, and several times over the days on which some zone changes.
    moments = [YEAR + timedelta(days=22 * i, hours=7 * i) for i in range(17)]
    changes = [(3, 8), (3, 29), (4, 5), (9, 6), (10, 4), (10, 25), (11, 1)]
    moments += [
        datetime(2020, month, day, tzinfo=UTC) + timedelta(hours=h)
        for month, day in changes
        for h in range(-12, 30, 6)
    ]

    for clock in CLOCKS:
        schedule = {"clocks": [clock | {"start_date": start}]}
        for after in moments:
            assert ours(schedule, 12, after) == prefect.next(schedule, 12, after=after), (
                clock,
                after,
            )


# any schedule

moments = st.integers(0, 4 * 366 * 24 * 60).map(
    lambda minutes: (datetime(2018, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)).replace(
        tzinfo=None
    )
)
offsets = st.sampled_from(["", "+00:00", "-05:00", "+05:30"])


def at(moment: datetime, zone: str) -> dict[str, str]:
    return {"dt": moment.isoformat(), "tz": zone}


@st.composite
def clocks(draw: st.DrawFn, zone: str) -> dict[str, Any]:
    field = draw(st.sampled_from(["*", "*/2", "*/7", "1", "2-3", "2,5", "3-3"]))
    kinds: list[dict[str, Any]] = [
        interval(draw(st.sampled_from([1 / 60, 1 / 6, 1, 5, 24, 25, 36, 24 * 31]))),
        cron(
            f"{draw(st.sampled_from(['0', '30', '*/20', '*']))} {field}"
            f" {draw(st.sampled_from(['*', '1', '13', '31', 'L']))}"
            f" {draw(st.sampled_from(['*', '*/3', '2']))}"
            f" {draw(st.sampled_from(['*', '0', 'MON-FRI', '1#2']))}",
            day_or=draw(st.sampled_from([None, True, False])),
        ),
        {"type": "RRuleClock", "rrule_obj": draw(rules())},
    ]
    clock = draw(st.sampled_from(kinds)) | {
        "start_date": draw(st.none() | moments.map(lambda moment: at(moment, zone))),
        "end_date": draw(st.none() | moments.map(lambda moment: at(moment, zone))),
        "parameter_defaults": draw(st.sampled_from([None, {}, {"x": 12}, {"x": {"y": [1, 2]}}])),
        "labels": draw(st.sampled_from([None, [], ["a"], ["a", "b"]])),
    }
    dates = {"type": "DatesClock", "dates": [at(draw(moments), zone) for _ in range(3)]}
    return draw(st.sampled_from([clock, clock, clock, dates]))


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    offset = draw(offsets)

    def rule() -> dict[str, Any]:
        start = draw(moments)
        frequency = draw(st.sampled_from(["HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
        extra = draw(st.sampled_from(["", ";BYDAY=MO,WE", ";BYHOUR=2,3", ";COUNT=20"]))
        every = draw(st.integers(1, 3))
        text = f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:FREQ={frequency};INTERVAL={every}{extra}"
        # dateutil warns of rules that say both when to end and after how many.
        until = None if "COUNT" in extra else draw(st.none() | moments)
        return {
            "type": "rrule",
            "rr": text,
            "_dtstart": start.isoformat() + offset,
            "_until": None if until is None else until.isoformat() + offset,
        }

    if draw(st.booleans()):
        return rule()
    return {
        "type": "rruleset",
        "_rrule": [rule()],
        "_rdate": [draw(moments).isoformat() + offset],
        "_exrule": [rule()] if draw(st.booleans()) else [],
        "_exdate": [],
    }


def function(name: str, **arguments: Any) -> dict[str, Any]:
    return {"fn": f"prefect.schedules.{name}", "kwargs": arguments}


FILTERS = (
    function("filters.is_weekday"),
    function("filters.is_weekend"),
    function("filters.is_month_start"),
    function("filters.is_month_end"),
    function("filters.is_day_of_week", day_of_week=2),
    function("filters.on_date", month=3, day=29),
    function("filters.between_dates", start_month=10, start_day=15, end_month=3, end_day=31),
    function("filters.at_time", t="//time:02:00:00"),
    function("filters.between_times", start="//time:22:00:00", end="//time:03:30:00"),
    function("filters.on_datetime", dt="//datetime:2020-03-29T01:00:00+00:00"),
    function(
        "filters.between_datetimes",
        start="//datetime:2019-12-01T00:00:00",
        end="//datetime:2021-12-01T00:00:00-05:00",
    ),
)
ADJUSTMENTS = (
    function("adjustments.next_weekday"),
    function("adjustments.add", interval="//timedelta:3600.0"),
    function("adjustments.add", interval="//timedelta:86400.0"),
    function("adjustments.add", interval="//timedelta:-90061.5"),
)


@st.composite
def schedules(draw: st.DrawFn) -> dict[str, Any]:
    zone = draw(st.sampled_from(ZONES))

    def some(choices: tuple[dict[str, Any], ...], most: int) -> list[dict[str, Any]]:
        return draw(st.lists(st.sampled_from(choices), max_size=most))

    return {
        "type": "Schedule",
        "clocks": draw(st.lists(clocks(zone), min_size=1, max_size=3)),
        "filters": some(FILTERS, 1),
        "or_filters": some(FILTERS, 2),
        "not_filters": some(FILTERS, 1),
        "adjustments": some(ADJUSTMENTS, 2),
    }


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(schedule=schedules(), day=st.integers(0, 366), minute=st.integers(0, 1440))
def test_any_schedule_agrees(
    prefect: PrefectSchedules, schedule: dict[str, Any], day: int, minute: int
) -> None:
    after = YEAR + timedelta(days=day, minutes=minute)

    theirs = prefect.next(schedule, 10, after=after)

    if isinstance(theirs, str):
        assert theirs.startswith(BETTERED), theirs
    else:
        assert ours(schedule, 10, after) == theirs
