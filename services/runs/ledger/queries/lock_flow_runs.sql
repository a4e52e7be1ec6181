-- Lock the flow runs of a batch, and read the facts for decisions under the lock.
-- The race: two replicas whose batches touch the same runs. Every transaction of the ledger locks in one order: flow
-- runs by id, then task runs by id, then unique keys of new rows in key order; so they wait for each other and never
-- deadlock. NO KEY UPDATE, because inserting a task run takes a key share lock on its flow run.
-- The other race: the registry archives or deletes the flow of a run that is to be submitted ($3). Its flow is locked
-- until we commit, and counts as archived if the registry is just changing it: a claim holds locks on runs when it
-- locks flows, as we do here, so neither may wait for the registry. Read, and locked, only if there are such runs.
-- The third race: the tenant's work queue is paused. It stays open until we commit if we find it so
-- (gateway.work_queue_is_open), for runs that are to be submitted, and for task runs of theirs ($4): an agent submits
-- those of a run whose process left before a retry.
WITH open_queue AS MATERIALIZED (
    SELECT t.tenant_id FROM (
        SELECT s.tenant_id FROM runs.flow_run s WHERE s.id = ANY ($3::uuid[])
        UNION SELECT k.tenant_id FROM runs.task_run k WHERE k.id = ANY ($4::uuid[])
    ) t
    WHERE gateway.work_queue_is_open(t.tenant_id)
), in_force AS MATERIALIZED (
    SELECT f.id
    FROM registry.share_free_flows(ARRAY(SELECT s.flow_id FROM runs.flow_run s WHERE s.id = ANY ($3::uuid[]))) f
    WHERE NOT f.archived
)
SELECT
    r.id, r.tenant_id, r.flow_id, r.version, r.state, r.state_timestamp, r.state_start_time, r.start_time,
    r.end_time, r.heartbeat, r.agent_id, r.times_resurrected, r.attempt, r.lease_token,
    coalesce(g.settings -> 'version_locking_enabled' = 'true', false) AS version_locking,
    coalesce(g.settings -> 'heartbeat_enabled' <> 'false', true) AS heartbeat_enabled,
    coalesce(g.settings -> 'lazarus_enabled' <> 'false', true) AS lazarus_enabled,
    -- Read once for the whole statement: without limits it costs an empty list.
    r.tenant_id IN (
        SELECT tenant_id FROM runs.flow_concurrency_limit UNION ALL SELECT tenant_id FROM runs.task_tag_limit
    ) AS limited,
    r.id = ANY ($3::uuid[]) AND r.start_time IS NULL AND r.state <> 'Queued'
        AND NOT EXISTS (SELECT FROM in_force f WHERE f.id = r.flow_id) AS withheld,
    ($3::uuid[] <> '{}' OR $4::uuid[] <> '{}') AND NOT EXISTS (SELECT FROM open_queue o WHERE o.tenant_id = r.tenant_id)
        AS queue_is_closed
FROM runs.flow_run r
LEFT JOIN registry.flow_group g ON g.id = r.flow_group_id
-- The flow runs of task runs, too; a task run never changes its flow run, so no lock is needed to know.
WHERE r.id = ANY (
    ARRAY(SELECT unnest($1::uuid[]) UNION SELECT t.flow_run_id FROM runs.task_run t WHERE t.id = ANY ($2::uuid[]))
)
ORDER BY r.id
FOR NO KEY UPDATE OF r
