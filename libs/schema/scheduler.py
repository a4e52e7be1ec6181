"""Tables that the scheduler owns: one row per flow that has (or inherits) a schedule."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import SQLModel

from libs.schema.base import document, flag, key, maybe_moment, moment

SCHEMA = "scheduler"


class Schedule(SQLModel, table=True):
    """What the scheduler knows of one flow version's schedule.

    `active` is the truth of a moment: registry's flag, and not archived, and a schedule to follow.
    `fingerprint` is a digest of (schedule, active) as read from the registry: when it differs the row is stale and
    pending runs are made anew. `next_due` is when the horizon must be looked at again; `horizon` the newest instant
    handed to `runs`.
    """

    __tablename__ = "schedule"
    __table_args__ = (
        Index("schedule_due_idx", "next_due", postgresql_where=text("active")),
        Index(None, "flow_group_id"),
        {"schema": SCHEMA},
    )

    flow_id: UUID = key()
    tenant_id: UUID
    flow_group_id: UUID
    clocks: dict[str, Any] = document()
    active: bool = flag(default=False)
    fingerprint: str
    next_due: datetime | None = maybe_moment()
    horizon: datetime | None = maybe_moment()
    updated: datetime = moment(default_now=True)
