-- Write why due runs have not started. Returns how many rows were changed, a bounded step at a time.
-- The reason depends on the labels only, so it is found once per label set. A full concurrency limit comes before
-- agents: the run waits for the limit, however many agents there are; and a paused work queue before both. A Queued run
-- has waited since that state; at its start time it is offered to agents again, and until then its own process asks.
-- The race: a run starts while it is being marked. Its row is locked and checked again first, rows that are locked
-- already are skipped, and every state that a run takes clears the reason (write_flow_run_states.sql); so no run that
-- has started keeps one.
WITH late AS MATERIALIZED (
    SELECT id, tenant_id, labels, state, state_start_time, late_reason FROM runs.flow_run
    WHERE state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
        AND (state_start_time <= $1 OR state = 'Queued' AND state_timestamp <= $1
            OR (state_start_time IS NULL AND state = 'Paused' AND scheduled_start_time <= $1))
), full_limit AS MATERIALIZED (
    SELECT l.tenant_id, l.name, l."limit" FROM runs.flow_concurrency_limit l
    WHERE l."limit" <= (SELECT count(*) FROM runs.concurrency_slot c WHERE c.limit_id = l.id)
), agents AS (
    SELECT s.tenant_id, s.labels,
        min(format('limit_full: label %s, limit %s', f.name, f."limit")) FILTER (WHERE f.name IS NOT NULL) AS limit_full,
        CASE
            WHEN count(a.id) = 0 THEN 'no_matching_agent'
            WHEN coalesce(max(a.last_queried), '-infinity') < $2 THEN 'agent_silent'
            ELSE 'not_claimed'
        END AS unclaimed,
        EXISTS (
            SELECT FROM gateway.tenant t WHERE t.id = s.tenant_id AND t.settings -> 'work_queue_paused' = 'true'
        ) AS is_paused
    FROM (SELECT DISTINCT tenant_id, labels FROM late) s
    LEFT JOIN full_limit f ON f.tenant_id = s.tenant_id AND s.labels ? f.name
    LEFT JOIN runs.agent a ON a.tenant_id = s.tenant_id AND s.labels <@ a.labels AND (s.labels <> '[]' OR a.labels = '[]')
    GROUP BY s.tenant_id, s.labels
), wrong AS (
    SELECT late.id, r.reason FROM late JOIN agents USING (tenant_id, labels)
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN late.state = 'Paused' THEN 'paused'
            WHEN is_paused THEN 'work_queue_paused'
            WHEN limit_full IS NOT NULL THEN limit_full
            WHEN late.state = 'Queued' AND late.state_start_time > $1 THEN 'not_claimed'
            ELSE unclaimed
        END AS reason
    ) r
    WHERE late.late_reason IS DISTINCT FROM r.reason
    LIMIT $3
), held AS (
    SELECT f.id, f.state FROM runs.flow_run f WHERE f.id IN (SELECT id FROM wrong)
    ORDER BY f.id
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE runs.flow_run f SET late_reason = wrong.reason
FROM held JOIN wrong USING (id)
WHERE f.id = held.id AND held.state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
