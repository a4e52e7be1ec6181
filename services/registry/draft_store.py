"""The SQL of registrations in pieces. As in `store`, nothing here commits, and every statement names the tenant."""

from collections.abc import Collection
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from libs.runtime.database import Connection, statement
from services.registry.domain.drafts import Draft
from services.registry.domain.flows import NewFlow, Pieces
from services.registry.domain.registration import Entry

_sql = partial(statement, __file__)


async def insert_draft(
    connection: Connection, tenant_id: UUID, draft_id: UUID, entry: Entry, flow: NewFlow
) -> None:
    """Store the part before the pieces."""
    await connection.execute(
        "INSERT INTO registry.flow_draft (id, tenant_id, project_id, name, version_group_id, idempotency_key, "
        "description, created_by, document, created, touched) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, CAST($9 AS text)::jsonb, clock_timestamp(), clock_timestamp())",
        draft_id,
        tenant_id,
        entry.project_id,
        entry.name,
        entry.version_group_id,
        entry.idempotency_key,
        entry.description,
        entry.created_by,
        flow.document,
    )


async def same_draft(
    connection: Connection,
    tenant_id: UUID,
    entry: Entry,
    flow: NewFlow,
    *,
    touched_within: timedelta,
) -> UUID | None:
    """The draft with the same document and key, if its pieces are still being sent."""
    found: UUID | None = await connection.fetchval(
        _sql("same_draft"),
        tenant_id,
        entry.project_id,
        entry.name,
        entry.version_group_id,
        entry.idempotency_key,
        flow.document,
        touched_within,
    )
    return found


async def project_of(connection: Connection, tenant_id: UUID, draft_id: UUID) -> UUID | None:
    """The project that a draft is for; None for an unknown draft."""
    found: UUID | None = await connection.fetchval(
        "SELECT project_id FROM registry.flow_draft WHERE id = $1 AND tenant_id = $2",
        draft_id,
        tenant_id,
    )
    return found


async def has_draft(connection: Connection, tenant_id: UUID, draft_id: UUID) -> bool:
    """Whether the draft exists."""
    return await project_of(connection, tenant_id, draft_id) is not None


async def hold_draft(connection: Connection, tenant_id: UUID, draft_id: UUID) -> Draft | None:
    """Lock a draft for its next piece; None for an unknown one. The caller holds its project."""
    row = await connection.fetchrow(
        f"SELECT {', '.join(Draft.__dataclass_fields__)} FROM registry.flow_draft "
        "WHERE id = $1 AND tenant_id = $2 FOR UPDATE",
        draft_id,
        tenant_id,
    )
    return Draft(**row) if row else None


async def known_slugs(
    connection: Connection, tenant_id: UUID, draft_id: UUID, slugs: Collection[str]
) -> set[str]:
    """Those of the slugs that are tasks of the draft."""
    rows = await connection.fetch(
        "SELECT DISTINCT slug FROM registry.flow_draft_piece p CROSS JOIN LATERAL unnest(p.slugs) AS slug "
        "WHERE p.draft_id = $1 AND p.tenant_id = $2 AND slug = ANY ($3::varchar[])",
        draft_id,
        tenant_id,
        list(slugs),
    )
    return {row["slug"] for row in rows}


async def add_piece(
    connection: Connection,
    tenant_id: UUID,
    draft_id: UUID,
    *,
    piece_id: UUID,
    field: str,
    pieces: Pieces,
) -> None:
    """Store tasks or edges (`field`) until the flow is complete; the caller holds the draft's lock."""
    if pieces.parts:
        await connection.execute(
            "INSERT INTO registry.flow_draft_piece (id, tenant_id, draft_id, field, documents, slugs, created) "
            "VALUES ($1, $2, $3, $4, CAST($5 AS text)::jsonb, $6, clock_timestamp())",
            piece_id,
            tenant_id,
            draft_id,
            field,
            f"[{','.join(pieces.documents)}]",
            [task.slug for task in pieces.parts] if field == "tasks" else [],
        )
    await connection.execute(
        "UPDATE registry.flow_draft SET touched = clock_timestamp(), "
        "has_all_tasks = has_all_tasks OR $3, has_all_edges = has_all_edges OR $4 "
        "WHERE id = $1 AND tenant_id = $2",
        draft_id,
        tenant_id,
        field == "tasks" and pieces.is_last,
        field == "edges" and pieces.is_last,
    )


async def parts_of(
    connection: Connection, tenant_id: UUID, draft_id: UUID
) -> dict[str, list[dict[str, Any]]]:
    """The tasks and edges stored so far, in their order; the caller holds the draft's lock."""
    rows = await connection.fetch(
        "SELECT field, documents FROM registry.flow_draft_piece WHERE draft_id = $1 AND tenant_id = $2 "
        "ORDER BY created, id",
        draft_id,
        tenant_id,
    )
    parts: dict[str, list[dict[str, Any]]] = {"tasks": [], "edges": []}
    for row in rows:
        parts[row["field"]] += row["documents"]
    return parts


async def delete_draft(connection: Connection, tenant_id: UUID, draft_id: UUID) -> bool:
    """Delete a draft with its pieces; False for an unknown one."""
    return bool(
        await connection.fetchval(
            "DELETE FROM registry.flow_draft WHERE id = $1 AND tenant_id = $2 RETURNING true",
            draft_id,
            tenant_id,
        )
    )


async def collect_drafts(
    connection: Connection, *, untouched_for: timedelta, limit: int
) -> list[tuple[UUID, UUID, str]]:
    """Delete drafts that get no more pieces; returns tenant, id and name of each."""
    rows = await connection.fetch(_sql("collect_drafts"), untouched_for, limit)
    return [(row["tenant_id"], row["id"], row["name"]) for row in rows]
