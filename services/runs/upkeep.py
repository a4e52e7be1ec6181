"""Periodic work: partitions, retention, lost events about archived and deleted flows, overdue cancellations.

Each function is one verb that a loop calls and a test can call. They find candidates without locks and then go through
the ledger or lock as it does, so that two replicas doing the same at once are harmless.
"""

from datetime import datetime, timedelta
from uuid import UUID

from libs.runtime import metrics
from libs.runtime.database import Database, statement
from libs.runtime.group_commit import GroupCommit
from services.runs.ledger import removal
from services.runs.ledger.commands import (
    Answer,
    CancelArchived,
    Command,
    Done,
    EndCancellation,
    EndLeftTaskRuns,
)

STEP = 500
"""Candidates per round."""
DUE_SHOWN = 10_000
"""Most due runs that are counted; more would not change an alert."""
LATE_STEP = 2000
"""Rows of one transaction that marks late runs: few enough not to delay a claim."""
WEEKS_AHEAD = 8
"""Partitions made in advance: for two months without upkeep nothing breaks."""

Commit = GroupCommit[Command, Answer]


async def clear_archived(database: Database, commit: Commit, flow_id: UUID) -> int:
    """Delete an archived flow's pending auto-scheduled runs and cancel the waiting ad-hoc ones; returns how many.

    A run that has begun goes on, also while it waits for a retry or after Lazarus: archiving ends no running work. A
    run that has not begun would wait for ever, because no queue offers it any more (domain/queue.py). The event may be
    late: a flow that has been unarchived since keeps its runs.
    """
    total = 0
    while True:
        async with database.transaction() as connection:
            group = await connection.fetchval(
                "SELECT flow_group_id FROM registry.flow WHERE id = $1 AND archived", flow_id
            )
            if group is None:
                return total
            total += await removal.delete_pending_of_archived(connection, [group])
        rows = await database.pool.fetch(
            """
            SELECT id, tenant_id FROM runs.flow_run
            WHERE flow_id = $1 AND state IN ('Scheduled', 'Paused', 'Resume', 'Retrying') AND start_time IS NULL
            LIMIT $2
            """,
            flow_id,
            STEP,
        )
        done = 0
        for row in rows:
            answer = await commit.submit(
                CancelArchived(tenant_id=row["tenant_id"], flow_run_id=row["id"]), weight=2
            )
            done += answer.count if isinstance(answer, Done) else 0
        total += done
        if len(rows) < STEP or not done:
            return total


async def remove_runs_of_deleted(database: Database, flow_id: UUID) -> int:
    """Delete the runs of a deleted flow; none while the flow exists, whatever the event says."""
    if await database.pool.fetchval("SELECT true FROM registry.flow WHERE id = $1", flow_id):
        return 0
    return await removal.delete_runs_of_flow(database, flow_id)


async def sweep(database: Database, commit: Commit) -> int:
    """Do the work of lost events about archived and deleted flows; returns how many runs it changed."""
    archived = await database.pool.fetch(
        """
        SELECT DISTINCT r.flow_id FROM runs.flow_run r JOIN registry.flow f ON f.id = r.flow_id
        WHERE r.state IN ('Scheduled', 'Paused', 'Resume', 'Retrying') AND r.start_time IS NULL AND f.archived
        LIMIT $1
        """,
        STEP,
    )
    deleted = await database.pool.fetch(
        """
        WITH RECURSIVE known (flow_id) AS (
            (SELECT flow_id FROM runs.flow_run ORDER BY flow_id LIMIT 1)
            UNION ALL
            SELECT (SELECT r.flow_id FROM runs.flow_run r WHERE r.flow_id > k.flow_id ORDER BY r.flow_id LIMIT 1)
            FROM known k WHERE k.flow_id IS NOT NULL
        )
        SELECT flow_id FROM known k
        WHERE flow_id IS NOT NULL AND NOT EXISTS (SELECT FROM registry.flow f WHERE f.id = k.flow_id)
        """
    )
    touched = 0
    for row in archived:
        touched += await clear_archived(database, commit, row["flow_id"])
    for row in deleted:
        touched += await remove_runs_of_deleted(database, row["flow_id"])
    return touched


async def end_cancellations(
    database: Database, commit: Commit, *, deadline: timedelta, now: datetime
) -> int:
    """Cancel runs that should have stopped before the deadline; returns how many."""
    rows = await database.pool.fetch(
        """
        SELECT id, tenant_id, version FROM runs.flow_run
        WHERE state IN ('Submitted', 'Running', 'Cancelling') AND state = 'Cancelling' AND state_timestamp <= $1
        LIMIT $2
        """,
        now - deadline,
        STEP,
    )
    ended = 0
    for row in rows:
        answer = await commit.submit(
            EndCancellation(
                tenant_id=row["tenant_id"], flow_run_id=row["id"], seen_version=row["version"]
            )
        )
        ended += answer.count if isinstance(answer, Done) else 0
    return ended


async def end_left_task_runs(
    database: Database, commit: Commit, *, silence: timedelta, unheard: timedelta, now: datetime
) -> int:
    """End running task runs of silent flow runs that do not run; returns in how many flow runs.

    `silence` is twice the allowed silence of a live run, because not every ping is written. Runs are judged only if
    pings were heard during the whole time, by the watch, whose confirmation may be `unheard` old.
    """
    rows = await database.pool.fetch(
        statement(__file__, "left_task_runs"), now - silence, now - unheard, STEP
    )
    ended = 0
    for row in rows:
        answer = await commit.submit(
            EndLeftTaskRuns(
                tenant_id=row["tenant_id"],
                flow_run_id=row["flow_run_id"],
                task_run_ids=row["task_run_ids"],
                silence=silence,
            ),
            weight=len(row["task_run_ids"]),
        )
        ended += answer.count if isinstance(answer, Done) else 0
    return ended


async def mark_late(
    database: Database, *, late_after: timedelta, silent_after: timedelta, now: datetime
) -> int:
    """Write the reason why due runs have not started; returns how many have a new one."""
    total = 0
    while True:
        async with database.transaction() as connection:
            tag = await connection.execute(
                statement(__file__, "mark_late"), now - late_after, now - silent_after, LATE_STEP
            )
        marked = int(tag.removeprefix("UPDATE "))
        total += marked
        if marked < LATE_STEP:
            return total


async def show_due(database: Database) -> None:
    """Export how many runs are due, and how long the oldest has waited."""
    row = await database.pool.fetchrow(
        """
        SELECT count(*) AS runs, extract(epoch FROM now() - min(state_start_time)) AS waited FROM (
            SELECT state_start_time FROM runs.flow_run
            WHERE state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying') AND state_start_time <= now()
            LIMIT $1
        ) due
        """,
        DUE_SHOWN,
    )
    metrics.DUE_RUNS.set(row["runs"] if row else 0)
    metrics.DUE_LAG.set(float(row["waited"] or 0) if row else 0)


async def keep_partitions(database: Database, *, now: datetime) -> int:
    """Make the partitions of the coming weeks; returns how many were missing."""
    made: int = await database.pool.fetchval(
        "SELECT runs.ensure_partitions($1, $2)", now, WEEKS_AHEAD
    )
    return made


async def drop_old(
    database: Database,
    *,
    states: timedelta | None,
    logs: timedelta | None,
    runs: timedelta | None,
    now: datetime,
) -> list[str]:
    """Drop partitions past their retention, and delete old finished runs; returns the dropped ones."""
    dropped: list[str] = []
    for parent, kept in (("flow_run_state", states), ("task_run_state", states), ("log", logs)):
        if kept is not None:
            rows = await database.pool.fetch(
                "SELECT runs.drop_partitions($1, $2) AS name", parent, now - kept
            )
            dropped += [row["name"] for row in rows]
    if logs is not None:
        await database.pool.execute("DELETE FROM runs.log_usage WHERE updated < $1", now - logs)
    # A tombstone prevents a future instant from being made; a past one is never made. An hour, because clocks may
    # differ.
    await database.pool.execute(
        "DELETE FROM runs.deleted_instant WHERE start_time < $1", now - timedelta(hours=1)
    )
    if runs is not None:
        while await removal.runs_older_than(database, now - runs):
            pass
    return dropped
