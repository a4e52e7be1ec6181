-- Which label sets of these tenants have runs that are due, or come due within the horizon, and how soon.
-- Starvation and cost are the dangers, as in runs_in_queue.sql: the sets are found by skipping through the queue's
-- index, and of each set only its earliest run is read, so a million waiting runs cost only as much as their label
-- sets. So it must be this index at every size and mix of the tables: it alone has the order that is asked for, no other
-- has all columns of the row comparisons, and these connections do not sort (queue_database.py).
-- A run under a live lease is not due: a Queued run whose process waits for a slot, a Running one whose process
-- sleeps before a retry. A set whose concurrency limit is full is not due either: freeing a slot starts a new look at
-- the tenant. Runs of archived and deleted flows are skipped, as in runs_in_queue.sql. The three seconds are Prefect
-- Server's: a process that wakes by itself gets this time to do so.
-- Of a tenant whose work queue is paused nothing is due. What waited when it was resumed is `backlog`.
WITH RECURSIVE open_queue AS MATERIALIZED (
    SELECT given.tenant_id, t.work_queue_resumed FROM unnest($1::uuid[]) AS given (tenant_id)
    LEFT JOIN gateway.tenant t ON t.id = given.tenant_id
    WHERE t.settings -> 'work_queue_paused' IS DISTINCT FROM 'true'
), waiting_set (tenant_id, key, labels) AS (
    SELECT t.tenant_id, first.key, first.labels
    FROM open_queue t
    CROSS JOIN LATERAL (
        SELECT r.tenant_id, jsonb_hash_extended(r.labels, 0) AS key, r.labels FROM runs.flow_run r
        WHERE r.tenant_id >= t.tenant_id AND r.state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
        ORDER BY r.tenant_id, jsonb_hash_extended(r.labels, 0) LIMIT 1
    ) first
    WHERE first.tenant_id = t.tenant_id
    UNION ALL
    SELECT w.tenant_id, next.key, next.labels FROM waiting_set w
    CROSS JOIN LATERAL (
        SELECT r.tenant_id, jsonb_hash_extended(r.labels, 0) AS key, r.labels FROM runs.flow_run r
        WHERE (r.tenant_id, jsonb_hash_extended(r.labels, 0)) > (w.tenant_id, w.key)
            AND r.state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
        ORDER BY r.tenant_id, jsonb_hash_extended(r.labels, 0) LIMIT 1
    ) next
    WHERE next.tenant_id = w.tenant_id
), full_limit AS MATERIALIZED (
    SELECT l.tenant_id, l.name FROM runs.flow_concurrency_limit l
    WHERE l.tenant_id = ANY ($1::uuid[])
        AND l."limit" <= (SELECT count(*) FROM runs.concurrency_slot s WHERE s.limit_id = l.id)
)
SELECT w.tenant_id, w.labels, extract(epoch FROM earliest.at - clock_timestamp())::float8 AS due_in,
    coalesce(earliest.at < open_queue.work_queue_resumed, false) AS backlog
FROM waiting_set w
JOIN open_queue USING (tenant_id)
CROSS JOIN LATERAL (
    SELECT r.state_start_time AS at FROM runs.flow_run r
    WHERE (r.tenant_id, jsonb_hash_extended(r.labels, 0), r.state_start_time) >= (w.tenant_id, w.key, '-infinity')
        AND (r.tenant_id, jsonb_hash_extended(r.labels, 0), r.state_start_time)
            <= (w.tenant_id, w.key, now() + $2::interval)
        AND r.state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
        AND (r.state <> 'Queued' OR r.lease_token IS NULL OR r.lease_expires IS NULL OR r.lease_expires <= now())
        AND (
            SELECT NOT f.archived OR r.start_time IS NOT NULL OR r.state = 'Queued'
            FROM registry.flow f WHERE f.id = r.flow_id
        )
    ORDER BY r.tenant_id, jsonb_hash_extended(r.labels, 0), r.state_start_time LIMIT 1
) earliest
WHERE NOT EXISTS (SELECT FROM full_limit f WHERE f.tenant_id = w.tenant_id AND w.labels ? f.name)
UNION ALL
SELECT DISTINCT r.tenant_id, r.labels, 0::float8, false
FROM runs.task_run t JOIN runs.flow_run r ON r.id = t.flow_run_id
WHERE t.tenant_id = ANY (ARRAY(SELECT tenant_id FROM open_queue)) AND t.state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
    AND t.state_start_time <= now() - interval '3 seconds'
    AND r.state = 'Running' AND (r.lease_token IS NULL OR r.lease_expires IS NULL OR r.lease_expires <= now())
    AND EXISTS (SELECT FROM registry.flow f WHERE f.id = r.flow_id)
