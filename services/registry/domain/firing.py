"""Whether a clock fires at all, and whether a schedule will fire again.

A clock that can never fire is a mistake, and is refused at registration. One that has fired for the last time is not a
mistake: flows keep their dates when they are registered again. But the answer never claims that such a schedule was
started.
"""

from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterError
from dateutil import parser as date_parser
from dateutil.rrule import rrule

from libs.contracts.cron import readable

_FROM = datetime(2000, 1, 1)  # noqa: DTZ001 - days of the calendar, in no time zone; a leap year, so 28 years show all
_YEARS = 100
_LEAP_YEAR = 2000
_EVERY_MONTH = range(1, 13)


def cron_fires(expression: str, *, day_or: bool) -> bool:
    """Whether any day of a century matches; the 30th of February does not."""
    try:
        croniter(
            readable(expression), _FROM, day_or=day_or, max_years_between_matches=_YEARS
        ).get_next()
    except CroniterError:
        return False
    return True


def rule_fires(rule: rrule) -> bool:
    """Whether the calendar has a day with the rule's months and days of month; False is certain.

    dateutil would search until the year 9999.
    """
    months = _given(rule, "_bymonth") or _EVERY_MONTH
    first, last = _given(rule, "_bymonthday"), _given(rule, "_bynmonthday")
    if not first and not last:
        return True
    longest = max(monthrange(_LEAP_YEAR, month)[1] for month in months)
    return any(abs(day) <= longest for day in (*first, *last))


def _given(rule: rrule, name: str) -> tuple[int, ...]:
    return tuple(getattr(rule, name, None) or ())  # dateutil has no public names for these


def is_date(*, month: int, day: int) -> bool:
    """Whether some year has this day."""
    return month in _EVERY_MONTH and 1 <= day <= monthrange(_LEAP_YEAR, month)[1]


def end_of(schedule: Mapping[str, Any]) -> datetime | None:
    """The time after which no clock of the schedule fires; None if one goes on for ever, or may do so."""
    ends = [_end_of_clock(clock) for clock in schedule.get("clocks") or ()]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def _end_of_clock(clock: Mapping[str, Any]) -> datetime | None:
    ends = [timestamp(clock["end_date"])] if clock.get("end_date") else []
    if clock.get("type") == "DatesClock":
        ends.append(max(timestamp(date) for date in _present(clock.get("dates"))))
    rule = clock.get("rrule_obj") or {}
    if rule.get("type") == "rrule" and rule.get("_until"):
        ends.append(_aware(date_parser.isoparse(rule["_until"])))
    return min(ends) if ends else None


def _present(items: Iterable[Any] | None) -> list[Any]:
    return [item for item in items or () if item is not None]


def timestamp(value: Mapping[str, str]) -> datetime:
    """A serialized timestamp, `{"dt": local, "tz": name}`. A zone that is an offset is in the text of `dt`; otherwise
    it is UTC."""
    local = datetime.fromisoformat(value["dt"])
    if local.tzinfo is not None:
        return local
    try:
        return local.replace(tzinfo=ZoneInfo(value["tz"]))
    except (KeyError, ValueError, OSError):
        return datetime.fromisoformat(f"{local.isoformat()}{value['tz']}")


def _aware(found: datetime) -> datetime:
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
