"""Rows of the registry and the ledger, put there by the database's owner: worlds for services that only read them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from libs.runtime.ids import new_id

TENANT = UUID("00000000-0000-7000-8000-000000000001")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def a_flow(
    pool: Any,
    *,
    schedule: dict[str, Any] | None = None,
    active: bool = True,
    archived: bool = False,
    settings: dict[str, Any] | None = None,
    tenant: UUID = TENANT,
) -> UUID:
    """One flow in a project and a group of its own."""
    flow, group, project = new_id(), new_id(), new_id()
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "INSERT INTO registry.project (id, tenant_id, name) VALUES ($1, $2, $1::uuid::text)",
            project,
            tenant,
        )
        await connection.execute(
            "INSERT INTO registry.flow_group (id, tenant_id, name, settings) VALUES ($1, $2, $1::uuid::text, $3)",
            group,
            tenant,
            settings or {},
        )
        await connection.execute(
            "INSERT INTO registry.flow (id, tenant_id, project_id, flow_group_id, name, version,"
            " version_group_id, schedule, is_schedule_active, archived)"
            " VALUES ($1, $2, $3, $4, 'a flow', 1, $4::uuid::text, $5, $6, $7)",
            flow,
            tenant,
            project,
            group,
            schedule,
            active,
            archived,
        )
    return flow


async def a_flow_run(
    pool: Any,
    *,
    flow: UUID | None = None,
    state: str = "Running",
    version: int = 3,
    heartbeat: datetime | None = LONG_AGO,
    state_timestamp: datetime = LONG_AGO,
    times_resurrected: int = 0,
    settings: dict[str, Any] | None = None,
    tenant: UUID = TENANT,
) -> UUID:
    """One flow run, of a flow of its own unless one is named."""
    flow = flow or await a_flow(pool, active=False, settings=settings, tenant=tenant)
    run = new_id()
    await pool.execute(
        "INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, version, heartbeat,"
        " scheduled_start_time, state, state_timestamp, serialized_state, times_resurrected)"
        " SELECT $1, tenant_id, id, flow_group_id, 'a run', $3, $4, $5, $6, $5, '{}', $7"
        " FROM registry.flow WHERE id = $2",
        run,
        flow,
        version,
        heartbeat,
        state_timestamp,
        state,
        times_resurrected,
    )
    return run


async def a_task_run(
    pool: Any, flow_run: UUID, *, state: str = "Running", tenant: UUID = TENANT
) -> UUID:
    """One task run of a flow run."""
    run = new_id()
    await pool.execute(
        "INSERT INTO runs.task_run (id, tenant_id, flow_run_id, task_id, state, state_timestamp,"
        " serialized_state) VALUES ($1, $2, $3, $4, $5, now(), '{}')",
        run,
        tenant,
        flow_run,
        new_id(),
        state,
    )
    return run
