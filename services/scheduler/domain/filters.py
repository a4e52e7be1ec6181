"""Filters: which events of the clocks count. They use the wall clock of the event's zone."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

Filter = Callable[[datetime], bool]


def on_datetime(dt: datetime) -> Filter:
    """Exactly this instant."""
    return lambda instant: instant.astimezone(UTC) == dt.astimezone(UTC)


def between_datetimes(start: datetime, end: datetime) -> Filter:
    """From `start` to `end`, both included."""
    return lambda instant: start <= instant <= end


def on_date(month: int, day: int) -> Filter:
    """This day of any year."""
    return lambda instant: (instant.month, instant.day) == (month, day)


def between_dates(start_month: int, start_day: int, end_month: int, end_day: int) -> Filter:
    """These days of any year, both included; may run across the new year."""
    start, end = (start_month, start_day), (end_month, end_day)
    if start_month <= end_month:
        return lambda instant: start <= (instant.month, instant.day) <= end
    return lambda instant: (
        (instant.month, instant.day) >= start or (instant.month, instant.day) <= end
    )


def at_time(t: time) -> Filter:
    """This time of any day."""
    return lambda instant: instant.time() == t


def between_times(start: time, end: time) -> Filter:
    """These times of any day, both included; may run across midnight."""
    if start <= end:
        return lambda instant: start <= instant.time() <= end
    return lambda instant: instant.time() >= start or instant.time() <= end


def is_weekday(instant: datetime) -> bool:
    """Monday to Friday."""
    return instant.weekday() < 5


def is_weekend(instant: datetime) -> bool:
    """Saturday or Sunday."""
    return instant.weekday() > 4


def is_month_start(instant: datetime) -> bool:
    """The first of a month."""
    return instant.day == 1


def is_month_end(instant: datetime) -> bool:
    """The last day of a month."""
    return (instant.replace(tzinfo=None) + timedelta(days=1)).day == 1


def is_day_of_week(day_of_week: int) -> Filter:
    """This day of the week; 0 is Monday (Core's own text says Sunday, its code does this)."""
    return lambda instant: instant.weekday() == day_of_week


PLAIN: dict[str, Filter] = {
    f"prefect.schedules.filters.{f.__name__}": f
    for f in (is_weekday, is_weekend, is_month_start, is_month_end)
}
MADE: dict[str, Callable[..., Filter]] = {
    f"prefect.schedules.filters.{f.__name__}": f
    for f in (
        on_datetime,
        between_datetimes,
        on_date,
        between_dates,
        at_time,
        between_times,
        is_day_of_week,
    )
}


def make(name: str, arguments: dict[str, Any]) -> Filter:
    """The filter of this qualified name. ValueError for a name or arguments that it does not know."""
    if name in PLAIN and not arguments:
        return PLAIN[name]
    if name not in MADE:
        msg = f"unknown filter {name!r}"
        raise ValueError(msg)
    try:
        return MADE[name](**arguments)
    except TypeError as error:
        msg = f"filter {name!r}: {error}"
        raise ValueError(msg) from error
