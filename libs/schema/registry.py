"""Tables that the registry owns: projects, flow groups, flows (versions), tasks, edges."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, INTERVAL
from sqlmodel import Field, SQLModel

from libs.schema.base import (
    Shown,
    ShownTable,
    document,
    flag,
    key,
    maybe_document,
    maybe_timestamptz,
    number,
    timestamptz,
)
from libs.schema.outbox import outbox_table

SCHEMA = "registry"


class Project(ShownTable, table=True):
    """A folder of flows; its name is unique in the tenant."""

    __tablename__ = "project"
    __table_args__ = (UniqueConstraint("tenant_id", "name"), {"schema": SCHEMA})

    tenant_id: Shown[UUID]
    name: Shown[str]
    description: Shown[str | None] = None


class FlowGroup(ShownTable, table=True):
    """All versions of one flow, and the settings that override them.

    `name` is the version group id. UNIQUE(tenant_id, name) is what serialises concurrent registrations of the
    same flow: the peer has no such constraint and makes duplicate groups.
    """

    __tablename__ = "flow_group"
    __table_args__ = (UniqueConstraint("tenant_id", "name"), {"schema": SCHEMA})

    tenant_id: Shown[UUID]
    name: Shown[str]
    description: Shown[str | None] = None
    labels: Shown[list[str] | None] = maybe_document()
    schedule: Shown[dict[str, Any] | None] = maybe_document()
    settings: Shown[dict[str, Any]] = document("{}")
    default_parameters: Shown[dict[str, Any]] = document("{}")
    run_config: Shown[dict[str, Any] | None] = maybe_document()
    heartbeats_since: datetime | None = maybe_timestamptz()
    """When heartbeats were last switched on; null if they were never off. A run that began before sends no pings."""
    last_version: int = number(0)
    """The highest version ever given out, so that deleted versions do not free their numbers."""


class Flow(ShownTable, table=True):
    """One version of a flow. `settings` mirrors the group's, because clients read it here.

    Every row is a complete flow: one that comes in pieces is a `FlowDraft` until its last piece.
    """

    __tablename__ = "flow"
    __table_args__ = (
        ForeignKeyConstraint(["project_id"], ["registry.project.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["flow_group_id"], ["registry.flow_group.id"], ondelete="CASCADE"),
        UniqueConstraint("flow_group_id", "version"),
        Index("flow_project_name_idx", "project_id", "name", text("created DESC")),
        Index(None, "tenant_id", "name"),
        Index(None, "tenant_id", "version_group_id"),
        Index(
            "flow_active_schedule_idx", "id",
            postgresql_where=text("is_schedule_active AND NOT archived"),
        ),
        # One or two of a group's versions, however many there were: the ones that a registration archives.
        Index("flow_unarchived_idx", "flow_group_id", postgresql_where=text("NOT archived")),
        {"schema": SCHEMA},
    )  # fmt: skip

    tenant_id: Shown[UUID]
    project_id: Shown[UUID]
    flow_group_id: Shown[UUID]
    name: Shown[str]
    version: Shown[int]
    version_group_id: Shown[str]
    description: Shown[str | None] = None
    environment: Shown[dict[str, Any] | None] = maybe_document()
    run_config: Shown[dict[str, Any] | None] = maybe_document()
    storage: Shown[dict[str, Any] | None] = maybe_document()
    parameters: Shown[list[dict[str, Any]]] = document("[]")
    core_version: Shown[str | None] = None
    settings: Shown[dict[str, Any]] = document("{}")
    serialized_flow: Shown[dict[str, Any] | None] = maybe_document()
    schedule: Shown[dict[str, Any] | None] = maybe_document()
    is_schedule_active: Shown[bool] = flag(default=False)
    archived: Shown[bool] = flag(default=False)
    archived_at: Shown[datetime | None] = maybe_timestamptz()
    created_by: Shown[UUID | None] = None


class Task(ShownTable, table=True):
    """One task of one flow version; its slug is unique in the flow."""

    __tablename__ = "task"
    __table_args__ = (
        ForeignKeyConstraint(["flow_id"], ["registry.flow.id"], ondelete="CASCADE"),
        UniqueConstraint("flow_id", "slug"),
        {"schema": SCHEMA},
    )

    tenant_id: Shown[UUID]
    flow_id: Shown[UUID]
    name: Shown[str | None] = None
    slug: Shown[str]
    description: Shown[str | None] = None
    type: Shown[str | None] = None
    max_retries: Shown[int] = number(0)
    retry_delay: Shown[timedelta | None] = Field(default=None, sa_type=INTERVAL())
    trigger: Shown[str | None] = None
    mapped: Shown[bool] = flag(default=False)
    auto_generated: Shown[bool] = flag(default=False)
    cache_key: Shown[str | None] = None
    is_root_task: Shown[bool] = flag(default=False)
    is_terminal_task: Shown[bool] = flag(default=False)
    is_reference_task: Shown[bool] = flag(default=False)
    tags: Shown[list[str]] = document("[]")


class Edge(ShownTable, table=True):
    """One edge. Its key is part of its identity: f(x, x) has two edges."""

    __tablename__ = "edge"
    __table_args__ = (
        ForeignKeyConstraint(["flow_id"], ["registry.flow.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["upstream_task_id"], ["registry.task.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["downstream_task_id"], ["registry.task.id"], ondelete="CASCADE"),
        Index(
            "edge_identity_key", "flow_id", "downstream_task_id", "upstream_task_id",
            text("coalesce(key, '')"), unique=True,
        ),
        Index(None, "upstream_task_id"),
        Index(None, "downstream_task_id"),
        {"schema": SCHEMA},
    )  # fmt: skip

    tenant_id: Shown[UUID]
    flow_id: Shown[UUID]
    upstream_task_id: Shown[UUID]
    downstream_task_id: Shown[UUID]
    key: Shown[str | None] = None
    mapped: Shown[bool] = flag(default=False)


class FlowPiece(SQLModel, table=True):
    """Tasks or edges (`field`) added to a whole flow: stored as rows, not joined to its document yet.

    Joining costs time in proportion to the whole document, so large flows join after their last piece. `documents` is
    JSON text, separated by commas, without the brackets.
    """

    __tablename__ = "flow_piece"
    __table_args__ = (
        ForeignKeyConstraint(["flow_id"], ["registry.flow.id"], ondelete="CASCADE"),
        Index(None, "flow_id"),
        {"schema": SCHEMA},
    )

    id: UUID = key()
    tenant_id: UUID
    flow_id: UUID
    field: str
    documents: str
    created: datetime = timestamptz(default_now=True)


class FlowDraft(SQLModel, table=True):
    """A registration in pieces that is not whole yet. Its id is that of the flow it becomes with its last piece.

    It is not a row of `flow`, so no list, queue, schedule or run can see half a flow. `document` is the serialized flow
    without tasks and edges. `version_group_id` and `idempotency_key` are as the client gave them.
    """

    __tablename__ = "flow_draft"
    __table_args__ = (
        ForeignKeyConstraint(["project_id"], ["registry.project.id"], ondelete="CASCADE"),
        Index(None, "project_id", "name"),
        Index(None, "touched"),
        {"schema": SCHEMA},
    )

    id: UUID = key()
    tenant_id: UUID
    project_id: UUID
    name: str
    version_group_id: str | None = None
    idempotency_key: str | None = None
    description: str | None = None
    created_by: UUID | None = None
    document: dict[str, Any] = document()
    has_all_tasks: bool = flag(default=False)
    has_all_edges: bool = flag(default=False)
    created: datetime = timestamptz(default_now=True)
    touched: datetime = timestamptz(default_now=True)
    """When its newest piece came."""


class FlowDraftPiece(SQLModel, table=True):
    """Tasks or edges (`field`) of a draft; `slugs` are those of the tasks, and none for edges."""

    __tablename__ = "flow_draft_piece"
    __table_args__ = (
        ForeignKeyConstraint(["draft_id"], ["registry.flow_draft.id"], ondelete="CASCADE"),
        Index(None, "draft_id"),
        {"schema": SCHEMA},
    )

    id: UUID = key()
    tenant_id: UUID
    draft_id: UUID
    field: str
    documents: list[dict[str, Any]] = document()
    slugs: list[str] = Field(sa_type=ARRAY(String()), nullable=False)
    created: datetime = timestamptz(default_now=True)


Outbox = outbox_table(SCHEMA)
