-- Due runs for an agent, oldest first.
-- Starvation is the danger: 100,000 runs without an agent may come before the one that this agent could run. So the
-- labels come first and the time second, in the index as in the query: for each label set that the agent may serve, its
-- oldest due runs. $4 are those sets if they are few; if it is null, the sets of waiting runs are walked by skipping
-- through the index, one descent per distinct set, independent of the number of runs.
-- A run under a full concurrency limit is not offered, and of others no more than there is room for: each due run
-- counts, oldest first, against the free slots of every limit on one of its labels. This only saves agents claims that
-- would be refused; the limit is enforced when the run is claimed (lock_limits.sql).
-- A Running flow run is due again when a task run of it is: a retry of more than ten minutes, whose process has left.
-- The race: the registry archives or deletes a flow, and its runs are removed when the ledger gets the event, shortly
-- after. So each run is looked up in the registry, in this statement: commits are seen here. Archiving ends no running
-- work (upkeep.clear_archived), so runs that have begun are still offered, and Queued ones, which an agent has started;
-- of a deleted flow none is. As a subquery and not as a join, so that no plan reads all flows: one descent by the key
-- for each run that is offered.
-- While the tenant's work queue is paused nothing is due. A pause that commits just after this statement holds all the
-- same: Submitted is refused (lock_flow_runs.sql).
WITH RECURSIVE open_queue AS MATERIALIZED (
    SELECT NOT EXISTS (
        SELECT FROM gateway.tenant t WHERE t.id = $1 AND t.settings -> 'work_queue_paused' = 'true'
    ) AS is_open
), room AS MATERIALIZED (
    SELECT l.name, l."limit" - (SELECT count(*) FROM runs.concurrency_slot s WHERE s.limit_id = l.id) AS free
    FROM runs.flow_concurrency_limit l WHERE l.tenant_id = $1
), waiting_set (key, labels) AS (
    (
        SELECT jsonb_hash_extended(r.labels, 0), r.labels FROM runs.flow_run r
        WHERE $4::text[] IS NULL AND (SELECT is_open FROM open_queue) AND r.tenant_id = $1 AND r.state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
        ORDER BY jsonb_hash_extended(r.labels, 0) LIMIT 1
    )
    UNION ALL
    SELECT next.key, next.labels FROM waiting_set w
    CROSS JOIN LATERAL (
        SELECT jsonb_hash_extended(r.labels, 0) AS key, r.labels FROM runs.flow_run r
        WHERE r.tenant_id = $1 AND r.state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
            AND jsonb_hash_extended(r.labels, 0) > w.key
        ORDER BY jsonb_hash_extended(r.labels, 0) LIMIT 1
    ) next
), matching (key, labels) AS (
    SELECT jsonb_hash_extended(given::jsonb, 0), given::jsonb FROM unnest($4::text[]) AS given
    WHERE (SELECT is_open FROM open_queue)
    UNION ALL
    SELECT key, labels FROM waiting_set WHERE labels <@ $3::jsonb AND (labels <> '[]' OR $3::jsonb = '[]')
), servable (key) AS (
    SELECT key FROM matching m WHERE NOT EXISTS (SELECT FROM room WHERE m.labels ? room.name AND room.free <= 0)
), scheduled AS (
    SELECT due.id, due.state_start_time AS due_at, due.labels FROM servable
    CROSS JOIN LATERAL (
        SELECT r.id, r.state_start_time, r.labels FROM runs.flow_run r
        WHERE r.tenant_id = $1 AND r.state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
            AND jsonb_hash_extended(r.labels, 0) = servable.key
            AND r.state_start_time <= coalesce($2, now())
            AND r.labels <@ $3::jsonb AND (r.labels <> '[]' OR $3::jsonb = '[]')
            AND (
                SELECT NOT f.archived OR r.start_time IS NOT NULL OR r.state = 'Queued'
                FROM registry.flow f WHERE f.id = r.flow_id
            )
        ORDER BY r.state_start_time LIMIT $5
    ) due
), fitting AS (
    SELECT id, due_at FROM scheduled
    EXCEPT
    SELECT id, due_at FROM (
        SELECT s.id, s.due_at, room.free, row_number() OVER (PARTITION BY room.name ORDER BY s.due_at, s.id) AS position
        FROM scheduled s JOIN room ON s.labels ? room.name
    ) ranked WHERE position > free
), retrying AS (
    SELECT r.id, min(t.state_start_time) AS due_at
    FROM runs.task_run t JOIN runs.flow_run r ON r.id = t.flow_run_id
    WHERE (SELECT is_open FROM open_queue)
        AND t.tenant_id = $1 AND t.state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
        AND t.state_start_time <= coalesce($2, now())
        AND r.state = 'Running'
        -- under a valid lease a native agent's process itself sleeps until the retry
        AND (r.lease_token IS NULL OR r.lease_expires IS NULL OR r.lease_expires <= now())
        AND r.labels <@ $3::jsonb AND (r.labels <> '[]' OR $3::jsonb = '[]')
        AND EXISTS (SELECT FROM registry.flow f WHERE f.id = r.flow_id)
    GROUP BY r.id ORDER BY due_at LIMIT $5
)
SELECT id FROM (SELECT * FROM fitting UNION ALL SELECT * FROM retrying) due
ORDER BY due_at, id LIMIT $5
