"""How often a hook speaks: with each n-th event only, or at most n times in a while and once for the rest. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.contracts.automations import RUN_ACTIONS, ActionType
from libs.contracts.base import JsonObject

NAMED = 5
"""Runs that a digest names; the others are a number."""
_MOST_TIMES = 10_000
_MOST_SECONDS = 7 * 24 * 3600
_KEPT = (
    "event_name", "event_type", "tenant_id", "tenant_slug", "flow_sla_config_id", "kind", "flow_sla_type",
    "duration_seconds", "duration", "agent_config_id", "sla_min_healthy",
)  # fmt: skip
"""Variables of a digest that are those of its first event: the others are of one run only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many times in so long."""

    times: int
    within: timedelta

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> "Rate | None":
        """The rate of a stored hook; None where none is set."""
        if not document or "times" not in document:
            return None
        return cls(times=document["times"], within=timedelta(seconds=document["within_seconds"]))


# Slack takes one message a second, and no person reads more. Machines (webhooks, PagerDuty) get every event.
_FOR_PEOPLE = Rate(times=60, within=timedelta(minutes=1))
_READ_BY_PEOPLE = frozenset(
    {
        ActionType.SLACK, ActionType.TEAMS, ActionType.EMAIL, ActionType.TWILIO, ActionType.APPRISE,
        ActionType.INBOX,
    }
)  # fmt: skip


def throttle_of(action_type: str, document: Mapping[str, Any] | None) -> Rate | None:
    """How often a hook may speak: what was set, or what a person can read."""
    if (given := Rate.of(document)) is not None:
        return given
    return _FOR_PEOPLE if action_type in _READ_BY_PEOPLE else None


def fault_of_throttle(given: JsonObject | None) -> str | None:
    """What is wrong with a throttle, as a sentence, or None. An empty one is none."""
    if not given:
        return None
    for name in given:
        if name not in ("times", "within_seconds"):
            return f"throttle.{name}: there is no such field, only times, within_seconds"
    return fault_of_rate(given, "throttle")


def fault_of_throttled_action(action_type: str | None, given: JsonObject | None) -> str | None:
    """Why an action of this type cannot have the throttle, or None. A digest names no run to act on."""
    if given and action_type in RUN_ACTIONS:
        return "throttle: an action on runs is done for each event; leave it out"
    return None


def fault_of_rate(given: Mapping[str, Any], path: str) -> str | None:
    """What is wrong with `times` and `within_seconds`, which go together."""
    for name, most in (("times", _MOST_TIMES), ("within_seconds", _MOST_SECONDS)):
        value = given.get(name)
        if value is None:
            return f"{path}.{name}: give both times and within_seconds"
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            return f"{path}.{name} must be a whole number from 1 to {most:,}"
    return None


@dataclass(frozen=True, slots=True)
class Seen:
    """An event that a hook counts, by the id of its row."""

    id: UUID
    at: datetime


def firings(rate: Rate, waiting: Iterable[Seen], new: Iterable[Seen]) -> list[list[Seen]]:
    """The events of each firing, the one that makes the number full last. Each event counts for one firing."""
    counted, found = list(waiting), []
    for each in sorted(new, key=lambda seen: (seen.at, seen.id)):
        counted = [*(other for other in counted if other.at > each.at - rate.within), each]
        if len(counted) >= rate.times:
            found.append(counted)
            counted = []
    return found


def repeated(event: JsonObject, times: int, rate: Rate) -> JsonObject:
    """The event of a firing, which says how often it happened."""
    message = f"{times} times within {span(rate.within)}, last: {event.get('message')}"
    return {**event, "count": times, "message": message}


def digest(
    before: Mapping[str, Any] | None, events: Sequence[Mapping[str, Any]], rate: Rate
) -> JsonObject:
    """The event of a digest that tells of these events too. `before` is what it told so far."""
    known = before or {}
    names = [*known.get("first_names", ()), *(_name(each) for each in events)]
    count = known.get("count", 0) + len(events)
    kept = {name: value for name, value in (before or events[0]).items() if name in _KEPT}
    shown = list(dict.fromkeys(names))[:NAMED]
    more = f" and {count - len(shown):,} more" if count > len(shown) else ""
    return kept | {
        "id": known.get("id", events[0].get("id")),
        "event_id": known.get("event_id", events[0].get("event_id")),
        "timestamp": events[-1].get("timestamp"),
        "is_digest": True,
        "count": count,
        "first_names": shown,
        "message": (
            f"{count:,} more of {kept.get('event_name')} within {span(rate.within)}, not sent one by one:"
            f" {', '.join(shown)}{more}. The log of deliveries has each of them."
        ),
    }


def span(length: timedelta) -> str:
    """A time as people say it."""
    seconds = int(length.total_seconds())
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _name(event: Mapping[str, Any]) -> str:
    """What a digest calls an event."""
    if event.get("flow_run_name") is None:
        return str(event.get("agent_config_id") or event.get("id"))
    return f"{event.get('flow_name')} / {event.get('flow_run_name')}"
