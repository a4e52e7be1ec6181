-- Append states to task runs and copy each run's newest onto its row (as write_flow_run_states.sql, with the same
-- condition).
WITH moved AS (
    SELECT * FROM {moved}
), history AS (
    INSERT INTO runs.task_run_state
        (id, created, updated, tenant_id, task_run_id, timestamp, state, message, start_time, serialized_state, version,
        actor)
    SELECT history_id, at, at, tenant_id, run_id, at, state, message, state_start_time, serialized_state::jsonb, version,
        actor
    FROM moved
)
UPDATE runs.task_run t SET
    updated = m.at, version = m.version, state = m.state, state_timestamp = m.at, state_message = m.message,
    state_start_time = m.state_start_time, serialized_state = m.serialized_state::jsonb, start_time = m.start_time,
    end_time = m.end_time, heartbeat = m.heartbeat, retries = m.retries
FROM moved m
WHERE t.id = m.run_id AND t.version = m.replaces
