"""The clocks of `set_flow_group_schedule`, in Core's serialization.

Every kind has a list of its own. A clock may have its own `timezone` (default: the schedule's), and `labels` and
`parameter_defaults` for its runs. Crons and intervals start now, unless `start_date` says when.

A rule without a start begins at midnight of today in its zone, so that its times do not depend on the second in which
it was saved. Its zone goes with it (`_tz`): the offset that Core writes alone would not follow the clocks when they
change.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from libs.contracts.base import JsonObject

MICROSECONDS = 1_000_000


class BadClockError(ValueError):
    """The clock is invalid; the text names the field."""


def cron_clock(item: dict[str, Any], *, zone: str | None, now: datetime) -> JsonObject:
    """A cron expression on the wall clock of its zone."""
    return _spanned("CronClock", item, zone, now) | {"cron": item["cron"]}


def interval_clock(item: dict[str, Any], *, zone: str | None, now: datetime) -> JsonObject:
    """An interval in seconds."""
    value = item["interval"]
    if not isinstance(value, int) or isinstance(value, bool):
        msg = "interval: a whole number of seconds is expected"
        raise BadClockError(msg)
    return _spanned("IntervalClock", item, zone, now) | {"interval": value * MICROSECONDS}


def dates_clock(item: dict[str, Any], *, zone: str | None, now: datetime) -> JsonObject:
    """Given instants; those without an offset are on the wall clock of the zone."""
    dates = item["dates"]
    if not isinstance(dates, list) or not dates:
        msg = "dates: a list of at least one date and time is expected"
        raise BadClockError(msg)
    return _common("DatesClock", item) | {
        "dates": [_timestamp("dates", date, zone) for date in dates]
    }


def rrule_clock(item: dict[str, Any], *, zone: str | None, now: datetime) -> JsonObject:
    """A recurrence rule in iCalendar's text, on the wall clock of its zone."""
    text = item["rrule"]
    if not isinstance(text, str):
        msg = "rrule: the text of a recurrence rule is expected"
        raise BadClockError(msg)
    try:
        rule = rrulestr(text)
    except Exception as error:  # dateutil raises any exception of its string handling
        msg = f"rrule: {text!r} is not a recurrence rule; write it as FREQ=DAILY;BYHOUR=9"
        raise BadClockError(msg) from error
    if not isinstance(rule, rrule):
        msg = "rrule: one rule is expected; give each rule a clock of its own"
        raise BadClockError(msg)
    ZoneInfo(zone or "UTC")
    start = _rule_start(item, text, rule, zone=zone, now=now)
    until: datetime | None = rule._until  # type: ignore[attr-defined] # it has no public name
    if until is not None and until.tzinfo is None:
        until = until.replace(tzinfo=start.tzinfo)
    rule_object: JsonObject = {
        "type": "rrule",
        "rr": text,
        "_dtstart": start.isoformat(),
        "_until": None if until is None else until.isoformat(),
        "_tz": zone or "UTC",
    }
    return _common("RRuleClock", item) | {"rrule_obj": rule_object}


KINDS: dict[str, tuple[str, Callable[..., JsonObject]]] = {
    "cron_clocks": ("cron", cron_clock),
    "interval_clocks": ("interval", interval_clock),
    "rrule_clocks": ("rrule", rrule_clock),
    "dates_clocks": ("dates", dates_clock),
}
"""A list of the input, the required field of its clocks, and their constructor. In the order of the schedule."""


def _common(kind: str, item: dict[str, Any]) -> JsonObject:
    clock: JsonObject = {"type": kind, "parameter_defaults": item.get("parameter_defaults") or {}}
    if item.get("labels") is not None:
        clock["labels"] = item["labels"]
    return clock


def _spanned(kind: str, item: dict[str, Any], zone: str | None, now: datetime) -> JsonObject:
    start: JsonObject | None = None
    if item.get("start_date") is not None:
        start = _timestamp("start_date", item["start_date"], zone)
    elif zone is not None:
        wall_clock = now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        start = {"dt": wall_clock.isoformat(), "tz": zone}
    return _common(kind, item) | {"start_date": start}


def _timestamp(field: str, value: Any, zone: str | None) -> JsonObject:
    parsed = _read(field, value)
    name = zone or "UTC"
    if parsed.tzinfo is not None:
        parsed = parsed.astimezone(ZoneInfo(name)).replace(tzinfo=None)
    return {"dt": parsed.isoformat(), "tz": name}


def _rule_start(
    item: dict[str, Any], text: str, rule: rrule, *, zone: str | None, now: datetime
) -> datetime:
    tz = ZoneInfo(zone) if zone else UTC
    start = now.astimezone(tz).replace(hour=0, minute=0, second=0, microsecond=0)
    if item.get("start_date") is not None:
        start = _read("start_date", item["start_date"])
    elif "DTSTART" in text.upper():
        start = rule._dtstart  # type: ignore[attr-defined] # it has no public name
    return start.replace(tzinfo=tz) if start.tzinfo is None else start.astimezone(tz)


def _read(field: str, value: Any) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        msg = f"{field}: {value!r} is not a date and time; write ISO 8601, such as 2026-01-31T12:00:00"
        raise BadClockError(msg) from None
