"""Deadlines of SLAs as rows: planned when a run is scheduled or started, and again by a sweep for lost events."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.runtime.database import Connection, statement
from libs.runtime.ids import NewId
from libs.runtime.records import RecordStatement

SWEEP = 2_000
"""Runs that one sweep looks at; the next one goes on."""


class _Deadline(NamedTuple):
    id: UUID
    tenant_id: UUID
    flow_sla_config_id: UUID
    flow_run_id: UUID
    attempt: int
    run_version: int
    due: datetime
    was_past: bool


_PLAN = RecordStatement(__file__, "plan_deadlines", planned=_Deadline)


async def plan_deadlines(
    connection: Connection, flow_run_ids: Collection[UUID], *, ids: NewId
) -> int:
    """Plan the deadlines of these runs; returns how many are planned now. Safe to do twice."""
    rows = await connection.fetch(statement(__file__, "deadlines_of"), sorted(flow_run_ids))
    planned = [_Deadline(id=ids(), **dict(row)) for row in rows]
    if not planned:
        return 0
    planned.sort(key=lambda each: (each.flow_sla_config_id, each.flow_run_id, each.attempt))
    return len(await _PLAN.fetch(connection, planned=planned))


async def unplanned(connection: Connection) -> set[UUID]:
    """Runs whose deadlines are not planned for the version that they are at."""
    rows = await connection.fetch(statement(__file__, "unplanned"), SWEEP)
    return {row["id"] for row in rows}
