-- Lock the task runs of a batch, after its flow runs (see lock_flow_runs.sql for the order and why).
SELECT
    t.id, t.tenant_id, t.flow_run_id, t.version, t.state, t.state_timestamp, t.start_time, t.end_time, t.heartbeat,
    t.retries, t.serialized_state -> 'cached_inputs' AS cached_inputs,
    coalesce(g.settings -> 'version_locking_enabled' = 'true', false) AS version_locking,
    t.tenant_id IN (SELECT tenant_id FROM runs.task_tag_limit) AS limited
FROM runs.task_run t
JOIN runs.flow_run r ON r.id = t.flow_run_id
LEFT JOIN registry.flow_group g ON g.id = r.flow_group_id
WHERE t.id = ANY ($1::uuid[])
ORDER BY t.id
FOR NO KEY UPDATE OF t
