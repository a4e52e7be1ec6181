"""What must be true of the ledger's tables after any fault: read-only SQL, one function per sentence.

Each answers the rows that break it; `check_ledger` asserts that there are none.
"""

import asyncpg

SENTENCES: dict[str, str] = {
    "The versions of a flow run are 1 to n, and n is the run's own": """
        SELECT r.id, r.version, s.versions FROM runs.flow_run r
        LEFT JOIN LATERAL (
            SELECT array_agg(version ORDER BY version) AS versions FROM runs.flow_run_state WHERE flow_run_id = r.id
        ) s ON true
        WHERE s.versions IS DISTINCT FROM (SELECT array_agg(n) FROM generate_series(1, r.version) n)
    """,
    "The versions of a task run are 0 to n, and n is the run's own": """
        SELECT t.id, t.version, s.versions FROM runs.task_run t
        LEFT JOIN LATERAL (
            SELECT array_agg(version ORDER BY version) AS versions FROM runs.task_run_state WHERE task_run_id = t.id
        ) s ON true
        WHERE s.versions IS DISTINCT FROM (SELECT array_agg(n) FROM generate_series(0, t.version) n)
    """,
    "A flow run is in the state of its newest history row": """
        SELECT r.id, r.state, s.state FROM runs.flow_run r
        JOIN runs.flow_run_state s ON s.flow_run_id = r.id AND s.version = r.version
        WHERE (s.state, s.serialized_state, s.timestamp, s.start_time)
            IS DISTINCT FROM (r.state, r.serialized_state, r.state_timestamp, r.state_start_time)
    """,
    "A task run is in the state of its newest history row": """
        SELECT t.id, t.state, s.state FROM runs.task_run t
        JOIN runs.task_run_state s ON s.task_run_id = t.id AND s.version = t.version
        WHERE (s.state, s.serialized_state, s.timestamp, s.start_time)
            IS DISTINCT FROM (t.state, t.serialized_state, t.state_timestamp, t.state_start_time)
    """,
    "Histories belong to runs that exist": """
        SELECT s.flow_run_id FROM runs.flow_run_state s
        WHERE NOT EXISTS (SELECT FROM runs.flow_run r WHERE r.id = s.flow_run_id)
        UNION ALL
        SELECT s.task_run_id FROM runs.task_run_state s
        WHERE NOT EXISTS (SELECT FROM runs.task_run t WHERE t.id = s.task_run_id)
    """,
    "A history goes forward in time": """
        SELECT * FROM (
            SELECT flow_run_id, version, timestamp,
                lag(timestamp) OVER (PARTITION BY flow_run_id ORDER BY version) AS before
            FROM runs.flow_run_state
        ) s WHERE before >= timestamp
    """,
    "A run has a task run for each task of its flow": """
        SELECT r.id, k.id FROM runs.flow_run r JOIN registry.task k ON k.flow_id = r.flow_id
        WHERE NOT EXISTS (
            SELECT FROM runs.task_run t WHERE t.flow_run_id = r.id AND t.task_id = k.id AND t.map_index = -1
        )
    """,
    "A run is submitted at most once for each time it waited": """
        SELECT flow_run_id FROM runs.flow_run_state GROUP BY flow_run_id
        HAVING count(*) FILTER (WHERE state = 'Submitted')
            > count(*) FILTER (WHERE state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying'))
    """,
    "A run has an end exactly while it is finished": """
        SELECT id, state, end_time FROM runs.flow_run
        WHERE (end_time IS NOT NULL) <> (state IN ('Finished', 'Looped', 'Success', 'Cached', 'Mapped', 'Skipped',
            'Cancelled', 'Failed', 'TimedOut', 'TriggerFailed', 'ValidationFailed'))
    """,
    "An instant of a schedule happens at most once": """
        SELECT flow_group_id, scheduled_start_time, schedule_hash FROM runs.flow_run WHERE schedule_hash IS NOT NULL
        GROUP BY 1, 2, 3 HAVING count(*) > 1
    """,
    "Every committed event was published": "SELECT id, subject FROM runs.outbox",
}


async def check_ledger(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Assert every sentence; the first broken one is the failure, with rows that break it."""
    for sentence, sql in SENTENCES.items():
        broken = await pool.fetch(f"SELECT * FROM ({sql}) broken LIMIT 5")
        assert not broken, f"{sentence}. Not so: {[dict(row) for row in broken]}"
