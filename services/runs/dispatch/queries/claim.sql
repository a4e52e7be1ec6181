-- Take due runs with one of these label sets, oldest first, and lock them.
-- The race: several replicas, each with agents that wait, and stock agents that submit. SKIP LOCKED lets replicas take
-- different runs without waiting for each other; the returned rows are locked, so no other transaction submits them
-- before we commit. Rows are not locked in id order, which is safe because this statement never waits, and its
-- transaction locks nothing else but concurrency limits, whose holders wait for no runs.
-- The other race: the registry archives or deletes the flow of a due run at the same time. Flows with a committed
-- archiving are skipped; the others are locked until we commit (registry.share_free_flows), so after the answer to an
-- archiving no run is given out. A flow that the registry is just changing is left to the next pass, without waiting.
-- Archiving ends no running work: a run that has begun goes on, and so does a Queued one, which an agent has started.
-- The third race: the tenant's work queue is paused at the same time. Whoever finds it open keeps it from being paused
-- until we commit (gateway.work_queue_is_open), so after the answer to a pause no run is given out.
-- The index: row comparisons, for the reason in look.sql.
WITH open_queue AS MATERIALIZED (
    SELECT gateway.work_queue_is_open($1) AS is_open
), wanted AS (
    SELECT jsonb_hash_extended(given::jsonb, 0) AS key, given::jsonb AS labels FROM unnest($2::text[]) AS given
    WHERE (SELECT is_open FROM open_queue)
), scheduled AS (
    SELECT due.* FROM wanted
    CROSS JOIN LATERAL (
        SELECT r.id, r.state_start_time AS due_at FROM runs.flow_run r
        WHERE (r.tenant_id, jsonb_hash_extended(r.labels, 0), r.state_start_time) >= ($1, wanted.key, '-infinity')
            AND (r.tenant_id, jsonb_hash_extended(r.labels, 0), r.state_start_time) <= ($1, wanted.key, now())
            AND r.state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying') AND r.labels = wanted.labels
            AND (r.state <> 'Queued' OR r.lease_token IS NULL OR r.lease_expires IS NULL OR r.lease_expires <= now())
            AND (
                SELECT NOT f.archived OR r.start_time IS NOT NULL OR r.state = 'Queued'
                FROM registry.flow f WHERE f.id = r.flow_id
            )
        ORDER BY r.tenant_id, jsonb_hash_extended(r.labels, 0), r.state_start_time LIMIT $3
        FOR NO KEY UPDATE SKIP LOCKED
    ) due
), retrying AS (
    SELECT r.id, r.state_start_time AS due_at FROM runs.flow_run r
    WHERE r.state = 'Running' AND (r.lease_token IS NULL OR r.lease_expires IS NULL OR r.lease_expires <= now())
        AND r.id IN (
            SELECT t.flow_run_id FROM runs.task_run t
            WHERE t.tenant_id = $1 AND t.state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
                AND t.state_start_time <= now() - interval '3 seconds'
        )
        AND EXISTS (SELECT FROM wanted WHERE wanted.labels = r.labels)
    LIMIT $3
    FOR NO KEY UPDATE SKIP LOCKED
), taken AS MATERIALIZED (
    SELECT due.id, due.due_at, r.flow_id, r.start_time IS NOT NULL OR r.state = 'Queued' AS goes_on
    FROM (SELECT * FROM scheduled UNION ALL SELECT * FROM retrying) due
    JOIN runs.flow_run r ON r.id = due.id
)
SELECT r.id, r.labels, r.name, r.flow_id, r.serialized_state, r.run_config, coalesce(due.due_at, now()) AS due_at,
    f.name AS flow_name, f.core_version, f.storage
FROM taken due
JOIN registry.share_free_flows(ARRAY(SELECT DISTINCT flow_id FROM taken)) free ON free.id = due.flow_id
JOIN runs.flow_run r ON r.id = due.id
JOIN registry.flow f ON f.id = r.flow_id
WHERE NOT free.archived OR due.goes_on
ORDER BY due.due_at, r.id
LIMIT $3
