"""More tables of `runs`: concurrency limits, and their taken slots."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    UniqueConstraint,
)
from sqlmodel import SQLModel

from libs.schema.base import Shown, ShownTable, timestamptz
from libs.schema.runs import SCHEMA


class FlowConcurrencyLimit(ShownTable, table=True):
    """How many runs with this label may be active at once (Cloud's `flow_concurrency_limit`)."""

    __tablename__ = "flow_concurrency_limit"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name"),
        CheckConstraint('"limit" >= 0', name="not_negative"),
        {"schema": SCHEMA},
    )

    tenant_id: Shown[UUID]
    name: Shown[str]
    limit: Shown[int]


class TaskTagLimit(ShownTable, table=True):
    """How many task runs with this tag may be Running at once (Cloud's `task_tag_limit`)."""

    __tablename__ = "task_tag_limit"
    __table_args__ = (
        UniqueConstraint("tenant_id", "tag"),
        CheckConstraint('"limit" >= 0', name="not_negative"),
        {"schema": SCHEMA},
    )

    tenant_id: Shown[UUID]
    tag: Shown[str]
    limit: Shown[int]


class ConcurrencySlot(SQLModel, table=True):
    """One slot of a limit, occupied by a run: a flow run under a `flow_concurrency_limit`, or a task run under a
    `task_tag_limit`.

    The row exists exactly as long as the run is live: it is written in the transaction that starts the run and deleted
    in the one that ends it. For a flow run, `flow_run_id` is `run_id`. The limit is in one of two tables, so there is
    no foreign key.
    """

    __tablename__ = "concurrency_slot"
    __table_args__ = (
        PrimaryKeyConstraint("limit_id", "run_id"),
        ForeignKeyConstraint(["flow_run_id"], ["runs.flow_run.id"], ondelete="CASCADE"),
        Index(None, "run_id"),
        Index(None, "flow_run_id"),
        {"schema": SCHEMA},
    )

    limit_id: UUID
    run_id: UUID
    flow_run_id: UUID
    tenant_id: UUID
    taken: datetime = timestamptz()
