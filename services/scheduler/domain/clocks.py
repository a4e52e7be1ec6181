"""Clocks: the sources of a schedule's events (gateway/reference/schedules.md), each as Prefect Core 1.4.1 does."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from dateutil import rrule

from services.scheduler.domain import cron
from services.scheduler.domain.wall_clock import add

EPOCH = datetime(2019, 1, 1, tzinfo=UTC)  # the start of an interval without a start date
_DAY_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One instant of one clock. `labels` None means the flow's own; [] means none at all."""

    start_time: datetime
    parameters: Mapping[str, Any]
    labels: tuple[str, ...] | None

    def __lt__(self, other: "Event") -> bool:
        """By time alone, so that a merge of clocks keeps their order at equal times."""
        return self.start_time.astimezone(UTC) < other.start_time.astimezone(UTC)

    def same_as(self, other: "Event") -> bool:
        """A duplicate: two clocks with the same event."""
        return (
            # In UTC: in an hour that comes twice, Python never finds a time equal to one of another zone.
            self.start_time.astimezone(UTC) == other.start_time.astimezone(UTC)
            and dict(self.parameters) == dict(other.parameters)
            and self.labels == other.labels
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The base of all clocks."""

    start: datetime | None = None
    end: datetime | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] | None = None

    def instants(self, after: datetime) -> Iterator[datetime]:
        """The clock's instants after `after`, ascending, before its end date is applied."""
        raise NotImplementedError

    def events(self, after: datetime) -> Iterator[Event]:
        """The clock's events after `after`, ascending, up to and including its end date."""
        for instant in self.instants(after):
            if self.end is not None and instant > self.end:
                return
            yield Event(start_time=instant, parameters=self.parameters, labels=self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalClock(Clock):
    """Every `interval` from `start` on.

    Once whole days have passed since `start`, they are counted on the wall clock and the rest of the way with them;
    only the first day is counted in elapsed time. Core's documentation describes short intervals differently; its code
    does this, and so did every run of its users.
    """

    interval: timedelta

    def instants(self, after: datetime) -> Iterator[datetime]:
        """See `Clock`."""
        start = self.start or EPOCH
        distance = (after.astimezone(UTC) - start.astimezone(UTC)) / self.interval
        steps = 0 if distance < 0 else math.floor(distance) + 1
        while True:
            try:
                whole = self.interval * steps
                seconds = whole.total_seconds() - whole.days * _DAY_SECONDS
                instant = add(start, days=whole.days, seconds=seconds)
            except OverflowError:  # the end of the calendar
                return
            steps += 1
            if instant.astimezone(UTC) >= after.astimezone(UTC):
                yield instant


@dataclass(frozen=True, slots=True, kw_only=True)
class CronClock(Clock):
    """A cron expression on the wall clock of the start date's zone (UTC without one)."""

    expression: str
    day_or: bool = True

    def instants(self, after: datetime) -> Iterator[datetime]:
        """See `Clock`. The start date itself may be an instant."""
        tz = (self.start.tzinfo if self.start else None) or UTC
        if self.start is not None:
            after = max(
                after, add(self.start, seconds=-1), key=lambda instant: instant.astimezone(UTC)
            )
        yield from cron.instants(self.expression, after, tz=tz, day_or=self.day_or)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatesClock(Clock):
    """The dates themselves."""

    dates: tuple[datetime, ...]

    def instants(self, after: datetime) -> Iterator[datetime]:
        """See `Clock`."""
        ordered = sorted(self.dates, key=lambda instant: instant.astimezone(UTC))
        yield from (date for date in ordered if date > after)


@dataclass(frozen=True, slots=True, kw_only=True)
class RRuleClock(Clock):
    """A recurrence rule of iCalendar, or a set of them. A rule of naive dates means UTC."""

    rule: rrule.rrulebase

    def instants(self, after: datetime) -> Iterator[datetime]:
        """See `Clock`. The start date itself may be an instant."""
        inclusive = self.start is not None and after < self.start
        if self.start is not None and inclusive:
            after = self.start
        first = next(iter(self.rule), after)
        if first.tzinfo is None:
            after = after.replace(tzinfo=None)
        for found in _near(self.rule, after).xafter(after, inc=inclusive):
            yield found if found.tzinfo is not None else found.replace(tzinfo=UTC)


_UNITS = {
    rrule.WEEKLY: timedelta(weeks=1),
    rrule.DAILY: timedelta(days=1),
    rrule.HOURLY: timedelta(hours=1),
    rrule.MINUTELY: timedelta(minutes=1),
    rrule.SECONDLY: timedelta(seconds=1),
}


def _near(rule: rrule.rrulebase, after: datetime) -> rrule.rrulebase:
    """The same rule, begun later: dateutil walks from the start, which for "every minute since 2018" takes a minute.

    Whole periods are skipped, so the rule yields the same after `after`. Rules with a count must be walked.
    """
    if not isinstance(rule, rrule.rrule):
        return rule
    kind = rule._freq  # type: ignore[attr-defined] # dateutil has no public names for these
    start: datetime = rule._dtstart  # type: ignore[attr-defined]
    if kind not in _UNITS or rule._count is not None:  # type: ignore[attr-defined]
        return rule
    period = _UNITS[kind] * rule._interval  # type: ignore[attr-defined]
    periods = (after - start) // period - 1
    return rule.replace(dtstart=start + period * periods) if periods > 0 else rule
