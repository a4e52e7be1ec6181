"""Tables that the heartbeat service owns: when each live run was last seen."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from libs.schema.base import key, timestamptz
from libs.schema.outbox import outbox_table

SCHEMA = "heartbeat"


class LastSeen(SQLModel, table=True):
    """The newest sign of life of one flow run: coarse while it pings, exact once it stops. Updated in place."""

    __tablename__ = "last_seen"
    __table_args__ = ({"schema": SCHEMA, "postgresql_with": {"fillfactor": "50"}},)

    flow_run_id: UUID = key()
    tenant_id: UUID
    at: datetime = timestamptz()


class TaskLastSeen(SQLModel, table=True):
    """The newest heartbeat of one task run (Core <= 0.15.3 sends them); shown, never judged."""

    __tablename__ = "task_last_seen"
    __table_args__ = ({"schema": SCHEMA, "postgresql_with": {"fillfactor": "50"}},)

    task_run_id: UUID = key()
    tenant_id: UUID
    at: datetime = timestamptz()


class ZombieRecord(SQLModel, table=True):
    """One emitted zombie event, so that a second replica does not emit another (unique per run and version)."""

    __tablename__ = "zombie"
    __table_args__ = (Index(None, "detected"), {"schema": SCHEMA})

    flow_run_id: UUID = key()
    version: int
    tenant_id: UUID
    last_seen: datetime = timestamptz()
    detected: datetime = timestamptz()


class Watch(SQLModel, table=True):
    """Since when pings have been heard without a gap, by any replica. One row, `id` 1.

    Silence is judged only over a time in which we were listening: read this row before judging.
    """

    __tablename__ = "watch"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"), {"schema": SCHEMA})

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    since: datetime = timestamptz()
    at: datetime = timestamptz()


Outbox = outbox_table(SCHEMA)
