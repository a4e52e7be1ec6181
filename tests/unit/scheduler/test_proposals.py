"""What the ledger is asked of one flow: the next instants, each whole, and no more than is new."""

from datetime import UTC, datetime, timedelta
from typing import Any

from services.scheduler.domain.proposals import Upcoming, propose, upcoming
from services.scheduler.domain.schedules import parse

HOUR = 3_600_000_000  # microseconds
QUARTER = timedelta(minutes=15)
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def cron(expression: str, **more: Any) -> dict[str, Any]:
    return {"type": "CronClock", "cron": expression} | more


def every_hour(**more: Any) -> dict[str, Any]:
    return {"type": "IntervalClock", "interval": HOUR} | more


def coming(
    *clocks: dict[str, Any], now: datetime, ahead: int = 10, required: str = "", **more: Any
) -> Upcoming:
    return upcoming(
        parse({"clocks": list(clocks)} | more),
        required=frozenset(required.split()),
        now=now,
        ahead=ahead,
        look_again=QUARTER,
    )


def starts(found: Upcoming) -> list[datetime]:
    return sorted({start for start, _ in found.instants})


def test_an_instant_in_the_past_is_never_proposed() -> None:
    earlier = {
        "fn": "prefect.schedules.adjustments.add",
        "kwargs": {"interval": "//timedelta:-5400.0"},
    }

    found = coming(every_hour(), now=NOON, ahead=3, adjustments=[earlier])

    assert starts(found) == [NOON + timedelta(minutes=30 + 60 * n) for n in range(3)]


def test_the_next_look_is_when_the_first_instant_has_passed() -> None:
    found = coming(every_hour(), now=NOON + timedelta(minutes=10))

    assert found.next_due == NOON + timedelta(hours=1)
    assert max(starts(found)) == NOON + timedelta(hours=10)


def test_a_schedule_that_yields_too_little_is_asked_again() -> None:
    saturday = datetime(2026, 2, 28, 0, 10, tzinfo=UTC)
    weekday = {"fn": "prefect.schedules.filters.is_weekday", "kwargs": {}}

    # Core looks 1,000 minutes ahead.
    found = coming(cron("* * * * *"), now=saturday, filters=[weekday])

    assert found.next_due == saturday + QUARTER


def test_ten_instants_ahead_are_ten_whole_instants_however_many_clocks_share_them() -> None:
    clocks = [cron("* * * * *", parameter_defaults={"n": n}) for n in range(14)]

    found = coming(*clocks, now=NOON)

    assert starts(found) == [NOON + timedelta(minutes=n) for n in range(1, 11)]
    for start in starts(found):
        given = [i.parameters["n"] for i in found.instants.values() if i.start_time == start]
        assert sorted(given) == list(range(14))


def test_the_last_instant_is_whole_where_clocks_meet_seldom() -> None:
    found = coming(
        cron("0 * * * *", parameter_defaults={"which": "hourly"}),
        cron("0 */2 * * *", parameter_defaults={"which": "every other"}),
        now=NOON,
        ahead=2,
    )

    assert sorted((i.start_time.hour, i.parameters["which"]) for i in found.instants.values()) == [
        (13, "hourly"),
        (14, "every other"),
        (14, "hourly"),
    ]


def test_instants_that_are_moved_together_count_as_one() -> None:
    friday = datetime(2026, 2, 27, 12, tzinfo=UTC)
    monday = {"fn": "prefect.schedules.adjustments.next_weekday", "kwargs": {}}

    found = coming(cron("0 9 * * *"), now=friday, ahead=3, adjustments=[monday])

    # Saturday, Sunday and Monday are all Monday's; then Tuesday and Wednesday.
    assert [start.day for start in starts(found)] == [2, 3, 4]


def test_a_schedule_of_exactly_ten_instants_is_asked_again_when_the_first_has_passed() -> None:
    dates = [{"dt": f"2026-03-{day:02}T09:00:00", "tz": "UTC"} for day in range(2, 12)]

    found = coming({"type": "DatesClock", "dates": dates}, now=NOON)

    assert len(found.instants) == 10
    assert found.next_due == datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_a_clock_without_a_required_parameter_is_left_out_and_said() -> None:
    found = coming(
        every_hour(parameter_defaults={"table": "orders", "day": 1}),
        every_hour(parameter_defaults={"day": 1}),
        now=NOON,
        required="table day",
    )

    assert [i.parameters["table"] for i in found.instants.values()] == ["orders"] * 10
    assert found.reason == "parameters_missing: table"


def test_what_was_said_is_not_said_again() -> None:
    first = propose(coming(every_hour(), now=NOON), {}, changed=False, again=False, now=NOON)
    later = NOON + timedelta(hours=1)

    second = propose(
        coming(every_hour(), now=later), first.said, changed=False, again=False, now=later
    )

    assert [i.start_time for i in second.create] == [NOON + timedelta(hours=11)]
    assert second.keep is None
    assert sorted(set(second.said.values())) == [NOON, later]


def test_where_the_ledger_is_in_doubt_all_that_is_ahead_is_said_again() -> None:
    found = coming(every_hour(), now=NOON)
    first = propose(found, {}, changed=False, again=False, now=NOON)

    second = propose(found, first.said, changed=False, again=True, now=NOON + QUARTER)

    assert second.create == tuple(found.instants.values())
    assert set(second.said.values()) == {NOON + QUARTER}


def test_what_the_schedule_no_longer_yields_is_cleared_though_nobody_changed_it() -> None:
    # As when a time zone's rules change with an update of the system.
    summer = propose(coming(every_hour(), now=NOON), {}, changed=False, again=False, now=NOON)
    found = coming(every_hour(parameter_defaults={"x": 1}), now=NOON)

    proposal = propose(found, summer.said, changed=False, again=False, now=NOON)

    assert proposal.keep == tuple(found.instants)
    assert len(proposal.create) == 10
