"""Tables that the automations own: hooks, actions, SLAs with their deadlines, and deliveries with their attempts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    UniqueConstraint,
    text,
)
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

SCHEMA = "automations"


class Ruleset(SQLModel, table=True):
    """The version of a tenant's hooks, actions and SLAs together: each change of one adds 1 in its transaction.

    Replicas keep hooks in memory, and compare this number in the transaction in which they use them. Its row is also
    the lock under which a tenant's hooks are counted.
    """

    __tablename__ = "ruleset"
    __table_args__ = ({"schema": SCHEMA},)

    tenant_id: UUID = key()
    version: int = Field(
        sa_type=BigInteger, nullable=False, sa_column_kwargs={"server_default": text("0")}
    )
    swept: datetime = timestamptz(default_now=True)
    """Until when the ledger's histories were searched for changes whose events were lost."""


class Action(ShownTable, table=True):
    """What is done when a hook fires. `action_config` is the inner object of `create_action`'s config.

    `sealed` holds, sealed, what must never be read back: a URL with a credential in it.
    """

    __tablename__ = "action"
    __table_args__ = (Index(None, "tenant_id"), {"schema": SCHEMA})

    tenant_id: Shown[UUID]
    name: Shown[str | None] = None
    action_type: Shown[str]
    action_config: Shown[dict[str, Any]] = document("{}")
    sealed: bytes | None = None
    created_by: Shown[UUID | None] = None


class Hook(ShownTable, table=True):
    """Which events lead to an action. `event_tags` is an object of arrays: `{"state": ["Failed"], "flow_group_id":
    ["..."]}`; without `flow_group_id` every flow counts.

    `conditions` are empty unless given. `throttle` is `{"times": 5, "within_seconds": 60}`: the rest is one message.
    """

    __tablename__ = "hook"
    __table_args__ = (
        ForeignKeyConstraint(["action_id"], ["automations.action.id"], ondelete="CASCADE"),
        Index(None, "tenant_id"),
        Index(None, "action_id"),
        {"schema": SCHEMA},
    )

    tenant_id: Shown[UUID]
    name: Shown[str | None] = None
    event_type: Shown[str]
    event_tags: Shown[dict[str, Any]] = document("{}")
    conditions: Shown[dict[str, Any]] = document("{}")
    throttle: Shown[dict[str, Any] | None] = maybe_document()
    is_active: Shown[bool] = flag(default=True)
    action_id: Shown[UUID]
    created_by: Shown[UUID | None] = None


class FlowSlaConfig(ShownTable, table=True):
    """A promise about runs: started so many seconds after the scheduled start, or finished so many after the start."""

    __tablename__ = "flow_sla_config"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('SCHEDULED_NOT_STARTED', 'STARTED_NOT_FINISHED')", name="kind_is_known"
        ),
        CheckConstraint("duration_seconds > 0", name="duration_is_positive"),
        Index(None, "tenant_id"),
        {"schema": SCHEMA},
    )

    tenant_id: Shown[UUID]
    kind: Shown[str]
    duration_seconds: Shown[int]


class FlowGroupSla(ShownTable, table=True):
    """A flow group that an SLA holds for. Only deadlines after `created` count."""

    __tablename__ = "flow_group_sla"
    __table_args__ = (
        ForeignKeyConstraint(
            ["flow_sla_config_id"], ["automations.flow_sla_config.id"], ondelete="CASCADE"
        ),
        UniqueConstraint("flow_sla_config_id", "flow_group_id"),
        Index(None, "flow_group_id"),
        {"schema": SCHEMA},
    )

    tenant_id: Shown[UUID]
    flow_sla_config_id: Shown[UUID]
    flow_group_id: Shown[UUID]


class SlaDeadline(SQLModel, table=True):
    """When a run breaks an SLA, unless it has moved on by then. `id` is the id of the event if it does.

    UNIQUE(flow_sla_config_id, flow_run_id, attempt): an attempt breaks an SLA once. An attempt is the version of the
    run's last Scheduled state. `run_version` is the run's version when this was planned: a run that is still at it is
    not looked at again. A deadline that was met is deleted; one that `fired` stays until the run has finished.
    """

    __tablename__ = "sla_deadline"
    __table_args__ = (
        ForeignKeyConstraint(
            ["flow_sla_config_id"], ["automations.flow_sla_config.id"], ondelete="CASCADE"
        ),
        UniqueConstraint("flow_sla_config_id", "flow_run_id", "attempt"),
        Index("sla_deadline_due_idx", "due", postgresql_where=text("fired IS NULL")),
        Index(None, "flow_run_id"),
        {"schema": SCHEMA},
    )

    id: UUID = key()
    tenant_id: UUID
    flow_sla_config_id: UUID
    flow_run_id: UUID
    attempt: int
    run_version: int
    due: datetime = timestamptz()
    fired: datetime | None = maybe_timestamptz()


class AgentSla(SQLModel, table=True):
    """Whether the agents of a config were found healthy, and since when. A config that was never used has no row."""

    __tablename__ = "agent_sla"
    __table_args__ = ({"schema": SCHEMA},)

    agent_config_id: UUID = key()
    tenant_id: UUID
    is_healthy: bool
    changed: datetime = timestamptz()


class Delivery(SQLModel, table=True):
    """One thing that is owed for an event: an action, or a cloud hook, of one tenant. Sent at least once.

    `dedup` is a digest of the action (or cloud hook) and the event: two hooks with one action owe it once. `event` is
    the flat map of the variables that templates may name. The id of a state change is the MD5 of
    `<flow run>:<version>`, so that its event and the ledger's history name the same one. `chain` are the ids of the
    hooks that led to this event. `status`: pending, delivered, failed, muted or switched_off; counted (towards the
    number that its hook waits for) and digested are not sent themselves, `told_in` is the delivery that tells of them.
    `lease` is the worker's
    that has it, until `leased_until`. `receiver` is the host that it goes to; `headwater` for actions on runs, which
    are commands to our own services. Actions and hooks may be deleted before, so no foreign keys.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("dedup"),
        CheckConstraint(
            "status IN ('pending', 'delivered', 'failed', 'muted', 'switched_off', 'counted', 'digested')",
            name="status_is_known",
        ),
        CheckConstraint("action_id IS NULL OR cloud_hook_id IS NULL", name="one_addressee"),
        Index("delivery_due_idx", "due", postgresql_where=text("status = 'pending'")),
        Index("delivery_tenant_created_idx", "tenant_id", text("created DESC")),
        Index(None, "created"),
        Index(None, "event_id"),
        Index("delivery_hook_created_idx", "hook_id", "created", postgresql_where=text("hook_id IS NOT NULL")),
        {"schema": SCHEMA},
    )  # fmt: skip

    id: Shown[UUID] = key()
    tenant_id: Shown[UUID]
    action_id: Shown[UUID | None] = None
    hook_id: Shown[UUID | None] = None
    cloud_hook_id: Shown[UUID | None] = None
    event_id: Shown[UUID]
    event_type: Shown[str]
    event: Shown[dict[str, Any]] = document()
    dedup: str
    chain: list[str] = document("[]")
    status: Shown[str] = Field(
        default="pending", sa_column_kwargs={"server_default": text("'pending'")}
    )
    attempts: Shown[int] = number(0)
    due: Shown[datetime] = timestamptz(default_now=True)
    lease: UUID | None = None
    leased_until: datetime | None = maybe_timestamptz()
    receiver: Shown[str | None] = None
    last_error: Shown[str | None] = None
    told_in: Shown[UUID | None] = None
    created: Shown[datetime] = timestamptz(default_now=True)
    finished: Shown[datetime | None] = maybe_timestamptz()


class DeliveryAttempt(SQLModel, table=True):
    """One try of a delivery. `status` is the receiver's, `answer` the first KiB of what it said."""

    __tablename__ = "delivery_attempt"
    __table_args__ = (
        ForeignKeyConstraint(["delivery_id"], ["automations.delivery.id"], ondelete="CASCADE"),
        UniqueConstraint("delivery_id", "number"),
        Index("delivery_attempt_tenant_started_idx", "tenant_id", text("started DESC")),
        {"schema": SCHEMA},
    )

    id: Shown[UUID] = key()
    delivery_id: Shown[UUID]
    tenant_id: Shown[UUID]
    number: Shown[int]
    started: Shown[datetime] = timestamptz()
    latency_ms: Shown[int]
    status: Shown[int | None] = None
    answer: Shown[str | None] = None
    error: Shown[str | None] = None


class Receiver(SQLModel, table=True):
    """A host that deliveries of a tenant go to: its failures in a row, and until when nothing is sent to it."""

    __tablename__ = "receiver"
    __table_args__ = (PrimaryKeyConstraint("tenant_id", "host"), {"schema": SCHEMA})

    tenant_id: UUID
    host: str
    failures: int = number(0)
    opened_until: datetime | None = maybe_timestamptz()
