"""The variables that templates may name, and what is said when an action has no message of its own."""

from collections.abc import Mapping
from typing import Any

from services.automations.domain.templates import Escape, rendered, unchanged

STATE_CHANGED = "FlowRunStateChangedEvent"
FLOW_SLA_FAILED = "FlowSLAFailedEvent"
AGENT_SLA_FAILED = "AgentSLAFailedEvent"

_ALIASES: dict[str, str] = {
    # another spelling of Cloud's own help and samples, which people copied: the name that the event has
    "event_id": "id",
    "event_type": "event_name",
    "flow_sla_type": "kind",
    "duration": "duration_seconds",
    "agent_ids": "unhealthy_agent_ids",
}

_EVERY = frozenset({"event_name", "message", "tenant_id", "tenant_slug", "timestamp", "id"})
_OF_RUNS = frozenset(
    {
        "flow_id", "flow_name", "flow_group_id", "flow_link", "flow_run_id", "flow_run_name", "state",
        "state_message", "flow_run_link",
    }
)  # fmt: skip
_OF_SLAS = frozenset({"flow_sla_config_id", "kind", "duration_seconds", "work_queue_paused"})
_OF_AGENTS = frozenset(
    {"healthy_agent_ids", "unhealthy_agent_ids", "sla_min_healthy", "agent_config_id"}
)

KNOWN: frozenset[str] = _EVERY | _OF_RUNS | _OF_SLAS | _OF_AGENTS | frozenset(_ALIASES) | {"count"}
"""Every name that a template may use. `count` is the number of events in a digest."""

_DEFAULTS: dict[str, str] = {
    STATE_CHANGED: "Run {flow_run_name} of flow {flow_name} entered state {state} with message {state_message}."
    " See {flow_run_link} for more details.",
    FLOW_SLA_FAILED: "Run {flow_run_name} ({flow_run_id}) of flow {flow_name} failed {kind} SLA"
    " ({flow_sla_config_id}) after {duration_seconds} seconds. See {flow_run_link} for more details.",
    AGENT_SLA_FAILED: "Agents sharing the config {agent_config_id} have failed the minimum healthy count of"
    " {sla_min_healthy}. The following agents are unhealthy: {agent_ids}",
}


def values_of(event_type: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of an event, with every alias. An event's own `message` stays, whatever an action says."""
    values: dict[str, Any] = {"event_name": event_type, **event}
    for alias, name in _ALIASES.items():
        if name in values:
            values.setdefault(alias, values[name])
    if not values.get("message"):
        values["message"] = rendered(_DEFAULTS.get(event_type, "{event_name}"), values)
    return values


def message_of(
    custom: str | None,
    event_type: str,
    values: Mapping[str, Any],
    *,
    escape: Escape = unchanged,
    limit: int,
) -> str:
    """What is said of an event: the action's own message, or the event's, or the default one of its kind.

    `limit` is in bytes of JSON, for what the receiver accepts. Values are escaped, the template is not.
    """
    # A digest is about many runs: the text for one would be false, unless it counts.
    if custom and custom.strip() and (not values.get("is_digest") or "{count}" in custom):
        return rendered(custom, values, escape=escape, limit=limit)
    template = _DEFAULTS.get(event_type)
    if template is None or values.get("count") or values.get("work_queue_paused"):
        template = "{message}"
    return rendered(template, values, escape=escape, limit=limit)
