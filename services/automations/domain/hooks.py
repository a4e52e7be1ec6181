"""Hooks: what may be one, and which of a tenant's hooks an event fires.

States are compared as text without regard to case: the web UI of Cloud sends `Triggerfailed` and `Timedout`, which no
class is called. They are compared exactly otherwise: who asks for Failed does not hear of TriggerFailed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.contracts.automations import EventType
from libs.contracts.base import JsonObject
from libs.contracts.states import State
from libs.runtime.reported import faults
from services.automations.domain.noise import Rate, fault_of_rate

HOOK_LIMIT = 500
"""Hooks of a tenant."""
_TAGS: dict[EventType, tuple[str, ...]] = {
    EventType.STATE_CHANGED: ("state", "flow_group_id"),
    EventType.FLOW_SLA_FAILED: ("flow_sla_config_id",),
    EventType.AGENT_SLA_FAILED: ("agent_config_id",),
}
_MOST_TAGS = 1_000
_STATES = {state.casefold() for state in State}
_CONDITIONS = (
    "labels", "projects", "parameters", "min_duration_seconds", "times", "within_seconds", "times_per",
    "mute_while_paused",
)  # fmt: skip
_PER = ("flow_group", "hook")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What else must be true of the run. Empty: nothing."""

    labels: frozenset[str] = frozenset()
    projects: frozenset[str] = frozenset()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    min_duration: timedelta | None = None
    frequency: Rate | None = None
    """Only each n-th event within a time fires: counted for each flow group, or for the hook as a whole."""
    counts_per_hook: bool = False
    mutes_while_paused: bool = False
    """Whether SLAs that break while the tenant's work queue is paused are only noted in the log."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Conditions":
        """The conditions of a stored hook."""
        seconds = document.get("min_duration_seconds")
        return cls(
            labels=frozenset(document.get("labels") or ()),
            projects=frozenset(document.get("projects") or ()),
            parameters=document.get("parameters") or {},
            min_duration=None if seconds is None else timedelta(seconds=seconds),
            frequency=Rate.of(document),
            counts_per_hook=document.get("times_per") == "hook",
            mutes_while_paused=document.get("mute_while_paused") is True,
        )

    def hold(
        self,
        *,
        labels: Iterable[str],
        project: str | None,
        parameters: Mapping[str, Any],
        duration: timedelta | None,
    ) -> bool:
        """Whether they are all true of a run."""
        return (
            self.labels <= set(labels)
            and (not self.projects or project in self.projects)
            and all(name in parameters and parameters[name] == value for name, value in self.parameters.items())
            and (self.min_duration is None or (duration is not None and duration >= self.min_duration))
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """An active hook, as it is stored."""

    id: UUID
    action_id: UUID
    action_type: str
    event_type: str
    event_tags: Mapping[str, Sequence[str]]
    conditions: Conditions = field(default_factory=Conditions)
    throttle: Rate | None = None
    """What is more than this is told in one message."""
    updated: datetime
    """When it became what it is: it may have been off, or about something else, before."""


class Hooks:
    """The active hooks of one tenant, found by what happened."""

    def __init__(self, hooks: Iterable[Hook]) -> None:
        self._any_flow: defaultdict[str, list[Hook]] = defaultdict(list)
        self._by_flow: defaultdict[tuple[str, UUID], list[Hook]] = defaultdict(list)
        self._by_tag: defaultdict[tuple[str, UUID], list[Hook]] = defaultdict(list)
        for hook in hooks:
            self._add(hook)

    def _add(self, hook: Hook) -> None:
        tags = hook.event_tags
        match hook.event_type:
            case EventType.STATE_CHANGED:
                groups = [UUID(each) for each in tags.get("flow_group_id") or ()]
                for state in {each.casefold() for each in tags.get("state") or ()}:
                    if not groups:
                        self._any_flow[state].append(hook)
                    for group in groups:
                        self._by_flow[state, group].append(hook)
            case EventType.FLOW_SLA_FAILED | EventType.AGENT_SLA_FAILED:
                [tag] = _TAGS[EventType(hook.event_type)]
                for each in tags.get(tag) or ():
                    self._by_tag[hook.event_type, UUID(each)].append(hook)

    @property
    def states(self) -> set[str]:
        """The states, in lower case, that some hook waits for."""
        return {*self._any_flow, *(state for state, _ in self._by_flow)}

    @property
    def name_flows(self) -> bool:
        """Whether some of them wait for certain flows only."""
        return bool(self._by_flow)

    def on_state(self, state: str, flow_group_id: UUID | None) -> list[Hook]:
        """The hooks that a run of this flow group fires by entering the state."""
        folded = state.casefold()
        of_flow = () if flow_group_id is None else self._by_flow.get((folded, flow_group_id), ())
        return [*self._any_flow.get(folded, ()), *of_flow]

    def on_sla(self, event_type: EventType, config_id: UUID) -> list[Hook]:
        """The hooks that a broken SLA fires: of flows, or of agents."""
        return list(self._by_tag.get((event_type, config_id), ()))


def tags_of(event_type: EventType, given: Mapping[str, Sequence[str]]) -> JsonObject | str:
    """The tags as they are stored, or a sentence about what is wrong. An empty `flow_group_id` is as if left out."""
    names = _TAGS[event_type]
    if unknown := given.keys() - set(names):
        return f"{min(unknown)}: a hook for {event_type} has no such tag, only {', '.join(names)}"
    tags: JsonObject = {}
    for name in names:
        values = list(dict.fromkeys(given.get(name) or ()))
        if not values:
            if name == "flow_group_id":
                continue
            return f"{_INPUTS[name]}: name at least one"
        if len(values) > _MOST_TAGS:
            return f"{_INPUTS[name]}: name at most {_MOST_TAGS:,}, not {len(values):,}"
        tags[name] = values
    if unknown_state := next(
        (s for s in tags.get("state", ()) if s.casefold() not in _STATES), None
    ):
        return f"states: {unknown_state[:50]!r} is not a state; states are {', '.join(State)}"
    return tags


_INPUTS = {
    "state": "states",
    "flow_group_id": "flow_group_ids",
    "flow_sla_config_id": "sla_config_ids",
    "agent_config_id": "agent_config_ids",
}
"""What the mutations call the tags."""


def without_id(tags: Mapping[str, Sequence[str]], tag: str, gone: str) -> JsonObject | None:
    """The tags without something that was deleted; None when nothing of its kind is left, which must not mean "any"."""
    left = [each for each in tags.get(tag, ()) if each != gone]
    return {**tags, tag: left} if left else None


def fault_of_conditions(given: JsonObject | None) -> str | None:
    """What is wrong with a hook's conditions, as a sentence, or None."""
    for name, value in (given or {}).items():
        path = f"conditions.{name}"
        if name not in _CONDITIONS:
            return f"{path}: there is no such condition, only {', '.join(_CONDITIONS)}"
        if (wrong := _fault_of_condition(name, value, given or {})) is not None:
            return wrong
        if (odd := next(faults(value, path), None)) is not None:
            return odd
    if given and "times_per" in given and "times" not in given:
        return "conditions.times_per says how times are counted: give times and within_seconds too"
    return None


def _fault_of_condition(name: str, value: Any, given: JsonObject) -> str | None:
    path, wrong = f"conditions.{name}", None
    match name:
        case "labels" | "projects":
            if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                wrong = "must be a list of texts"
        case "parameters":
            if not isinstance(value, dict):
                wrong = "must be an object: names of parameters with their values"
        case "times_per":
            if value not in _PER:
                wrong = f"must be one of {', '.join(_PER)}"
        case "mute_while_paused":
            if not isinstance(value, bool):
                wrong = "must be true or false"
        case "times" | "within_seconds":
            return fault_of_rate(given, "conditions")
        case _:
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not 0 <= value <= 1e9
            ):
                wrong = "must be a number of seconds"
    return None if wrong is None else f"{path} {wrong}"
