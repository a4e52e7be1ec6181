"""The contents of a new run: parameters, labels, run config, by the precedence of gateway/reference/runs.md."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from libs.contracts.base import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFacts:
    """A flow version and the settings of its group at the time when a run is made."""

    id: UUID
    tenant_id: UUID
    flow_group_id: UUID
    archived: bool
    is_schedule_active: bool
    parameters: list[JsonObject]
    run_config: JsonObject | None
    environment: JsonObject | None
    group_labels: list[str] | None
    group_run_config: JsonObject | None
    group_default_parameters: JsonObject


def effective_parameters(flow: FlowFacts, given: Mapping[str, Any] | None) -> JsonObject:
    """Flow defaults, then the group's, then the given values. A falsy default is a default too."""
    defaults = {
        str(p["name"]): p.get("default")
        for p in _declared(flow)
        if p.get("default") is not None or not p.get("required")
    }
    return defaults | dict(flow.group_default_parameters or {}) | dict(given or {})


def missing_parameters(flow: FlowFacts, effective: Mapping[str, Any]) -> list[str]:
    """Required parameters without a value, sorted."""
    return sorted(
        str(p["name"]) for p in _declared(flow) if p.get("required") and p["name"] not in effective
    )


def effective_labels(
    flow: FlowFacts, labels: list[str] | None, run_config: JsonObject | None
) -> list[str]:
    """The first level with labels wins, also when its list is empty."""
    levels: Iterable[object] = (
        labels,
        (run_config or {}).get("labels"),
        flow.group_labels,
        (flow.group_run_config or {}).get("labels"),
        (flow.run_config or {}).get("labels"),
        (flow.environment or {}).get("labels"),
    )
    for level in levels:
        if isinstance(level, list):
            return canonical_labels(level)
    return []


def effective_run_config(flow: FlowFacts, given: JsonObject | None) -> JsonObject | None:
    """The run's own, else the group's, else the flow's."""
    if given is not None:
        return given
    return flow.group_run_config if flow.group_run_config is not None else flow.run_config


def canonical_labels(labels: Iterable[object]) -> list[str]:
    """Sorted, without duplicates: equal sets are equal lists, which the queue's index needs."""
    return sorted({str(label) for label in labels})


NAME_LIMIT = 1000
"""Most bytes of a name or a key: fits into an index row, and is far more than people type."""


def unstorable_name(name: str) -> str | None:
    """Why a name or key cannot be stored, to follow the field's name; None when it can."""
    if "\x00" in name:
        return "cannot hold the character U+0000"
    if len(name.encode(errors="replace")) > NAME_LIMIT:
        return f"is longer than {NAME_LIMIT} bytes"
    return None


def _declared(flow: FlowFacts) -> list[JsonObject]:
    return [p for p in flow.parameters or [] if isinstance(p, dict) and "name" in p]
