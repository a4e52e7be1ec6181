-- Insert flow runs with their first state, Scheduled, as version 1.
-- The races: two requests with one idempotency key, two schedulers with one instant. The unique keys decide; a run that
-- is not among the returned ids already exists. Rows come sorted by key, so two inserts cannot deadlock.
WITH wanted AS (
    SELECT * FROM {wanted}
), made AS (
    INSERT INTO runs.flow_run
        (id, created, updated, tenant_id, flow_id, flow_group_id, name, parameters, labels, run_config, context, version,
         scheduled_start_time, auto_scheduled, schedule_hash, idempotency_key, state, state_timestamp, state_message,
         state_start_time, serialized_state, created_by)
    SELECT id, at, at, tenant_id, flow_id, flow_group_id, name, parameters::jsonb, labels::jsonb, run_config::jsonb,
        context::jsonb, 1, scheduled_start_time, auto_scheduled, schedule_hash, idempotency_key, 'Scheduled', at, message,
        scheduled_start_time, serialized_state::jsonb, created_by
    FROM wanted
    ON CONFLICT DO NOTHING
    RETURNING id
), history AS (
    INSERT INTO runs.flow_run_state
        (id, created, updated, tenant_id, flow_run_id, timestamp, state, message, start_time, serialized_state, version,
        actor)
    SELECT w.history_id, w.at, w.at, w.tenant_id, w.id, w.at, 'Scheduled', w.message, w.scheduled_start_time,
        w.serialized_state::jsonb, 1, w.created_by
    FROM wanted w JOIN made USING (id)
)
SELECT id FROM made
