"""Events as templates see them: a flat map of variables. Names and default messages are those of Cloud 1.x."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.contracts.automations import EventType, SlaKind
from libs.contracts.base import JsonObject
from libs.runtime.reported import cut_text

MESSAGE_LIMIT = 10_000
"""Characters of a state's message that go into an event."""

_OF_ALL = (
    "event_name",
    "message",
    "tenant_id",
    "tenant_slug",
    "timestamp",
    "id",
    "event_id",
    "event_type",
    "count",
)
_OF_RUNS = (
    "flow_id", "flow_name", "flow_group_id", "flow_link", "flow_run_id", "flow_run_name", "state", "state_message",
    "flow_run_link", "flow_run_version",
)  # fmt: skip
_OF_SLAS = (
    "flow_sla_config_id",
    "kind",
    "duration_seconds",
    "flow_sla_type",
    "duration",
    "work_queue_paused",
)
_OF_AGENTS = (
    "healthy_agent_ids", "unhealthy_agent_ids", "sla_min_healthy", "agent_config_id", "agent_ids",
)  # fmt: skip

VARIABLES: frozenset[str] = frozenset((*_OF_ALL, *_OF_RUNS, *_OF_SLAS, *_OF_AGENTS))
"""Every name that some event has."""

SLA_MIN_HEALTHY = 1
"""Healthy agents that an agent SLA asks for; Cloud has no input for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What is known of a flow run when something happens to it. `flow_name` is the id where the flow is gone."""

    tenant_id: UUID
    tenant_slug: str
    flow_id: UUID
    flow_name: str
    flow_group_id: UUID | None
    flow_run_id: UUID
    flow_run_name: str
    version: int
    state: str
    state_message: str | None


def id_of_state(flow_run_id: UUID, version: int) -> UUID:
    """The event of a run's version. PostgreSQL computes the same: `md5(<flow run>:<version>)::uuid`."""
    text = f"{flow_run_id}:{version}".encode()
    return UUID(bytes=hashlib.md5(text, usedforsecurity=False).digest())


def dedup_of(addressee: UUID, event_id: UUID) -> str:
    """The key under which an action, or a cloud hook, owes an event once. Also the idempotency key of receivers."""
    return hashlib.sha256(addressee.bytes + event_id.bytes).hexdigest()


def state_changed(event_id: UUID, at: datetime, run: RunFacts, *, public_url: str) -> JsonObject:
    """A run has entered a state."""
    variables = _of_run(EventType.STATE_CHANGED, event_id, at, run, public_url=public_url)
    variables["message"] = (
        f"Run {run.flow_run_name} of flow {run.flow_name} entered state {run.state} with message"
        f" {variables['state_message']}. See {variables['flow_run_link']} for more details."
    )
    return variables


def flow_sla_failed(
    event_id: UUID,
    at: datetime,
    run: RunFacts,
    *,
    config_id: UUID,
    kind: SlaKind,
    duration_seconds: int,
    public_url: str,
    is_paused: bool = False,
) -> JsonObject:
    """A run broke an SLA. `is_paused`: no run is given out just now, which may be why."""
    variables = _of_run(EventType.FLOW_SLA_FAILED, event_id, at, run, public_url=public_url)
    variables |= {
        "flow_sla_config_id": str(config_id),
        "kind": kind,
        "flow_sla_type": kind,
        "duration_seconds": duration_seconds,
        "duration": duration_seconds,
        "work_queue_paused": "paused" if is_paused else "",
        "message": (
            f"Run {run.flow_run_name} ({run.flow_run_id}) of flow {run.flow_name} failed {kind} SLA ({config_id})"
            f" after {duration_seconds} seconds. See {variables['flow_run_link']} for more details."
            + (" The work queue is paused." if is_paused else "")
        ),
    }
    return variables


def agent_sla_failed(
    event_id: UUID,
    at: datetime,
    *,
    tenant_id: UUID,
    tenant_slug: str,
    config_id: UUID,
    healthy: Sequence[UUID],
    unhealthy: Sequence[UUID],
) -> JsonObject:
    """Too few agents of a config ask for work."""
    silent = [str(each) for each in unhealthy]
    return _of_any(EventType.AGENT_SLA_FAILED, event_id, at, tenant_id, tenant_slug) | {
        "healthy_agent_ids": [str(each) for each in healthy],
        "unhealthy_agent_ids": silent,
        "agent_ids": silent,
        "sla_min_healthy": SLA_MIN_HEALTHY,
        "agent_config_id": str(config_id),
        "message": (
            f"Agents sharing the config {config_id} have failed the minimum healthy count of {SLA_MIN_HEALTHY}. The"
            f" following agents are unhealthy: {', '.join(silent)}"
        ),
    }


def _of_any(
    event_type: EventType, event_id: UUID, at: datetime, tenant_id: UUID, tenant_slug: str
) -> JsonObject:
    return {
        "event_name": event_type,
        "event_type": event_type,
        "id": str(event_id),
        "event_id": str(event_id),
        "timestamp": at.isoformat(),
        "tenant_id": str(tenant_id),
        "tenant_slug": tenant_slug,
    }


def _of_run(
    event_type: EventType, event_id: UUID, at: datetime, run: RunFacts, *, public_url: str
) -> JsonObject:
    base = f"{public_url.rstrip('/')}/{run.tenant_slug}"
    return _of_any(event_type, event_id, at, run.tenant_id, run.tenant_slug) | {
        "flow_id": str(run.flow_id),
        "flow_name": run.flow_name,
        "flow_group_id": None if run.flow_group_id is None else str(run.flow_group_id),
        "flow_link": f"{base}/flow/{run.flow_group_id or run.flow_id}",
        "flow_run_id": str(run.flow_run_id),
        "flow_run_name": run.flow_run_name,
        "flow_run_link": f"{base}/flow-run/{run.flow_run_id}",
        "flow_run_version": run.version,
        "state": run.state,
        "state_message": cut_text(run.state_message or "", MESSAGE_LIMIT),
    }
