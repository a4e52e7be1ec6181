"""The SQL for starting and pausing schedules. As in `store`, nothing here commits, and every statement names the
tenant."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from libs.contracts.base import JsonObject
from libs.runtime.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedulable:
    """The facts that decide whether a flow's schedule may be started; the row is locked."""

    flow_group_id: UUID
    title: str
    archived: bool
    is_active: bool
    schedule: Mapping[str, Any] | None
    required_parameters: frozenset[str]
    group_schedule: JsonObject | None
    default_parameters: JsonObject

    @property
    def has_schedule(self) -> bool:
        """Whether it or its group has a schedule, possibly an empty one."""
        return bool(self.group_schedule or self.schedule)


async def hold_group_of(connection: Connection, tenant_id: UUID, flow_id: UUID) -> None:
    """Lock the flow's group against changes until the transaction ends.

    Called before the flow itself is locked, in the order of registrations.
    """
    await connection.execute(
        "SELECT FROM registry.flow_group WHERE tenant_id = $2 AND id = "
        "(SELECT flow_group_id FROM registry.flow WHERE id = $1 AND tenant_id = $2) FOR SHARE",
        flow_id,
        tenant_id,
    )


async def hold_schedule(
    connection: Connection, tenant_id: UUID, flow_id: UUID
) -> Schedulable | None:
    """The facts about a flow's schedule; None for an unknown flow."""
    row = await connection.fetchrow(
        f"SELECT {_SCHEDULABLE} FROM registry.flow f JOIN registry.flow_group g ON g.id = f.flow_group_id "
        "WHERE f.id = $1 AND f.tenant_id = $2 AND g.tenant_id = $2 FOR NO KEY UPDATE OF f",
        flow_id,
        tenant_id,
    )
    return _schedulable(row) if row else None


async def followed_of(
    connection: Connection, tenant_id: UUID, flow_group_id: UUID
) -> list[Schedulable]:
    """The versions of a group whose schedules are followed, newest first. Locks the group, not the versions."""
    await connection.execute(
        "SELECT FROM registry.flow_group WHERE id = $1 AND tenant_id = $2 FOR NO KEY UPDATE",
        flow_group_id,
        tenant_id,
    )
    rows = await connection.fetch(
        f"SELECT {_SCHEDULABLE} FROM registry.flow f JOIN registry.flow_group g ON g.id = f.flow_group_id "
        "WHERE f.flow_group_id = $1 AND f.tenant_id = $2 AND NOT f.archived AND f.is_schedule_active "
        "ORDER BY f.version DESC",
        flow_group_id,
        tenant_id,
    )
    return [_schedulable(row) for row in rows]


_SCHEDULABLE = (
    "f.flow_group_id, f.name, f.version, f.archived, f.is_schedule_active, f.schedule, f.parameters, "
    "g.schedule AS group_schedule, g.default_parameters"
)


def _schedulable(row: asyncpg.Record) -> Schedulable:
    return Schedulable(
        flow_group_id=row["flow_group_id"],
        title=f"{row['name']} version {row['version']}",
        archived=row["archived"],
        is_active=row["is_schedule_active"],
        schedule=row["schedule"],
        required_parameters=frozenset(
            p.get("name") or p["slug"] for p in row["parameters"] if p.get("required")
        ),
        group_schedule=row["group_schedule"],
        default_parameters=row["default_parameters"],
    )


async def set_schedule_active(
    connection: Connection, tenant_id: UUID, flow_id: UUID, *, active: bool
) -> None:
    """Start or pause the schedule; the caller holds the flow's lock."""
    await connection.execute(
        "UPDATE registry.flow SET is_schedule_active = $3, updated = clock_timestamp() "
        "WHERE id = $1 AND tenant_id = $2",
        flow_id,
        tenant_id,
        active,
    )
