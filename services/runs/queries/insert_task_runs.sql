-- Insert the Pending task runs of new flow runs with their first history rows, as version 0.
--
-- No race: the flow runs are of this transaction, and until it commits nobody can make task runs of theirs.
WITH wanted AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::int[], $6::text[], $7::uuid[])
        AS w (id, tenant_id, flow_run_id, task_id, map_index, cache_key, history_id)
), history AS (
    INSERT INTO runs.task_run_state
        (id, created, updated, tenant_id, task_run_id, timestamp, state, message, serialized_state, version)
    SELECT history_id, $8, $8, tenant_id, id, $8, 'Pending', $9, $10::jsonb, 0 FROM wanted
)
INSERT INTO runs.task_run
    (id, created, updated, tenant_id, flow_run_id, task_id, map_index, cache_key, version, state, state_timestamp,
     state_message, serialized_state)
SELECT id, $8, $8, tenant_id, flow_run_id, task_id, map_index, cache_key, 0, 'Pending', $8, $9, $10::jsonb
FROM wanted
