-- Insert Pending task runs with their first history row, as version 0.
--
-- The race: two requests for the same (flow run, task, map index). The unique key decides; a task run that is not among
-- the returned ids already exists and is read again. Rows come sorted by key, so two inserts cannot deadlock.
WITH wanted AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::int[], $6::text[], $7::uuid[])
        AS w (id, tenant_id, flow_run_id, task_id, map_index, cache_key, history_id)
), made AS (
    INSERT INTO runs.task_run
        (id, created, updated, tenant_id, flow_run_id, task_id, map_index, cache_key, version, state, state_timestamp,
         state_message, serialized_state)
    SELECT id, $8, $8, tenant_id, flow_run_id, task_id, map_index, cache_key, 0, 'Pending', $8, $9, $10::jsonb
    FROM wanted
    ON CONFLICT (flow_run_id, task_id, map_index) DO NOTHING
    RETURNING id
), history AS (
    INSERT INTO runs.task_run_state
        (id, created, updated, tenant_id, task_run_id, timestamp, state, message, serialized_state, version)
    SELECT w.history_id, $8, $8, w.tenant_id, w.id, $8, 'Pending', $9, $10::jsonb, 0
    FROM wanted w JOIN made USING (id)
)
SELECT id FROM made
