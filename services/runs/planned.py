"""Planned runs: future runs of a schedule that no person has changed. Which are made, updated and cleared.

The rules in words: `services/scheduler/domain/proposals.py`, which makes the proposals that are decided here under
locks.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.contracts.runs import (
    ClearScheduled,
    CreateScheduled,
    ForgetDeleted,
    ScheduledInstant,
)
from libs.runtime.database import Connection, Database, statement
from libs.runtime.records import RecordStatement
from services.runs.domain.creation import (
    FlowFacts,
    effective_labels,
    effective_parameters,
    effective_run_config,
    missing_parameters,
)
from services.runs.domain.states import to_json
from services.runs.ledger import reads
from services.runs.ledger.removal import STEP, delete_runs


async def follow(database: Database, command: CreateScheduled) -> int:
    """Update the planned runs of these instants to their current inputs; returns how many had others.

    A later change of the inputs is proposed later, waits for these locks, and then reads the current inputs.
    """
    async with database.transaction() as connection:
        flow = (await reads.share_flows(connection, [command.flow_id])).flows.get(command.flow_id)
        if flow is None or flow.tenant_id != command.tenant_id:
            return 0
        rows = await connection.fetch(
            statement(__file__, "lock_planned"),
            flow.id,
            flow.flow_group_id,
            [instant.start_time for instant in command.instants],
            [instant.schedule_hash for instant in command.instants],
        )
        if not rows:
            return 0
        # Read again under the locks: their earlier holder may have applied a change that came after our first read.
        flow = (await reads.share_flows(connection, [flow.id])).flows[flow.id]
        planned = [(row["id"], command.instants[row["number"] - 1]) for row in rows]
        return await _give_inputs(connection, flow, planned)


class Inputs(NamedTuple):
    """What a planned run shall run with: JSON texts."""

    id: UUID
    parameters: str
    labels: str
    run_config: str | None


_FOLLOW_INPUTS = RecordStatement(__file__, "follow_inputs", given=Inputs)


async def _give_inputs(
    connection: Connection, flow: FlowFacts, planned: Sequence[tuple[UUID, ScheduledInstant]]
) -> int:
    run_config = effective_run_config(flow, None)
    given: list[Inputs] = []
    for run_id, instant in planned:
        parameters = effective_parameters(flow, instant.parameters)
        if not missing_parameters(flow, parameters):
            labels = effective_labels(flow, instant.labels, None)
            given.append(
                Inputs(
                    id=run_id,
                    parameters=to_json(parameters),
                    labels=to_json(labels),
                    run_config=None if run_config is None else to_json(run_config),
                )
            )
    if not given:
        return 0
    tag = await _FOLLOW_INPUTS.execute(connection, given=given)
    return int(tag.removeprefix("UPDATE "))


async def clear(database: Database, command: ClearScheduled) -> int:
    """Delete a flow's pending auto-scheduled runs except those with a key to keep; none for a stale proposal."""
    total = 0
    while True:
        async with database.transaction() as connection:
            if command.seen_schedule is not None:
                seen = await reads.seen_schedules(connection, [command.flow_id])
                if seen.get(command.flow_id, "") != command.seen_schedule:
                    return total
            rows = await connection.fetch(
                statement(__file__, "lock_pending_scheduled"),
                command.tenant_id,
                command.flow_id,
                [start for start, _ in command.keep],
                [schedule_hash for _, schedule_hash in command.keep],
                STEP,
                command.after,
            )
            total += await delete_runs(connection, [row["id"] for row in rows])
        if len(rows) < STEP:
            return total


async def forget_deleted(
    database: Database, command: ForgetDeleted, *, at: datetime | None = None
) -> None:
    """Let a flow without planned runs, because all were deleted, get them again. Tests pass a time."""
    async with database.transaction() as connection:
        await connection.execute(
            statement(__file__, "forget_deleted"), command.tenant_id, command.flow_id, at
        )
