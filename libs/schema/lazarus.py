"""Tables that Lazarus owns: one record per proposal to bring a run back."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import SQLModel

from libs.schema.base import key, timestamptz

SCHEMA = "lazarus"


class Resurrection(SQLModel, table=True):
    """A proposal made to `runs` for the run as it was at `version`.

    UNIQUE(flow_run_id, version): two Lazaruses ticking at once propose a run once. `outcome` is the proposal, `revive`
    or `give_up`; whether it was applied is in the ledger.
    """

    __tablename__ = "resurrection"
    __table_args__ = (
        UniqueConstraint("flow_run_id", "version"),
        Index("resurrection_tenant_proposed_idx", "tenant_id", text("proposed DESC")),
        {"schema": SCHEMA},
    )

    id: UUID = key()
    tenant_id: UUID
    flow_run_id: UUID
    version: int
    attempt: int
    outcome: str
    proposed: datetime = timestamptz()
