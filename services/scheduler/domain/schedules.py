"""A schedule: clocks, filters, adjustments, as Core serialises them (gateway/reference/schedules.md)."""

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from itertools import islice
from typing import Any

from dateutil import parser as date_parser
from dateutil import rrule

from services.scheduler.domain import adjustments, cron, filters
from services.scheduler.domain.adjustments import Adjustment
from services.scheduler.domain.clocks import (
    Clock,
    CronClock,
    DatesClock,
    Event,
    IntervalClock,
    RRuleClock,
)
from services.scheduler.domain.filters import Filter
from services.scheduler.domain.wall_clock import on_the_wall, zone

# Events checked per question: filters may refuse all events of an endless clock.
MOST_CHECKED = 10_000
SHORTEST_INTERVAL = timedelta(minutes=1)
# Core's default for a rule without `_dtstart`.
RULE_WITHOUT_START = datetime(2018, 6, 20, tzinfo=UTC)


class BadScheduleError(ValueError):
    """The JSON is not a schedule; the text says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Events of the clocks that pass all `filters`, one of `or_filters` and none of `not_filters`, adjusted in turn."""

    clocks: tuple[Clock, ...]
    filters: tuple[Filter, ...] = ()
    or_filters: tuple[Filter, ...] = ()
    not_filters: tuple[Filter, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()

    def next(self, n: int, *, after: datetime) -> tuple[Event, ...]:
        """The next `n` events after `after`; fewer when the clocks end or after `MOST_CHECKED` events.

        An event that equals the one before it is dropped. Core compares with the one before *after its adjustment*: a
        Sunday's run moved to Monday replaces Monday's own. Core's users see those instants, so we yield the same.
        """
        found = (event for _, event in self._looked_at(after) if event is not None)
        return tuple(islice(found, n))

    def next_instants(self, n: int, *, after: datetime) -> tuple[tuple[Event, ...], bool]:
        """The events of the next `n` instants, all clocks of each; and whether there were `n` instants.

        An instant counts after its adjustment, and only if that is in the future. The clocks decide which events belong
        to one instant: they are never separated.
        """
        found: list[Event] = []
        instants: set[datetime] = set()
        instant: datetime | None = None
        for at, event in self._looked_at(after):
            if at != instant and len(instants) >= n:
                break
            instant = at
            if event is not None and event.start_time > after:
                found.append(event)
                instants.add(event.start_time.astimezone(UTC))
        return tuple(found), len(instants) >= n

    def _looked_at(self, after: datetime) -> Iterator[tuple[datetime, Event | None]]:
        """The events of the clocks with their own UTC time: the adjusted event, or None if the filters refuse it."""
        previous: Event | None = None
        checked = 0
        for event in heapq.merge(*(clock.events(after) for clock in self.clocks)):
            if previous is not None and event.same_as(previous):
                continue
            previous = event
            shaped: Event | None = None
            if self._passes(event.start_time):
                previous = shaped = replace(event, start_time=self._adjusted(event.start_time))
            yield event.start_time.astimezone(UTC), shaped
            checked += 1
            if checked >= MOST_CHECKED:
                return

    def _passes(self, instant: datetime) -> bool:
        return (
            all(accepts(instant) for accepts in self.filters)
            and (not self.or_filters or any(accepts(instant) for accepts in self.or_filters))
            and not any(accepts(instant) for accepts in self.not_filters)
        )

    def _adjusted(self, instant: datetime) -> datetime:
        for adjust in self.adjustments:
            instant = adjust(instant)
        return instant


def run_hash(parameters: Mapping[str, Any], labels: Iterable[str] | None) -> str:
    """Distinguishes the runs of one flow version at one instant: sha256 of canonical JSON of both.

    (The peer sorts the characters of the JSON, so that {"x": 12} and {"x": 21} are one run there.)
    """
    what = [dict(parameters), None if labels is None else list(labels)]
    text = json.dumps(what, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


# parsing the JSON


def parse(document: Any) -> Schedule:
    """Parse a serialised schedule. BadScheduleError says what is wrong with it."""
    try:
        return _schedule(document)
    except BadScheduleError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise BadScheduleError(reason) from error


def _schedule(document: Any) -> Schedule:
    if not isinstance(document, dict) or not isinstance(document.get("clocks"), list):
        msg = "a schedule is an object with a list of clocks"
        raise BadScheduleError(msg)
    return Schedule(
        clocks=tuple(_clock(clock) for clock in document["clocks"]),
        filters=_filters(document, "filters"),
        or_filters=_filters(document, "or_filters"),
        not_filters=_filters(document, "not_filters"),
        adjustments=tuple(
            adjustments.make(name, arguments)
            for name, arguments in _references(document, "adjustments")
        ),
    )


def _filters(document: dict[str, Any], key: str) -> tuple[Filter, ...]:
    return tuple(filters.make(name, arguments) for name, arguments in _references(document, key))


def _references(document: dict[str, Any], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for reference in filter(None, document.get(key) or []):  # null means absent
        arguments = reference.get("kwargs") or {}
        yield reference["fn"], {name: _argument(value) for name, value in arguments.items()}


def _argument(value: Any) -> Any:
    """`//datetime:`, `//time:` and `//timedelta:` mark types that JSON does not have."""
    if not isinstance(value, str) or not value.startswith("//"):
        return value
    kind, _, text = value.removeprefix("//").partition(":")
    match kind:
        case "datetime":
            instant = date_parser.isoparse(text)
            return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        case "time":
            return time.fromisoformat(text)
        case "timedelta":
            return timedelta(seconds=float(text))
        case _:
            return value


def _clock(document: dict[str, Any]) -> Clock:
    common: dict[str, Any] = {
        "start": _timestamp(document.get("start_date")),
        "end": _timestamp(document.get("end_date")),
        "parameters": _parameters(document.get("parameter_defaults")),
        "labels": _labels(document.get("labels")),
    }
    match document.get("type"):
        case "IntervalClock":
            interval = timedelta(microseconds=document["interval"])
            if interval < SHORTEST_INTERVAL:
                msg = f"the interval {interval} is shorter than one minute"
                raise BadScheduleError(msg)
            return IntervalClock(interval=interval, **common)
        case "CronClock":
            cron.check(document["cron"])
            day_or = document.get("day_or")
            return CronClock(
                expression=document["cron"], day_or=day_or is None or bool(day_or), **common
            )
        case "DatesClock":
            dates = tuple(instant for date in document["dates"] if (instant := _timestamp(date)))
            if not dates:
                msg = "a clock of dates has at least one"
                raise BadScheduleError(msg)
            return DatesClock(dates=dates, **(common | {"start": None, "end": None}))
        case "RRuleClock":
            return RRuleClock(rule=_rule_or_set(document["rrule_obj"]), **common)
        case other:
            msg = f"unknown clock type {other!r}"
            raise BadScheduleError(msg)


def _parameters(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        msg = "parameter_defaults is an object"
        raise BadScheduleError(msg)
    return value or {}


def _labels(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        msg = "labels is a list of strings"
        raise BadScheduleError(msg)
    return tuple(value)


def _timestamp(value: Any) -> datetime | None:
    """`{"dt": naive ISO, "tz": name}` or null."""
    if value is None:
        return None
    instant = date_parser.isoparse(value["dt"])
    if instant.tzinfo is not None:
        return instant
    return on_the_wall(instant, zone(value["tz"]))


def _rule_or_set(document: dict[str, Any]) -> rrule.rrulebase:
    match document.get("type"):
        case "rrule":
            return _rule(document)
        case "rruleset":
            rules = rrule.rruleset()
            for rule in document.get("_rrule") or []:
                rules.rrule(_rule(rule))
            for date in document.get("_rdate") or []:
                rules.rdate(date_parser.isoparse(date))
            for rule in document.get("_exrule") or []:
                rules.exrule(_rule(rule))
            for date in document.get("_exdate") or []:
                rules.exdate(date_parser.isoparse(date))
            return rules
        case other:
            msg = f"unknown kind of recurrence rule {other!r}"
            raise BadScheduleError(msg)


def _rule(document: dict[str, Any]) -> rrule.rrule:
    """The text of a rule does not hold its time zone, so `_dtstart` and `_until` come beside it and replace it."""
    rule = rrule.rrulestr(document["rr"])
    if not isinstance(rule, rrule.rrule):
        msg = "a recurrence rule holds one rule"
        raise BadScheduleError(msg)
    changes: dict[str, Any] = {"dtstart": RULE_WITHOUT_START}
    if "_dtstart" in document:
        changes["dtstart"] = _start_of_rule(document)
    if "_until" in document:
        changes["until"] = _maybe_iso(document["_until"])
    if rule._count is not None and rule._count > MOST_CHECKED:  # type: ignore[attr-defined] # it has no public name
        msg = f"a rule of more than {MOST_CHECKED} times; give it an end date"
        raise BadScheduleError(msg)
    return rule.replace(**changes)


def _start_of_rule(document: dict[str, Any]) -> datetime | None:
    """The start of a rule. Rules written by Headwater name their zone (`_tz`), and so follow its wall clock."""
    start = _maybe_iso(document["_dtstart"])
    name = document.get("_tz")
    if start is None or name is None:
        return start
    return start.astimezone(zone(name))


def _maybe_iso(value: str | None) -> datetime | None:
    return None if value is None else date_parser.isoparse(value)
