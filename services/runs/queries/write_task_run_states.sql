-- Append states to task runs and copy each run's newest onto its row (as write_flow_run_states.sql, same guard).
WITH moved AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::text[], $6::timestamptz[], $7::text[], $8::timestamptz[],
        $9::text[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::int[], $14::int[]
    ) AS m (
        history_id, run_id, tenant_id, version, state, at, message, state_start_time,
        serialized_state, start_time, end_time, heartbeat, retries, replaces
    )
), history AS (
    INSERT INTO runs.task_run_state
        (id, created, updated, tenant_id, task_run_id, timestamp, state, message, start_time, serialized_state, version)
    SELECT history_id, at, at, tenant_id, run_id, at, state, message, state_start_time, serialized_state::jsonb, version
    FROM moved
)
UPDATE runs.task_run t SET
    updated = m.at, version = m.version, state = m.state, state_timestamp = m.at, state_message = m.message,
    state_start_time = m.state_start_time, serialized_state = m.serialized_state::jsonb, start_time = m.start_time,
    end_time = m.end_time, heartbeat = m.heartbeat, retries = m.retries
FROM moved m
WHERE t.id = m.run_id AND t.version = m.replaces
