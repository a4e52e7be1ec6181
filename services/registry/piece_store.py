"""The SQL of registration in pieces: a flow's row is locked for each piece, which is joined to the document later."""

import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from libs.runtime.database import Connection, statement

_sql = partial(statement, __file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFlow:
    """A flow that gets a piece, with its row locked. `reference_tasks` are slugs."""

    flow_group_id: UUID
    reference_tasks: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTask:
    """A stored task, with the flags that follow from the stored edges."""

    id: UUID
    has_upstream: bool
    has_downstream: bool


async def hold_flow(connection: Connection, tenant_id: UUID, flow_id: UUID) -> LockedFlow | None:
    """Lock a flow for its next piece; None for an unknown flow."""
    row = await connection.fetchrow(
        "SELECT flow_group_id, nullif(serialized_flow -> 'reference_tasks', 'null') AS given "
        "FROM registry.flow WHERE id = $1 AND tenant_id = $2 FOR NO KEY UPDATE",
        flow_id,
        tenant_id,
    )
    if row is None:
        return None
    return LockedFlow(
        flow_group_id=row["flow_group_id"],
        reference_tasks=[
            task["slug"] if isinstance(task, dict) else task for task in row["given"] or ()
        ],
    )


async def tasks_named(
    connection: Connection, tenant_id: UUID, flow_id: UUID, slugs: Collection[str]
) -> dict[str, StoredTask]:
    """Those of the flow's tasks that have these slugs."""
    rows = await connection.fetch(
        "SELECT slug, id, NOT is_root_task AS has_upstream, NOT is_terminal_task AS has_downstream "
        "FROM registry.task WHERE flow_id = $1 AND tenant_id = $2 AND slug = ANY ($3)",
        flow_id,
        tenant_id,
        list(slugs),
    )
    return {
        row["slug"]: StoredTask(
            id=row["id"], has_upstream=row["has_upstream"], has_downstream=row["has_downstream"]
        )
        for row in rows
    }


async def slugs_of(
    connection: Connection, tenant_id: UUID, flow_id: UUID, task_ids: Collection[UUID]
) -> dict[UUID, str]:
    """The slugs of these tasks of the flow."""
    rows = await connection.fetch(
        "SELECT id, slug FROM registry.task WHERE flow_id = $1 AND tenant_id = $2 AND id = ANY ($3)",
        flow_id,
        tenant_id,
        list(task_ids),
    )
    return {row["id"]: row["slug"] for row in rows}


async def edges_of(
    connection: Connection, tenant_id: UUID, flow_id: UUID
) -> list[tuple[bytes, bytes]]:
    """The flow's edges, as the bytes of their upstream and downstream tasks' ids.

    As one value: with every piece, a record with two ids for each of 20,000 edges would cost ten times as much.
    """
    packed: bytes = await connection.fetchval(
        "SELECT coalesce(string_agg(uuid_send(upstream_task_id) || uuid_send(downstream_task_id), ''), '') "
        "FROM registry.edge WHERE flow_id = $1 AND tenant_id = $2",
        flow_id,
        tenant_id,
    )
    return [*struct.iter_unpack("16s16s", packed)]


async def update_task_flags(
    connection: Connection,
    tenant_id: UUID,
    flow_id: UUID,
    *,
    new_edges: Collection[UUID],
    has_reference_tasks: bool,
) -> None:
    """Bring the flags of the tasks at these edges up to date."""
    await connection.execute(
        _sql("update_task_flags"), tenant_id, flow_id, list(new_edges), has_reference_tasks
    )


async def keep_piece(
    connection: Connection,
    tenant_id: UUID,
    flow_id: UUID,
    *,
    piece_id: UUID,
    field: str,
    documents: Sequence[str],
) -> None:
    """Store JSON texts that will be joined to the flow's document."""
    if documents:
        await connection.execute(
            "INSERT INTO registry.flow_piece (id, tenant_id, flow_id, field, documents, created) "
            "VALUES ($1, $2, $3, $4, $5, clock_timestamp())",
            piece_id,
            tenant_id,
            flow_id,
            field,
            ",".join(documents),
        )


async def join_pieces(connection: Connection, tenant_id: UUID, flow_id: UUID) -> bool:
    """Join the waiting pieces to the flow's document; the caller holds the flow's lock. False when there were none."""
    done: str = await connection.execute(_sql("join_pieces"), flow_id, tenant_id)
    return not done.endswith(" 0")


async def flows_with_old_pieces(
    connection: Connection, *, older_than: timedelta, limit: int
) -> list[tuple[UUID, UUID]]:
    """Tenant and id of flows whose newest piece is older than this, by the database's clock."""
    rows = await connection.fetch(
        "SELECT tenant_id, flow_id FROM registry.flow_piece GROUP BY tenant_id, flow_id "
        "HAVING max(created) < clock_timestamp() - $1::interval LIMIT $2",
        older_than,
        limit,
    )
    return [(row["tenant_id"], row["flow_id"]) for row in rows]
