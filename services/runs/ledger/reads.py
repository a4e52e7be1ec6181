"""Reads and locks before decisions. For writes see `journal.py`. Nothing here commits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.contracts.states import FINISHED_FAMILY
from libs.runtime.database import Connection, statement
from services.runs.domain.creation import FlowFacts
from services.runs.domain.safeguards import TaskPolicy
from services.runs.domain.transitions import FlowRun, TaskRun


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFlows:
    """Flows under a share lock, and PostgreSQL's clock, which decides what is in the past."""

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
    """Lock flows against archiving, and read the inputs of new runs."""
    rows = await connection.fetch(statement(__file__, "share_flows"), sorted(flow_ids))
    flows = {
        row["id"]: FlowFacts(**{name: row[name] for name in FlowFacts.__dataclass_fields__})
        for row in rows
    }
    return SharedFlows(flows=flows, now=rows[0]["now"] if rows else None)


async def seen_schedules(connection: Connection, flow_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The digest of the schedule that each flow follows; '' for none."""
    rows = await connection.fetch(statement(__file__, "seen_schedules"), sorted(flow_ids))
    return {row["id"]: row["seen"] for row in rows}


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


async def runs_by_key(
    connection: Connection, keys: Sequence[tuple[UUID, str]]
) -> dict[tuple[UUID, str], UUID]:
    """The existing runs of (flow, idempotency key) pairs."""
    rows = await connection.fetch(
        statement(__file__, "find_by_key"),
        [flow for flow, _ in keys],
        [key for _, key in keys],
    )
    return {(row["flow_id"], row["idempotency_key"]): row["id"] for row in rows}


# Runs under lock


async def unfinished_task_runs(connection: Connection, flow_run_ids: Sequence[UUID]) -> set[UUID]:
    """Task runs that a cancellation or a zombie's end would change."""
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
    task_runs_to_submit: Iterable[UUID] = (),
) -> dict[UUID, FlowRun]:
    """Lock these flow runs, and those of these task runs, in id order, and read them.

    The flows of those `to_submit` are locked too, so that none is archived before the commit; and their work queue is
    kept from being paused, as is that of task runs to submit.
    """
    rows = await connection.fetch(
        statement(__file__, "lock_flow_runs"),
        list(ids),
        list(of_task_runs),
        list(to_submit),
        list(task_runs_to_submit),
    )
    return {row["id"]: FlowRun(**row) for row in rows}


async def lock_task_runs(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, TaskRun]:
    """Lock task runs in id order and read them."""
    rows = await connection.fetch(statement(__file__, "lock_task_runs"), list(ids))
    return {row["id"]: TaskRun(**row) for row in rows}


async def known_agents(
    connection: Connection, agents: Iterable[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], bool]:
    """Which of these agents, as (tenant, id), exist, and whether each is certainly one process.

    An id alone may belong to another tenant's agent.
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
    """The newest ping of each run, as written by the heartbeat service."""
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
