"""Tables that `runs` owns: the run ledger, histories, logs, artifacts, agents, limits.

`flow_run_state`, `task_run_state` and `log` are partitioned by the time of writing, one partition a week, so that
retention drops partitions instead of deleting rows. They therefore carry no foreign keys; deleting a run deletes its
rows there explicitly.
"""

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
from libs.schema.outbox import outbox_table

SCHEMA = "runs"
SCHEDULED_FAMILY = "('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')"
LIVE_FAMILY = "('Submitted', 'Running', 'Cancelling')"


class FlowRun(ShownTable, table=True):
    """A flow run and a copy of its newest state; `version` is the number of states it has had.

    `schedule_hash` exists for auto-scheduled runs: with the flow and `scheduled_start_time` it is the key that makes
    sure that an instant of a schedule has one run, ever. The group leads the index, though the flow determines it,
    because a version that replaces another must find the runs of its whole group. A planned run (Scheduled, version 1)
    that no person has changed has `updated` = `created`: renaming it, or setting its labels or state, writes `updated`;
    following the inputs of the schedule does not. `heartbeat` is set when a state is written; pings go to
    `heartbeat.last_seen`, and GraphQL shows the later. `attempt` and `lease_token` fence native agents
    (ARCHITECTURE.md).
    """

    __tablename__ = "flow_run"
    __table_args__ = (
        UniqueConstraint("flow_id", "idempotency_key"),
        Index(
            "flow_run_version_instant_key", "flow_group_id", "scheduled_start_time", "schedule_hash", "flow_id",
            unique=True, postgresql_where=text("schedule_hash IS NOT NULL"),
        ),
        Index(
            "flow_run_due_idx", "tenant_id", "state_start_time", "id",
            postgresql_where=text(f"state IN {SCHEDULED_FAMILY}"),
        ),
        Index(
            "flow_run_queue_idx", "tenant_id", text("jsonb_hash_extended(labels, 0)"), "state_start_time", "id",
            postgresql_where=text(f"state IN {SCHEDULED_FAMILY}"),
        ),
        Index(
            "flow_run_live_idx", "tenant_id", "id",
            postgresql_where=text(f"state IN {LIVE_FAMILY}"),
        ),
        Index(
            "flow_run_leased_idx", "id",
            postgresql_where=text("state = 'Submitted' AND lease_token IS NOT NULL"),
        ),
        Index("flow_run_flow_scheduled_idx", "flow_id", text("scheduled_start_time DESC")),
        Index("flow_run_scheduled_idx", "tenant_id", text("scheduled_start_time DESC")),
        Index("flow_run_started_idx", "tenant_id", text("start_time DESC")),
        Index("flow_run_created_idx", "tenant_id", text("created DESC")),
        # Dashboards count runs by state since a time: newer ones by scheduled_start_time, those of 2020 by updated or
        # heartbeat. The other columns of the counts are in the indexes too, or each run's row would be read. Measured
        # at a million runs, a day's counts of a dashboard of 2020 take 5 ms of CPU instead of 600, a month's 90 instead
        # of
        # 680. The price of `updated` in indexes is paid by states of flow runs alone: 30 us more each (90 before) and
        # 500 bytes more of WAL, as those change `state`, and so every index, anyway. Renewals of leases and marks of
        # lateness leave `updated` alone and stay HOT: 10,000 of 10,000 with the indexes and without.
        Index(
            "flow_run_state_idx", "tenant_id", "state", text("scheduled_start_time DESC"),
            postgresql_include=["flow_id"],
        ),
        Index(
            "flow_run_state_updated_idx", "tenant_id", "state", text("updated DESC"),
            postgresql_include=["flow_id", "heartbeat", "id"],
        ),
        Index(
            "flow_run_flow_state_idx", "flow_id", "state", text("updated DESC"),
            postgresql_include=["tenant_id", "scheduled_start_time"],
        ),
        Index("flow_run_updated_idx", "tenant_id", text("updated DESC")),
        # When runs ended: lists by end_time, and counts by bucket, by state and by flow without the table. Only runs
        # that have ended are in them, so a run enters each once, with its last state; other writes cost nothing more.
        Index(
            "flow_run_ended_idx", "tenant_id", text("end_time DESC"),
            postgresql_include=["state", "flow_id", "start_time"], postgresql_where=text("end_time IS NOT NULL"),
        ),
        Index(
            "flow_run_state_ended_idx", "tenant_id", "state", text("end_time DESC"),
            postgresql_include=["flow_id"], postgresql_where=text("end_time IS NOT NULL"),
        ),
        Index(None, "tenant_id", "name"),
        CheckConstraint("version >= 0", name="version_counts"),
        {"schema": SCHEMA, "postgresql_with": {"fillfactor": "80"}},
    )  # fmt: skip

    tenant_id: Shown[UUID]
    flow_id: Shown[UUID]
    flow_group_id: Shown[UUID]
    agent_id: Shown[UUID | None] = None
    name: Shown[str]
    parameters: Shown[dict[str, Any]] = document("{}")
    labels: Shown[list[str]] = document("[]")
    run_config: Shown[dict[str, Any] | None] = maybe_document()
    context: Shown[dict[str, Any] | None] = maybe_document()
    version: Shown[int] = number(0)
    heartbeat: Shown[datetime | None] = maybe_timestamptz()
    scheduled_start_time: Shown[datetime] = timestamptz()
    start_time: Shown[datetime | None] = maybe_timestamptz()
    end_time: Shown[datetime | None] = maybe_timestamptz()
    auto_scheduled: Shown[bool] = flag(default=False)
    schedule_hash: str | None = None
    times_resurrected: Shown[int] = number(0)
    idempotency_key: Shown[str | None] = None
    state: Shown[str]
    state_timestamp: Shown[datetime] = timestamptz()
    state_message: Shown[str | None] = None
    state_result: Shown[dict[str, Any] | None] = maybe_document()
    state_start_time: Shown[datetime | None] = maybe_timestamptz()
    serialized_state: Shown[dict[str, Any]] = document()
    attempt: int = number(0)
    lease_token: UUID | None = None
    lease_expires: datetime | None = maybe_timestamptz()
    created_by: Shown[UUID | None] = None
    late_reason: Shown[str | None] = None
    """Why a run that is due has not started: no_matching_agent, agent_silent, not_claimed, paused, or limit_full with
    the label and its limit (`limit_full: label gpu, limit 2`)."""


class DeletedInstant(SQLModel, table=True):
    """A tombstone: a person deleted the run of this instant, so it is not made again. Deleted after the instant."""

    __tablename__ = "deleted_instant"
    __table_args__ = (
        PrimaryKeyConstraint("flow_group_id", "start_time", "schedule_hash", "flow_id"),
        Index(None, "flow_id"),
        {"schema": SCHEMA},
    )

    flow_group_id: UUID
    start_time: datetime = timestamptz()
    schedule_hash: str
    flow_id: UUID
    tenant_id: UUID
    deleted: datetime = timestamptz(default_now=True)


class _State(SQLModel):
    """What the histories of flow runs and task runs have in common: one row per accepted state."""

    id: Shown[UUID]
    created: Shown[datetime] = timestamptz(default_now=True)
    updated: Shown[datetime] = timestamptz(default_now=True)
    tenant_id: Shown[UUID]
    timestamp: Shown[datetime] = timestamptz()
    state: Shown[str]
    message: Shown[str | None] = None
    result: Shown[dict[str, Any] | None] = maybe_document()
    start_time: Shown[datetime | None] = maybe_timestamptz()
    serialized_state: Shown[dict[str, Any]] = document()
    version: Shown[int]
    actor: Shown[UUID | None] = None
    """Who set the state by hand or made the run; None for what a process or a service did."""


class FlowRunState(_State, table=True):
    """The history of a flow run: one row per accepted state, versions contiguous from 1."""

    __tablename__ = "flow_run_state"
    __table_args__ = (
        PrimaryKeyConstraint("id", "created"),
        Index(None, "flow_run_id", "version"),
        Index("flow_run_state_changed_idx", "tenant_id", text("timestamp DESC")),
        {"schema": SCHEMA, "postgresql_partition_by": "RANGE (created)"},
    )

    flow_run_id: Shown[UUID]


class TaskRun(ShownTable, table=True):
    """A task run. `map_index` is -1 for the unmapped run and the mapped parent; versions count from 0 (Pending)."""

    __tablename__ = "task_run"
    __table_args__ = (
        ForeignKeyConstraint(["flow_run_id"], ["runs.flow_run.id"], ondelete="CASCADE"),
        UniqueConstraint("flow_run_id", "task_id", "map_index"),
        Index("task_run_task_idx", "task_id", text("state_timestamp DESC")),
        Index(
            "task_run_due_idx", "flow_run_id", "state_start_time",
            postgresql_where=text(f"state IN {SCHEDULED_FAMILY}"),
        ),
        Index(
            "task_run_waiting_idx", "tenant_id", "state_start_time",
            postgresql_where=text(f"state IN {SCHEDULED_FAMILY}"),
        ),
        Index(
            "task_run_cached_idx", "tenant_id", "cache_key", text("state_timestamp DESC"),
            postgresql_where=text("state = 'Cached'"),
        ),
        # Few rows, each while the task runs: for task runs whose flow run ends without them (left_task_runs.sql).
        Index(
            "task_run_running_idx", "flow_run_id",
            postgresql_where=text("state IN ('Running', 'Cancelling')"),
        ),
        Index("task_run_changed_idx", "tenant_id", text("state_timestamp DESC")),
        Index(
            "task_run_failed_idx", "tenant_id", text("updated DESC"),
            postgresql_where=text("state = 'Failed'"),  # few: a task run that never fails never enters it
        ),
        {"schema": SCHEMA, "postgresql_with": {"fillfactor": "80"}},
    )  # fmt: skip

    tenant_id: Shown[UUID]
    flow_run_id: Shown[UUID]
    task_id: Shown[UUID]
    map_index: Shown[int] = number(-1)
    name: Shown[str | None] = None
    version: Shown[int] = number(0)
    heartbeat: Shown[datetime | None] = maybe_timestamptz()
    start_time: Shown[datetime | None] = maybe_timestamptz()
    end_time: Shown[datetime | None] = maybe_timestamptz()
    cache_key: Shown[str | None] = None
    state: Shown[str]
    state_timestamp: Shown[datetime] = timestamptz()
    state_message: Shown[str | None] = None
    state_result: Shown[dict[str, Any] | None] = maybe_document()
    state_start_time: Shown[datetime | None] = maybe_timestamptz()
    serialized_state: Shown[dict[str, Any]] = document()
    retries: int = number(0)
    """How many times the run was put into Retrying, so that handling a zombie need not count the history."""


class TaskRunState(_State, table=True):
    """The history of a task run: one row per accepted state, versions contiguous from 0."""

    __tablename__ = "task_run_state"
    __table_args__ = (
        PrimaryKeyConstraint("id", "created"),
        Index(None, "task_run_id", "version"),
        {"schema": SCHEMA, "postgresql_partition_by": "RANGE (created)"},
    )

    task_run_id: Shown[UUID]


class Log(SQLModel, table=True):
    """One log line. `sequence` is its index in the stream, the tie-breaker among equal timestamps.

    UNIQUE(id, created) is the deduplication: both are chosen by the gateway before the line is published, so a
    redelivered batch inserts nothing twice.
    """

    __tablename__ = "log"
    __table_args__ = (
        PrimaryKeyConstraint("id", "created"),
        Index(None, "flow_run_id", "timestamp", "sequence"),
        Index(None, "task_run_id", "timestamp", "sequence", postgresql_where=text("task_run_id IS NOT NULL")),
        {"schema": SCHEMA, "postgresql_partition_by": "RANGE (created)"},
    )  # fmt: skip

    id: Shown[UUID]
    created: Shown[datetime] = timestamptz()
    updated: Shown[datetime] = timestamptz(default_now=True)
    tenant_id: Shown[UUID]
    flow_run_id: Shown[UUID | None] = None
    task_run_id: Shown[UUID | None] = None
    timestamp: Shown[datetime] = timestamptz()
    name: Shown[str | None] = None
    level: Shown[str | None] = None
    message: Shown[str | None] = None
    info: Shown[dict[str, Any] | None] = maybe_document()
    is_loaded_from_archive: Shown[bool | None] = None
    sequence: Shown[int] = Field(sa_type=BigInteger, nullable=False)


class LogUsage(SQLModel, table=True):
    """How many log lines of a run were accepted, and how many its cap refused."""

    __tablename__ = "log_usage"
    __table_args__ = ({"schema": SCHEMA, "postgresql_with": {"fillfactor": "50"}},)

    flow_run_id: UUID = key()
    tenant_id: UUID
    updated: datetime = timestamptz()
    lines: int = Field(sa_type=BigInteger, nullable=False)
    dropped: int = Field(sa_type=BigInteger, nullable=False)


class TaskRunArtifact(ShownTable, table=True):
    """A link or a piece of markdown that a task left behind."""

    __tablename__ = "task_run_artifact"
    __table_args__ = (
        ForeignKeyConstraint(["task_run_id"], ["runs.task_run.id"], ondelete="CASCADE"),
        Index(None, "task_run_id"),
        {"schema": SCHEMA},
    )

    tenant_id: Shown[UUID]
    task_run_id: Shown[UUID]
    kind: Shown[str]
    data: Shown[dict[str, Any]] = document("{}")


class AgentConfig(ShownTable, table=True):
    """Settings that agents fetch by id."""

    __tablename__ = "agent_config"
    __table_args__ = (Index(None, "tenant_id"), {"schema": SCHEMA})

    tenant_id: Shown[UUID]
    name: Shown[str | None] = None
    settings: Shown[dict[str, Any]] = document("{}")


class Agent(ShownTable, table=True):
    """An agent, one row per (tenant, name, type, core version, labels) however often it registers.

    `shared`: two processes may be registered as this agent, since it registered again within a day of a sign of life. A
    message of one is then no proof that it is the same process as before.
    """

    __tablename__ = "agent"
    __table_args__ = (
        Index(
            "agent_identity_key", "tenant_id", text("coalesce(name, '')"), "type",
            text("coalesce(core_version, '')"), "labels", unique=True,
        ),
        {"schema": SCHEMA, "postgresql_with": {"fillfactor": "70"}},
    )  # fmt: skip

    tenant_id: Shown[UUID]
    agent_config_id: Shown[UUID | None] = None
    name: Shown[str | None] = None
    type: Shown[str]
    core_version: Shown[str | None] = None
    labels: Shown[list[str]] = document("[]")
    last_queried: Shown[datetime | None] = maybe_timestamptz()
    shared: bool = flag(default=True)


Outbox = outbox_table(SCHEMA)
