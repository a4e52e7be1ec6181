"""Cron across daylight saving, as croniter 1.4.1 does it under Prefect Core 1.4.1.

croniter decides what an expression matches: it is used with naive times, where all its versions agree. At a change of
the clocks its versions differ (each with its own mistakes). The client that registers a flow shows its user the
instants of 1.4.1, so those rules are kept here.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from croniter import croniter
from croniter.croniter import CroniterError

from libs.contracts.cron import readable
from services.scheduler.domain.wall_clock import on_the_wall

MOST_EVENTS = 1000  # Core's own limit for one question

# croniter 7 reads `11-11` as every month; all other versions, and people, as November.
_RANGE_OF_ONE = re.compile(r"\b(\w+)-\1\b(/\d+)?", re.IGNORECASE)
_MINUTE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)


def check(expression: str) -> None:
    """ValueError when the expression is not cron."""
    if not croniter.is_valid(readable(expression)):
        msg = f"invalid cron string {expression!r}"
        raise ValueError(msg)


class _Ticks:
    """croniter 1.4.1's `get_next`, with its state."""

    def __init__(self, expression: str, start: datetime, *, tz: tzinfo, day_or: bool) -> None:
        self._tz = tz
        # A six-field expression (seconds last) steps by seconds.
        self._step = _SECOND if len(expression.split()) == 6 else _MINUTE
        self._current = start.astimezone(UTC)
        self._dst_start = self._current
        self._matches = croniter(
            _RANGE_OF_ONE.sub(r"\1", readable(expression)),
            start.replace(tzinfo=None),
            day_or=day_or,
        )

    def next(self) -> datetime:
        """The next instant, in the zone."""
        result = self._match()
        start_local = self._dst_start.astimezone(self._tz)
        local = result.astimezone(self._tz)
        start_offset = start_local.utcoffset() or timedelta(0)
        offset = local.utcoffset() or timedelta(0)
        if offset != start_offset:
            lag = (offset - start_offset).total_seconds()
            ahead = abs((result - self._dst_start).total_seconds())
            to_midnight = (24 - start_local.hour) * 3600
            if (lag > 0 and ahead >= to_midnight) or (lag < 0 and ahead + abs(lag) >= to_midnight):
                adjusted = result - timedelta(seconds=lag)
                if _same_rules(adjusted.astimezone(self._tz), local):
                    result, local = adjusted, adjusted.astimezone(self._tz)
                self._dst_start = result
        self._current = result
        return local

    def _match(self) -> datetime:
        """The next match, with the offset of one step after the current instant."""
        floor = self._current.replace(microsecond=0)
        local = (floor + self._step).astimezone(self._tz)
        offset = local.utcoffset() or timedelta(0)
        naive: datetime = self._matches.get_next(
            datetime, start_time=local.replace(tzinfo=None, fold=0) - self._step
        )
        return (naive - offset).replace(tzinfo=UTC)


def _same_rules(a: datetime, b: datetime) -> bool:
    return (a.utcoffset(), a.dst(), a.tzname()) == (b.utcoffset(), b.dst(), b.tzname())


def instants(expression: str, after: datetime, *, tz: tzinfo, day_or: bool) -> Iterator[datetime]:
    """At most `MOST_EVENTS` instants after `after`, in the zone `tz`."""
    local = after.astimezone(tz)
    # Only the wall-clock time is passed on, and a time that comes twice means the second one (pytz).
    start = on_the_wall(local.replace(tzinfo=None, fold=0), tz)
    if start.microsecond:
        start = start + _SECOND
    ticks = _Ticks(expression, start, tz=tz, day_or=day_or)

    def following() -> datetime:
        found = ticks.next()
        return on_the_wall(found.replace(tzinfo=None, fold=0), tz)

    seen: set[datetime] = set()
    left = MOST_EVENTS
    before = after.astimezone(UTC)
    try:
        while left > 0:
            left -= 1
            found = following()
            stuck = 0
            # On the days of a change croniter may repeat an answer: go on, then start anew.
            while found.astimezone(UTC) == before or found.astimezone(UTC) in seen:
                found = following()
                stuck += 1
                if stuck == 3:
                    before = found.astimezone(UTC)
                    ticks = _Ticks(expression, found, tz=tz, day_or=day_or)
                    found = following()
                    if found.astimezone(UTC) in seen:
                        left = 0
            seen.add(found.astimezone(UTC))
            yield found
    except CroniterError:  # nothing in the next 50 years, such as the 30th of February
        return
