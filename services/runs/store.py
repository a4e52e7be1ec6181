"""The ledger's SQL. Statements whose concurrency matters are files in `queries/`; nothing here commits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from libs.contracts.base import JsonObject
from libs.contracts.runs import FlowRunStateChanged, GetOrCreateTaskRun
from libs.contracts.states import FINISHED_FAMILY, State
from libs.runtime import outbox
from libs.runtime.database import Connection, statement
from libs.runtime.ids import NewId
from services.runs.domain.creation import FlowFacts
from services.runs.domain.safeguards import TaskPolicy
from services.runs.domain.states import make_state
from services.runs.domain.transitions import FlowRun, FlowRunMoved, TaskRun, TaskRunMoved

PENDING = make_state(State.PENDING, "Task run created")
"""What a task run is before anything happened to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFlowRun:
    """A flow run to insert. JSON columns are JSON text. `schedule_hash` makes it an instant of a schedule."""

    id: UUID
    tenant_id: UUID
    flow_id: UUID
    flow_group_id: UUID
    name: str
    parameters: str
    labels: str
    run_config: str | None
    context: str
    scheduled_start_time: datetime
    auto_scheduled: bool
    schedule_hash: str | None
    idempotency_key: str | None
    message: str
    serialized_state: str
    history_id: UUID
    created_by: UUID | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTaskRun:
    """A Pending task run to insert."""

    id: UUID
    tenant_id: UUID
    flow_run_id: UUID
    task_id: UUID
    map_index: int
    cache_key: str | None
    history_id: UUID


class AskedTaskRun(NamedTuple):
    """What `get_or_create_task_runs` found or made: which of flow run and task exist and belong together (ids are None
    otherwise), and the row. It is without an id where another transaction made it meanwhile.
    """

    flow_run_id: UUID | None
    task_id: UUID | None
    id: UUID | None
    version: int | None
    state: str | None
    serialized_state: JsonObject | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFlows:
    """Flows under a share lock, and PostgreSQL's own clock, which rules over what is in the past."""

    flows: Mapping[UUID, FlowFacts]
    now: datetime | None


# Flows


async def newest_unarchived(
    connection: Connection, groups: Sequence[tuple[UUID, str]]
) -> dict[tuple[UUID, str], UUID]:
    """The newest unarchived flow of each (tenant, version group id)."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (f.tenant_id, f.version_group_id) f.tenant_id, f.version_group_id, f.id
        FROM registry.flow f
        JOIN unnest($1::uuid[], $2::text[]) AS k (tenant_id, version_group_id)
            ON f.tenant_id = k.tenant_id AND f.version_group_id = k.version_group_id
        WHERE NOT f.archived
        ORDER BY f.tenant_id, f.version_group_id, f.version DESC
        """,
        [tenant for tenant, _ in groups],
        [group for _, group in groups],
    )
    return {(row["tenant_id"], row["version_group_id"]): row["id"] for row in rows}


async def share_flows(connection: Connection, flow_ids: Iterable[UUID]) -> SharedFlows:
    """Lock flows against archiving, and read what new runs of them are made of."""
    rows = await connection.fetch(statement(__file__, "share_flows"), sorted(flow_ids))
    flows = {
        row["id"]: FlowFacts(**{name: row[name] for name in FlowFacts.__dataclass_fields__})
        for row in rows
    }
    return SharedFlows(flows=flows, now=rows[0]["now"] if rows else None)


async def tasks_of(
    connection: Connection, flow_ids: Iterable[UUID]
) -> dict[UUID, list[tuple[UUID, str | None]]]:
    """The (id, cache key) of each flow's tasks."""
    rows = await connection.fetch(
        "SELECT flow_id, id, cache_key FROM registry.task WHERE flow_id = ANY($1::uuid[]) ORDER BY id",
        list(flow_ids),
    )
    tasks: dict[UUID, list[tuple[UUID, str | None]]] = {}
    for row in rows:
        tasks.setdefault(row["flow_id"], []).append((row["id"], row["cache_key"]))
    return tasks


# New runs


async def runs_by_key(
    connection: Connection, keys: Sequence[tuple[UUID, str]]
) -> dict[tuple[UUID, str], UUID]:
    """The runs that (flow, idempotency key) pairs already name."""
    rows = await connection.fetch(
        statement(__file__, "find_by_key"),
        [flow for flow, _ in keys],
        [key for _, key in keys],
    )
    return {(row["flow_id"], row["idempotency_key"]): row["id"] for row in rows}


async def insert_flow_runs(connection: Connection, runs: Iterable[NewFlowRun]) -> set[UUID]:
    """Insert runs; the ids of those that did not exist."""
    ordered = sorted(runs, key=_conflict_order)
    columns = (
        "id", "tenant_id", "flow_id", "flow_group_id", "name", "parameters", "labels", "run_config", "context",
        "scheduled_start_time", "auto_scheduled", "schedule_hash", "idempotency_key", "message", "serialized_state",
        "history_id", "created_by", "at",
    )  # fmt: skip
    rows = await connection.fetch(
        statement(__file__, "insert_flow_runs"),
        *([getattr(run, column) for run in ordered] for column in columns),
    )
    return {row["id"] for row in rows}


def _conflict_order(run: NewFlowRun) -> tuple[UUID, str, str, str, UUID]:
    """One order for all that may conflict: an instant conflicts by its start time, a key only by the key."""
    instant = run.scheduled_start_time.isoformat() if run.schedule_hash else ""
    key = run.idempotency_key or ""
    return (run.flow_group_id, run.schedule_hash or "", instant, key, run.flow_id)


async def get_or_create_task_runs(
    connection: Connection, asked: Sequence[GetOrCreateTaskRun], *, at: datetime, ids: NewId
) -> list[AskedTaskRun]:
    """The task runs that are asked for, in order; those that are not there are made."""
    rows = await connection.fetch(
        statement(__file__, "get_or_create_task_runs"),
        [key.tenant_id for key in asked],
        [key.flow_run_id for key in asked],
        [key.task_id for key in asked],
        [key.map_index for key in asked],
        [ids() for _ in asked],
        [ids() for _ in asked],
        at,
        PENDING.message,
        PENDING.document,
    )
    return [AskedTaskRun(*row) for row in rows]


async def insert_task_runs(
    connection: Connection, runs: Sequence[NewTaskRun], *, at: datetime
) -> None:
    """Insert the Pending task runs of new flow runs, which nobody else knows yet."""
    columns = ("id", "tenant_id", "flow_run_id", "task_id", "map_index", "cache_key", "history_id")
    await connection.execute(
        statement(__file__, "insert_task_runs"),
        *([getattr(run, column) for run in runs] for column in columns),
        at,
        PENDING.message,
        PENDING.document,
    )


# Runs under lock


async def unfinished_task_runs(connection: Connection, flow_run_ids: Sequence[UUID]) -> set[UUID]:
    """Task runs that a cancellation or a zombie's end would reach."""
    rows = await connection.fetch(
        """
        SELECT id FROM runs.task_run
        WHERE flow_run_id = ANY($1::uuid[]) AND state <> ALL($2::text[])
        """,
        flow_run_ids,
        sorted(FINISHED_FAMILY),
    )
    return {row["id"] for row in rows}


async def lock_flow_runs(
    connection: Connection,
    ids: Iterable[UUID],
    *,
    of_task_runs: Iterable[UUID] = (),
    to_submit: Iterable[UUID] = (),
) -> dict[UUID, FlowRun]:
    """Lock these flow runs, and those of these task runs, in id order, and read them.

    The flows of those `to_submit` are held too, so that none is archived before the commit.
    """
    rows = await connection.fetch(
        statement(__file__, "lock_flow_runs"), list(ids), list(of_task_runs), list(to_submit)
    )
    return {row["id"]: FlowRun(**row) for row in rows}


async def lock_task_runs(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, TaskRun]:
    """Lock task runs in id order and read them."""
    rows = await connection.fetch(statement(__file__, "lock_task_runs"), list(ids))
    return {row["id"]: TaskRun(**row) for row in rows}


async def known_agents(
    connection: Connection, agents: Iterable[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], bool]:
    """Which of these agents, as (tenant, id), exist, and whether each is surely one process.

    An id alone may be that of another tenant's agent.
    """
    asked = set(agents)
    rows = await connection.fetch(
        "SELECT tenant_id, id, shared FROM runs.agent WHERE id = ANY($1::uuid[])",
        [id_ for _, id_ in asked],
    )
    return {
        agent: not row["shared"]
        for row in rows
        if (agent := (row["tenant_id"], row["id"])) in asked
    }


async def last_seen(connection: Connection, flow_run_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """The newest ping of each run, as the heartbeat service wrote it down."""
    rows = await connection.fetch(
        "SELECT flow_run_id, at FROM heartbeat.last_seen WHERE flow_run_id = ANY($1::uuid[])",
        flow_run_ids,
    )
    return {row["flow_run_id"]: row["at"] for row in rows}


async def task_policies(
    connection: Connection, task_run_ids: Sequence[UUID]
) -> dict[UUID, TaskPolicy]:
    """Retries and name of each task run's task."""
    rows = await connection.fetch(
        """
        SELECT t.id, coalesce(k.name, k.slug) AS name, k.max_retries, k.retry_delay
        FROM runs.task_run t JOIN registry.task k ON k.id = t.task_id
        WHERE t.id = ANY($1::uuid[])
        """,
        task_run_ids,
    )
    return {
        row["id"]: TaskPolicy(
            name=row["name"],
            max_retries=row["max_retries"],
            retry_delay=row["retry_delay"] or timedelta(0),
        )
        for row in rows
    }


# States


async def write_flow_run_states(
    connection: Connection,
    moves: Sequence[tuple[UUID, FlowRunMoved]],
    events: Sequence[FlowRunStateChanged],
) -> None:
    """Append (history id, move) pairs, oldest first, copy each run's newest onto its row, and tell it in `events`."""
    replaces = _replaced_versions([move.run for _, move in moves])
    rows = [
        (
            history_id, m.run.id, m.run.tenant_id, m.run.version, m.run.state, m.run.state_timestamp, m.state.message,
            m.state.start_time, m.state.text, m.run.start_time, m.run.end_time, m.run.heartbeat, m.run.agent_id,
            m.run.times_resurrected, m.run.attempt, m.run.lease_token, replaced,
        )
        for (history_id, m), replaced in zip(moves, replaces, strict=True)
    ]  # fmt: skip
    await _write(connection, "write_flow_run_states", rows, replaces, *outbox.columns(events))


async def write_task_run_states(
    connection: Connection, moves: Sequence[tuple[UUID, TaskRunMoved]]
) -> None:
    """As `write_flow_run_states`."""
    replaces = _replaced_versions([move.run for _, move in moves])
    rows = [
        (
            history_id, m.run.id, m.run.tenant_id, m.run.version, m.run.state, m.run.state_timestamp, m.state.message,
            m.state.start_time, m.state.text, m.run.start_time, m.run.end_time, m.run.heartbeat, m.run.retries,
            replaced,
        )
        for (history_id, m), replaced in zip(moves, replaces, strict=True)
    ]  # fmt: skip
    await _write(connection, "write_task_run_states", rows, replaces)


def _replaced_versions(runs: Sequence[FlowRun] | Sequence[TaskRun]) -> list[int | None]:
    """For each run's last move the version that its row has before this batch, for earlier moves None."""
    first: dict[UUID, int] = {}
    last: dict[UUID, int] = {}
    for run in runs:
        first.setdefault(run.id, run.version)
        last[run.id] = run.version
    return [first[run.id] - 1 if run.version == last[run.id] else None for run in runs]


async def _write(
    connection: Connection,
    name: str,
    rows: Sequence[tuple[Any, ...]],
    replaces: Sequence[int | None],
    *more: object,
) -> None:
    columns = map(list, zip(*rows, strict=True))
    tag = await connection.execute(statement(__file__, name), *columns, *more)
    expected = sum(1 for replaced in replaces if replaced is not None)
    if tag != f"UPDATE {expected}":
        msg = f"{name}: {tag} where {expected} locked rows were expected"
        raise RuntimeError(msg)
