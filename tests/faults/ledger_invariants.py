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
        SELECT flow_id, scheduled_start_time, schedule_hash FROM runs.flow_run WHERE schedule_hash IS NOT NULL
        GROUP BY 1, 2, 3 HAVING count(*) > 1
    """,
    "A slot of a limit is occupied by a run that is at work": """
        SELECT s.limit_id, s.run_id FROM runs.concurrency_slot s
        LEFT JOIN runs.flow_run r ON r.id = s.flow_run_id AND r.state IN ('Submitted', 'Running', 'Cancelling')
        LEFT JOIN runs.task_run t ON t.id = s.run_id AND t.state IN ('Running', 'Cancelling')
        WHERE r.id IS NULL OR s.run_id <> s.flow_run_id AND t.id IS NULL
    """,
    "A run at work occupies a slot of each of its limits": """
        SELECT l.id, r.id FROM runs.flow_concurrency_limit l
        JOIN runs.flow_run r ON r.tenant_id = l.tenant_id AND r.labels ? l.name AND r.state IN ('Submitted', 'Running')
        WHERE NOT EXISTS (SELECT FROM runs.concurrency_slot s WHERE (s.limit_id, s.run_id) = (l.id, r.id))
        UNION ALL
        SELECT l.id, t.id FROM runs.task_tag_limit l
        JOIN runs.task_run t ON t.tenant_id = l.tenant_id AND t.state = 'Running'
        JOIN runs.flow_run r ON r.id = t.flow_run_id AND r.state IN ('Running', 'Cancelling')
        JOIN registry.task k ON k.id = t.task_id AND k.tags ? l.tag
        WHERE NOT EXISTS (SELECT FROM runs.concurrency_slot s WHERE (s.limit_id, s.run_id) = (l.id, t.id))
    """,
    "No more runs are at work than their limit allows": """
        SELECT s.limit_id, count(*), max(l."limit") FROM runs.concurrency_slot s
        JOIN (
            SELECT id, "limit" FROM runs.flow_concurrency_limit UNION ALL SELECT id, "limit" FROM runs.task_tag_limit
        ) l ON l.id = s.limit_id
        GROUP BY s.limit_id HAVING count(*) > max(l."limit")
    """,
    "At no time did more task runs run than their tag allows": """
        SELECT limit_id, allowed, max(at_once) FROM (
            SELECT limit_id, allowed, sum(by) OVER (PARTITION BY limit_id ORDER BY timestamp, by) AS at_once FROM (
                SELECT l.id AS limit_id, l."limit" AS allowed, s.timestamp, (s.state = 'Running')::int
                    - coalesce(lag(s.state = 'Running') OVER (PARTITION BY l.id, t.id ORDER BY s.version), false)::int
                    AS by
                FROM runs.task_tag_limit l
                JOIN registry.task k ON k.tenant_id = l.tenant_id AND k.tags ? l.tag
                JOIN runs.task_run t ON t.task_id = k.id
                JOIN runs.task_run_state s ON s.task_run_id = t.id
            ) step
        ) history
        GROUP BY limit_id, allowed HAVING max(at_once) > allowed
    """,
    "Every committed event was published": "SELECT id, subject FROM runs.outbox",
}


async def check_ledger(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Assert every sentence; the first broken one is the failure, with rows that break it."""
    for sentence, sql in SENTENCES.items():
        broken = await pool.fetch(f"SELECT * FROM ({sql}) broken LIMIT 5")
        assert not broken, f"{sentence}. Not so: {[dict(row) for row in broken]}"
