"""Adjustments: how events that passed the filters are moved."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from services.scheduler.domain import wall_clock
from services.scheduler.domain.filters import is_weekday

Adjustment = Callable[[datetime], datetime]


def add(interval: timedelta) -> Adjustment:
    """Later (or earlier) by elapsed time."""
    return lambda instant: wall_clock.add(instant, seconds=interval.total_seconds())


def next_weekday(instant: datetime) -> datetime:
    """The same time of the next weekday, or of this day if it is one."""
    while not is_weekday(instant):
        instant = wall_clock.add(instant, days=1)
    return instant


def make(name: str, arguments: dict[str, Any]) -> Adjustment:
    """The adjustment of this qualified name. ValueError for a name or arguments that it does not know."""
    match name, arguments:
        case "prefect.schedules.adjustments.next_weekday", {**rest} if not rest:
            return next_weekday
        case "prefect.schedules.adjustments.add", {"interval": timedelta() as interval, **rest} if (
            not rest
        ):
            return add(interval)
        case _:
            msg = f"unknown adjustment {name!r} with arguments {sorted(arguments)}"
            raise ValueError(msg)
