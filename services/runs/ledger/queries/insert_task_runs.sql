-- Insert the Pending task runs of new flow runs with their first history rows, as version 0.
-- No race: the flow runs are of this transaction, and until it commits no other transaction can make task runs of them.
WITH wanted AS (
    SELECT * FROM {wanted}
), history AS (
    INSERT INTO runs.task_run_state
        (id, created, updated, tenant_id, task_run_id, timestamp, state, message, serialized_state, version)
    SELECT history_id, {at}, {at}, tenant_id, id, {at}, 'Pending', {message}, {serialized_state}::jsonb, 0 FROM wanted
)
INSERT INTO runs.task_run
    (id, created, updated, tenant_id, flow_run_id, task_id, map_index, cache_key, version, state, state_timestamp,
     state_message, serialized_state)
SELECT id, {at}, {at}, tenant_id, flow_run_id, task_id, map_index, cache_key, 0, 'Pending', {at}, {message},
    {serialized_state}::jsonb
FROM wanted
