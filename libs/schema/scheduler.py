"""Tables that the scheduler owns: one row per flow that has (or inherits) a schedule."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from libs.schema.base import document, flag, key, maybe_timestamptz, timestamptz

SCHEMA = "scheduler"


class Schedule(SQLModel, table=True):
    """The scheduler's state for the schedule of one flow version.

    `active` at the time of reading: the registry's flag is on, the flow is not archived, and there is a schedule.
    `fingerprint` is a digest of the schedule as read from the registry, `inputs` of the other inputs of its runs (the
    group's defaults, labels and run config). When one differs the row is stale, and the planned runs are sent to `runs`
    again. `next_due` is the time of the next evaluation; `horizon` the newest instant sent to `runs`.
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
    """The planned keys that were sent to `runs`: [start, hash, time of the last sending], ISO times in UTC."""
    checksum: int = Field(
        sa_type=BigInteger, nullable=False, sa_column_kwargs={"server_default": text("0")}
    )
    """Digest of the keys in `planned`, for the comparison with the ledger."""
    inputs: str = Field(nullable=False, sa_column_kwargs={"server_default": ""})
    required: list[str] = document("[]")
    """Parameters that every clock must give, because neither the flow nor its group has a value for them."""
    cleared: datetime | None = maybe_timestamptz()
    """When `runs` was last asked to clear runs that are not planned any more."""
    reason: str | None = None
    """Why fewer runs are made than the schedule says: `parameters_missing: x, y`, or `schedule_unreadable: ...`."""
