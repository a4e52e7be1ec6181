"""Schedules as Core serializes them (gateway/reference/schedules.md): the checks before one is stored.

The scheduler computes the instants; here only schedules that could never yield any are refused.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from croniter import croniter
from dateutil.parser import isoparse
from dateutil.rrule import rrule, rrulestr
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    ValidationError,
    model_validator,
)

from libs.contracts.base import JsonObject, Refused
from libs.contracts.cron import readable
from libs.contracts.errors import Code
from services.registry.domain.documents import UnstorableError, encode, invalid
from services.registry.domain.firing import cron_fires, is_date, rule_fires, timestamp
from services.registry.domain.group_clocks import KINDS, BadClockError
from services.registry.domain.parts import Part, complaint

MICROSECONDS = 1_000_000
_SHORTEST = 60 * MICROSECONDS  # the client's own limit for a backend
_LONGEST = 100 * 366 * 24 * 3600 * MICROSECONDS  # a century; far below what a timedelta can hold

# The arguments of each function, and Core's prefix for the text of a value that JSON has no type for.
_DATETIME, _TIME, _TIMEDELTA = "//datetime:", "//time:", "//timedelta:"
FILTERS: dict[str, dict[str, str | None]] = {
    "prefect.schedules.filters.on_datetime": {"dt": _DATETIME},
    "prefect.schedules.filters.on_date": {"month": None, "day": None},
    "prefect.schedules.filters.at_time": {"t": _TIME},
    "prefect.schedules.filters.between_datetimes": {"start": _DATETIME, "end": _DATETIME},
    "prefect.schedules.filters.between_dates": dict.fromkeys(
        ("start_month", "start_day", "end_month", "end_day")
    ),
    "prefect.schedules.filters.between_times": {"start": _TIME, "end": _TIME},
    "prefect.schedules.filters.is_weekday": {},
    "prefect.schedules.filters.is_weekend": {},
    "prefect.schedules.filters.is_month_end": {},
    "prefect.schedules.filters.is_day_of_week": {"day_of_week": None},
    "prefect.schedules.filters.is_month_start": {},
}
ADJUSTMENTS: dict[str, dict[str, str | None]] = {
    "prefect.schedules.adjustments.add": {"interval": _TIMEDELTA},
    "prefect.schedules.adjustments.next_weekday": {},
}


# croniter's `R` draws a random number at each parse, so the schedule would differ each time.
_RANDOM = re.compile(r"(?:^|[\s,])r(?=$|[\s,(/])", re.IGNORECASE)


def _cron(expression: str) -> str:
    if _RANDOM.search(expression):
        msg = f"{expression!r} draws its times at random; they must be the same whenever they are asked for"
        raise ValueError(msg)
    if not croniter.is_valid(readable(expression)):
        msg = f"{expression!r} is not a cron expression"
        raise ValueError(msg)
    return expression


def _instant(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        msg = f"{text!r} is not an ISO date and time"
        raise ValueError(msg) from None
    return text


def is_time_zone(name: str) -> bool:
    """True for a name of the IANA database."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; or a relative path; or the name of a folder
        return False
    return True


def _zone(name: str) -> str:
    if is_time_zone(name):
        return name
    try:  # a fixed offset is named after itself: +02:00
        datetime.fromisoformat(f"2020-01-01T00:00:00{name}")
    except ValueError:
        pass
    else:
        if name:
            return name
    msg = f"{name!r} is not a time zone"
    raise ValueError(msg)


def _rule(text: str) -> str:
    try:
        rule = rrulestr(text)
    except Exception:  # dateutil raises whatever its string handling stumbles over
        msg = f"{text!r} is not a recurrence rule"
        raise ValueError(msg) from None
    if isinstance(rule, rrule) and not rule_fires(rule):
        msg = f"{text!r} never comes: no month that it names has such a day"
        raise ValueError(msg)
    return text


def _number(value: Any) -> Any:
    """The schedule is stored as it came: digits in a string would be a number here, but not for the scheduler."""
    if isinstance(value, str | bool):
        msg = "a number of microseconds is expected"
        raise ValueError(msg)
    return value


def _interval(microseconds: int) -> int:
    if microseconds < _SHORTEST:
        msg = "at least 60 seconds are expected"
        if microseconds >= 0:
            msg += f", not {microseconds / MICROSECONDS:g}"
        raise ValueError(msg)
    if microseconds > _LONGEST:
        msg = "at most a century is expected"
        raise ValueError(msg)
    return microseconds


def _function_of(known: Mapping[str, Mapping[str, str | None]]) -> Any:
    """A function by its name, with the arguments that it takes: `{"fn": ..., "kwargs": {...}}`, or null.

    The scheduler could not follow a schedule with another one, and the flow would never run.
    """

    def check(value: Any) -> Any:
        if value is None:
            return None
        name = value.get("fn") if isinstance(value, dict) else None
        if not isinstance(name, str):
            msg = "an object with the function's name as `fn` is expected"
            raise ValueError(msg)
        if name not in known:
            msg = f"{name!r} is unknown; known are " + ", ".join(sorted(known))
            raise ValueError(msg)
        given, wanted = value.get("kwargs") or {}, known[name]
        if not isinstance(given, dict) or given.keys() != wanted.keys():
            msg = f"{name!r} takes " + (", ".join(wanted) or "no arguments")
            raise ValueError(msg)
        for argument, mark in wanted.items():
            if not _is_argument(given[argument], mark):
                what = "an integer" if mark is None else f"a text that begins with {mark}"
                msg = f"{argument} of {name!r} must be {what}, not {given[argument]!r:.100}"
                raise ValueError(msg)
        if name == "prefect.schedules.filters.on_date" and not is_date(**given):
            msg = f"{name!r}: the calendar has no day {given['day']} in a month {given['month']}"
            raise ValueError(msg)
        return value

    return Annotated[dict[str, Any] | None, BeforeValidator(check)]


def _is_argument(value: Any, mark: str | None) -> bool:
    if mark is None:
        return isinstance(value, int) and not isinstance(value, bool)
    if not isinstance(value, str) or not value.startswith(mark):
        return False
    try:
        _READERS[mark](value.removeprefix(mark))
    except (ValueError, OverflowError):
        return False
    return True


_READERS: dict[str, Callable[[str], object]] = {
    _DATETIME: isoparse,
    _TIME: time.fromisoformat,
    _TIMEDELTA: lambda text: timedelta(seconds=float(text)),
}


class Timestamp(Part):
    """A local time and its zone."""

    dt: Annotated[str, AfterValidator(_instant)]
    tz: Annotated[str, AfterValidator(_zone)]


class Clock(Part):
    """What all clocks have."""

    parameter_defaults: dict[str, Any] = {}
    labels: list[str] | None = None


class SpannedClock(Clock):
    """A clock from a start to an end; either may be open."""

    start_date: Timestamp | None = None
    end_date: Timestamp | None = None

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        if (
            self.start_date is not None
            and self.end_date is not None
            and timestamp(self.end_date.model_dump()) < timestamp(self.start_date.model_dump())
        ):
            msg = "end_date: it is before start_date, so the clock would never fire"
            raise ValueError(msg)
        return self


class IntervalClock(SpannedClock):
    """`interval` is in microseconds."""

    type: Literal["IntervalClock"]
    interval: Annotated[int, AfterValidator(_interval), BeforeValidator(_number)]


class CronClock(SpannedClock):
    """A cron expression, in the zone of `start_date`."""

    type: Literal["CronClock"]
    cron: Annotated[str, AfterValidator(_cron)]
    day_or: bool | None = None

    @model_validator(mode="after")
    def _fires(self) -> Self:
        if not cron_fires(self.cron, day_or=self.day_or is not False):
            msg = f"cron: {self.cron!r} never comes: the calendar has no such day"
            raise ValueError(msg)
        return self


class DatesClock(Clock):
    """Given instants."""

    type: Literal["DatesClock"]
    dates: Annotated[list[Timestamp], Field(min_length=1)]


class Rule(Part):
    """One recurrence rule; `rr` is its iCalendar text."""

    type: Literal["rrule"] = "rrule"
    rr: Annotated[str, AfterValidator(_rule)]


class RuleSet(Part):
    """Rules and dates, included and excluded. Core writes the names with an underscore."""

    type: Literal["rruleset"]
    rules: list[Rule] = Field(default=[], alias="_rrule")
    except_rules: list[Rule] = Field(default=[], alias="_exrule")
    dates: list[Annotated[str, AfterValidator(_instant)]] = Field(default=[], alias="_rdate")
    except_dates: list[Annotated[str, AfterValidator(_instant)]] = Field(
        default=[], alias="_exdate"
    )


class RRuleClock(SpannedClock):
    """A recurrence rule or a set of them."""

    type: Literal["RRuleClock"]
    rrule_obj: Annotated[Rule | RuleSet, Discriminator("type")]


AnyClock = Annotated[
    IntervalClock | CronClock | DatesClock | RRuleClock, Field(discriminator="type")
]


_BY_TYPE: dict[str, type[Clock]] = {
    kind.__name__: kind for kind in (IntervalClock, CronClock, DatesClock, RRuleClock)
}


class Schedule(Part):
    """A serialized schedule."""

    clocks: list[AnyClock]
    filters: list[_function_of(FILTERS)] = []  # type: ignore[valid-type] # an annotation made by a function
    or_filters: list[_function_of(FILTERS)] = []  # type: ignore[valid-type] # as above
    not_filters: list[_function_of(FILTERS)] = []  # type: ignore[valid-type] # as above
    adjustments: list[_function_of(ADJUSTMENTS)] = []  # type: ignore[valid-type] # as above


def in_force(*, of_group: Any, of_flow: Any) -> Mapping[str, Any] | None:
    """The schedule that a flow follows: its group's replaces its own entirely. Without clocks it does not count."""
    schedule = of_group or of_flow or {}
    return schedule if schedule.get("clocks") else None


def ungiven(
    *, required: Iterable[str], group_defaults: Mapping[str, Any], schedule: Any
) -> list[str]:
    """The required parameters that runs of this schedule would lack, sorted; none without a schedule.

    `schedule` is the one in force. The ledger refuses such runs, so the schedule would look active and never plan a
    run.
    """
    wanted = set(required) - set(group_defaults)
    clocks = (schedule or {}).get("clocks") or ()
    return sorted(
        {name for clock in clocks for name in wanted - set(clock.get("parameter_defaults") or ())}
    )


def group_schedule(asked: Any, *, now: datetime) -> JsonObject | Refused:
    """The schedule that `set_flow_group_schedule` stores: crons first, then intervals, rules and dates.

    The whole schedule is refused if one clock could never fire. Clients match on the texts of the refusals.
    """
    if not isinstance(asked, dict):
        return invalid("schedule: an object with clocks is expected")
    zone = asked.get("timezone")
    if zone is not None and not _is_zone(zone):
        return Refused(code=Code.TIMEZONE_INVALID, fields={"timezone": str(zone)})
    clocks: list[JsonObject] = []
    for key, (field, make) in KINDS.items():
        given = asked.get(key) or []
        if not isinstance(given, list):
            return invalid(f"schedule.{key}: a list is expected")
        for item in given:
            clock = _clock_from(item, field=field, make=make, zone=zone, now=now)
            if isinstance(clock, Refused):
                return clock
            clocks.append(clock)
    if not clocks:
        return invalid(
            "cron_clocks: at least one clock is expected here or in interval_clocks; delete_flow_group_schedule lets"
            " the flows' own schedules apply again, set_schedule_inactive pauses a flow"
        )
    return {"type": "Schedule", "clocks": clocks}


def _is_zone(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and is_time_zone(value)


def _clock_from(
    item: Any,
    *,
    field: str,
    make: Callable[..., JsonObject],
    zone: str | None,
    now: datetime,
) -> JsonObject | Refused:
    if not isinstance(item, dict) or item.get(field) is None:
        return _invalid_clock(item, f"an object with `{field}` is expected")
    own = item.get("timezone")
    if own is not None and not _is_zone(own):
        return Refused(code=Code.TIMEZONE_INVALID, fields={"timezone": str(own)})
    try:
        clock = make(item, zone=own or zone, now=now)
        _BY_TYPE[clock["type"]].model_validate(clock)
        encode(clock, path="schedule")
    except BadClockError as error:
        return _invalid_clock(item, str(error))
    except ValidationError as error:
        return _invalid_clock(item, complaint(error))
    except UnstorableError as error:
        return invalid(str(error))
    return clock


def _invalid_clock(item: Any, reason: str) -> Refused:
    """The refusal with the clock as the client gave it, in the client's units."""
    given = item
    if isinstance(item, dict):
        given = {name: value for name, value in item.items() if value is not None}
    return Refused(code=Code.CLOCK_INVALID, fields={"clock": f"{given}", "reason": reason})
