"""Actions, and deliveries that are owed for them, as rows."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from libs.runtime.ids import new_id

EVENT: Mapping[str, Any] = {
    "event_name": "FlowRunStateChangedEvent",
    "timestamp": "2026-11-30T12:00:00+00:00",
    "tenant_slug": "acme",
    "flow_name": "etl",
    "flow_run_name": "brave-fox",
    "flow_run_link": "https://hw/acme/flow-run/r1",
    "state": "Failed",
    "state_message": "boom",
}


async def a_tenant(pool: "asyncpg.Pool[asyncpg.Record]") -> UUID:
    """A tenant of its own."""
    tenant_id = new_id()
    await pool.execute(
        "INSERT INTO gateway.tenant (id, name, slug) VALUES ($1, 'acme', $2)",
        tenant_id,
        f"acme-{tenant_id}",
    )
    return tenant_id


async def an_action(
    pool: "asyncpg.Pool[asyncpg.Record]",
    tenant_id: UUID,
    config: Mapping[str, Any],
    *,
    kind: str = "WebhookAction",
) -> UUID:
    """An action."""
    action_id = new_id()
    await pool.execute(
        "INSERT INTO automations.action (id, tenant_id, action_type, action_config) VALUES ($1, $2, $3, $4)",
        action_id,
        tenant_id,
        kind,
        dict(config),
    )
    return action_id


async def owe(
    pool: "asyncpg.Pool[asyncpg.Record]",
    tenant_id: UUID,
    *,
    action_id: UUID | None = None,
    cloud_hook_id: UUID | None = None,
    due: datetime | None = None,
    event: Mapping[str, Any] = EVENT,
) -> UUID:
    """A delivery that is due, its key is `key-<id>`."""
    delivery_id, event_id = new_id(), new_id()
    await pool.execute(
        "INSERT INTO automations.delivery"
        " (id, tenant_id, action_id, cloud_hook_id, event_id, event_type, event, dedup, due, created)"
        " VALUES ($1, $2, $3, $4, $5, 'FlowRunStateChangedEvent', $6, $7,"
        " coalesce($8, now()), coalesce($8, now()))",
        delivery_id,
        tenant_id,
        action_id,
        cloud_hook_id,
        event_id,
        {**event, "id": str(event_id), "tenant_id": str(tenant_id)},
        f"key-{delivery_id}",
        due,
    )
    return delivery_id
