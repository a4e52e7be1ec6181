"""Wall-clock time across daylight saving, by the rules of pendulum 2.1, which Prefect Core 1.4.1 schedules with.

A time that the clocks skip is moved forward by the gap (02:30 becomes 03:30); a time that comes twice means the second
one. Instants are kept in their zone, because filters and adjustments use the wall clock.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo

_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")


@cache
def zone(name: str) -> tzinfo:
    """The time zone of this name (or `+HH:MM`). ValueError when there is none."""
    if name.upper() == "UTC":
        return UTC
    if match := _OFFSET.fullmatch(name):
        sign = -1 if match[1] == "-" else 1
        return timezone(sign * timedelta(hours=int(match[2]), minutes=int(match[3])))
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # unknown, or a folder, or a path
        msg = f"unknown time zone {name!r}"
        raise ValueError(msg) from error


def on_the_wall(naive: datetime, tz: tzinfo) -> datetime:
    """The instant at which the clocks of `tz` show `naive`."""
    first = naive.replace(tzinfo=tz, fold=0)
    there_and_back = first.astimezone(UTC).astimezone(tz)
    if there_and_back.replace(tzinfo=None, fold=0) != naive.replace(fold=0):
        return there_and_back  # skipped: with the earlier offset it lies after the gap
    second = first.replace(fold=1)
    return second if second.utcoffset() != first.utcoffset() else first


def add(instant: datetime, *, days: int = 0, seconds: float = 0) -> datetime:
    """Days move the wall clock, and seconds with them; seconds alone move the instant."""
    if days:
        naive = instant.replace(tzinfo=None, fold=0) + timedelta(days=days, seconds=seconds)
        return on_the_wall(naive, instant.tzinfo or UTC)
    return (instant.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(instant.tzinfo)
