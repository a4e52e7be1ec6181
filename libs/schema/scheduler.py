"""Tables that the scheduler owns: one row per flow that has (or inherits) a schedule."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from libs.schema.base import document, flag, key, maybe_timestamptz, timestamptz

SCHEMA = "scheduler"


class Schedule(SQLModel, table=True):
    """What the scheduler knows of one flow version's schedule.

    `active` is the truth of a moment: registry's flag, and not archived, and a schedule to follow.
    `fingerprint` is a digest of the schedule as read from the registry, `inputs` of what its runs are made of besides
    (the group's defaults, labels and run config): when one differs the row is stale, and what is ahead is said anew.
    `next_due` is when the schedule is asked again; `horizon` the newest instant handed to `runs`.
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
    next_due: datetime | None = maybe_timestamptz()
    horizon: datetime | None = maybe_timestamptz()
    updated: datetime = timestamptz(default_now=True)
    planned: list[Any] = document("[]")
    """The keys ahead that `runs` was told: [start, hash, when it was said last], ISO times in UTC."""
    checksum: int = Field(
        sa_type=BigInteger, nullable=False, sa_column_kwargs={"server_default": text("0")}
    )
    """Of the keys in `planned`, for the comparison with the ledger."""
    inputs: str = Field(nullable=False, sa_column_kwargs={"server_default": ""})
    required: list[str] = document("[]")
    """Parameters that each clock must give: neither the flow nor its group has a value for them."""
    cleared: datetime | None = maybe_timestamptz()
    """When `runs` was last told to clear what is not ahead."""
    reason: str | None = None
    """Why fewer runs are made than the schedule says: `parameters_missing: x, y`, or `schedule_unreadable: ...`."""
