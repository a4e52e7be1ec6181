"""The SQL that changes rules: actions, hooks, SLAs. Each change adds 1 to the version of the tenant's rules.

Functions take a connection inside its transaction; none commits.
"""

import base64
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.contracts.automations import CreateAction, CreateFlowGroupSla, CreateFlowSlaConfig
from libs.contracts.base import JsonObject
from libs.runtime.database import Connection, statement
from services.automations.domain.actions import NewAction
from services.automations.domain.hooks import without_id

ORPHAN_AFTER = "1 hour"
"""An SLA config that no hook names is deleted after this time: the web UI makes the config before its hook."""


async def change_rules(connection: Connection, tenant_id: UUID) -> bool:
    """Note that the tenant's rules change, and wait for others who change them; False when the tenant is gone."""
    # What is written after all while the tenant is being deleted goes with its other rows, a little later.
    noted = await connection.fetchval(
        "INSERT INTO automations.ruleset AS r (tenant_id, version)"
        " SELECT t.id, 1 FROM gateway.tenant t WHERE t.id = $1"
        " ON CONFLICT (tenant_id) DO UPDATE SET version = r.version + 1 RETURNING version",
        tenant_id,
    )
    return noted is not None


# actions


async def insert_action(
    connection: Connection, command: CreateAction, action: NewAction, *, at: datetime
) -> None:
    """Store an action."""
    await connection.execute(
        "INSERT INTO automations.action"
        " (id, created, updated, tenant_id, name, action_type, action_config, sealed, created_by)"
        " VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING",
        command.action_id,
        at,
        command.tenant_id,
        command.name,
        action.action_type.value,
        action.config,
        None if command.sealed is None else base64.b64decode(command.sealed),
        command.created_by,
    )


async def delete_action(connection: Connection, tenant_id: UUID, action_id: UUID) -> bool:
    """Delete an action with its hooks, and switch off what it still owes; False for an unknown one."""
    tag = await connection.execute(
        "DELETE FROM automations.action WHERE id = $1 AND tenant_id = $2", action_id, tenant_id
    )
    if tag == "DELETE 0":
        return False
    await connection.execute(
        "UPDATE automations.delivery SET status = 'switched_off', finished = now(),"
        " last_error = 'The action was deleted before it was done.'"
        " WHERE action_id = $1 AND tenant_id = $2 AND status = 'pending'",
        action_id,
        tenant_id,
    )
    return True


async def type_of_action(connection: Connection, tenant_id: UUID, action_id: UUID) -> str | None:
    """What it does; None where the tenant has no such action. It stays until the end of the transaction."""
    found: str | None = await connection.fetchval(
        "SELECT action_type FROM automations.action WHERE id = $1 AND tenant_id = $2 FOR KEY SHARE",
        action_id,
        tenant_id,
    )
    return found


async def type_of_hooks_action(
    connection: Connection, tenant_id: UUID, hook_id: UUID
) -> str | None:
    """What the action of a hook does; None for an unknown hook."""
    found: str | None = await connection.fetchval(
        "SELECT a.action_type FROM automations.hook h JOIN automations.action a ON a.id = h.action_id"
        " WHERE h.id = $1 AND h.tenant_id = $2",
        hook_id,
        tenant_id,
    )
    return found


# hooks


async def count_hooks(connection: Connection, tenant_id: UUID) -> int:
    """How many hooks the tenant has; exact after `change_rules`."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM automations.hook WHERE tenant_id = $1", tenant_id
    )
    return count


async def unknown_ids(
    connection: Connection, tenant_id: UUID, tag: str, ids: Collection[UUID]
) -> list[UUID]:
    """Those of the ids that name nothing of this tenant."""
    rows = await connection.fetch(
        f"SELECT w.id FROM unnest($2::uuid[]) w (id) WHERE NOT EXISTS"
        f" (SELECT FROM {_TABLES[tag]} t WHERE t.id = w.id AND t.tenant_id = $1)",
        tenant_id,
        list(ids),
    )
    return [row["id"] for row in rows]


_TABLES = {
    "flow_group_id": "registry.flow_group",
    "flow_sla_config_id": "automations.flow_sla_config",
    "agent_config_id": "runs.agent_config",
}


async def insert_hook(
    connection: Connection,
    tenant_id: UUID,
    hook_id: UUID,
    *,
    action_id: UUID,
    event_type: str,
    event_tags: JsonObject,
    name: str | None,
    conditions: JsonObject,
    throttle: JsonObject | None,
    created_by: UUID | None,
    at: datetime,
) -> None:
    """Store a hook."""
    await connection.execute(
        "INSERT INTO automations.hook (id, created, updated, tenant_id, name, event_type, event_tags, conditions,"
        " action_id, created_by, throttle) VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        hook_id,
        at,
        tenant_id,
        name,
        event_type,
        event_tags,
        conditions,
        action_id,
        created_by,
        throttle,
    )


async def update_hook(
    connection: Connection,
    tenant_id: UUID,
    hook_id: UUID,
    changes: dict[str, Any],
    *,
    at: datetime,
) -> bool:
    """Set these columns (name, is_active, conditions, throttle); False for an unknown hook."""
    columns = sorted(changes)
    assigned = "".join(f", {column} = ${n}" for n, column in enumerate(columns, start=4))
    tag = await connection.execute(
        f"UPDATE automations.hook SET updated = $3{assigned} WHERE id = $1 AND tenant_id = $2",
        hook_id,
        tenant_id,
        at,
        *(changes[column] for column in columns),
    )
    return tag == "UPDATE 1"


async def delete_hook(connection: Connection, tenant_id: UUID, hook_id: UUID) -> bool:
    """Delete a hook, and the SLA configs that only it named; False for an unknown one."""
    tags: JsonObject | None = await connection.fetchval(
        "DELETE FROM automations.hook WHERE id = $1 AND tenant_id = $2 RETURNING event_tags",
        hook_id,
        tenant_id,
    )
    if tags is None:
        return False
    configs = [UUID(each) for each in tags.get("flow_sla_config_id") or ()]
    if configs:
        await connection.execute(statement(__file__, "delete_unnamed_slas"), tenant_id, configs)
    return True


# SLAs


async def insert_sla_config(
    connection: Connection, command: CreateFlowSlaConfig, config_id: UUID, *, at: datetime
) -> None:
    """Store a promise."""
    await connection.execute(
        "INSERT INTO automations.flow_sla_config (id, created, updated, tenant_id, kind, duration_seconds)"
        " VALUES ($1, $2, $2, $3, $4, $5)",
        config_id,
        at,
        command.tenant_id,
        command.sla_kind.value,
        command.duration_seconds,
    )


async def insert_group_sla(
    connection: Connection, command: CreateFlowGroupSla, link_id: UUID, *, at: datetime
) -> UUID:
    """Let a promise hold for a flow group; the id of the row, also if there was one."""
    found: UUID = await connection.fetchval(
        "INSERT INTO automations.flow_group_sla AS g"
        " (id, created, updated, tenant_id, flow_sla_config_id, flow_group_id) VALUES ($1, $2, $2, $3, $4, $5)"
        " ON CONFLICT (flow_sla_config_id, flow_group_id) DO UPDATE SET updated = g.updated RETURNING id",
        link_id,
        at,
        command.tenant_id,
        command.flow_sla_config_id,
        command.flow_group_id,
    )
    return found


async def collect_slas(connection: Connection) -> None:
    """Delete SLA configs that no hook names, and rows of flow groups that are gone."""
    await connection.execute(
        "DELETE FROM automations.flow_group_sla g"
        " WHERE NOT EXISTS (SELECT FROM registry.flow_group f WHERE f.id = g.flow_group_id)"
    )
    await connection.execute(
        "DELETE FROM automations.flow_sla_config c WHERE c.created < now() - $1::text::interval"
        " AND NOT EXISTS (SELECT FROM automations.hook h"
        " WHERE h.tenant_id = c.tenant_id AND h.event_tags -> 'flow_sla_config_id' ? c.id::text)",
        ORPHAN_AFTER,
    )


# what is gone


async def stale_tags(connection: Connection) -> list[tuple[UUID, str, UUID]]:
    """Tenant, tag and id of what hooks name although it is gone."""
    rows = await connection.fetch(statement(__file__, "stale_tags"))
    return [(row["tenant_id"], row["tag"], row["id"]) for row in rows]


async def prune(connection: Connection, tenant_id: UUID, tag: str, gone: UUID) -> None:
    """Take an id out of the tenant's hooks. A hook with no other goes too: an empty list must not mean "any"."""
    rows = await connection.fetch(
        "SELECT id FROM automations.hook WHERE tenant_id = $1 AND event_tags -> $2 ? $3",
        tenant_id,
        tag,
        str(gone),
    )
    if not rows or not await change_rules(connection, tenant_id):
        return
    for row in rows:
        tags = await connection.fetchval(
            "SELECT event_tags FROM automations.hook WHERE id = $1 AND tenant_id = $2 FOR UPDATE",
            row["id"],
            tenant_id,
        )
        if tags is None:
            continue
        left = without_id(tags, tag, str(gone))
        if left is None:
            await delete_hook(connection, tenant_id, row["id"])
        else:
            await connection.execute(
                "UPDATE automations.hook SET event_tags = $3, updated = now() WHERE id = $1 AND tenant_id = $2",
                row["id"],
                tenant_id,
                left,
            )
