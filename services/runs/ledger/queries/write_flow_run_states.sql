-- Append states to flow runs, copy each run's newest onto its row, and put the events into the outbox, in one
-- statement: each further statement would be a further round trip while the rows are locked.
-- The rows are locked (lock_flow_runs.sql) and the versions were counted under the lock. If that is ever untrue, the
-- condition on the version skips the row, fewer rows come back than went in, and the caller rolls back.
WITH moved AS (
    SELECT * FROM {moved}
), history AS (
    INSERT INTO runs.flow_run_state
        (id, created, updated, tenant_id, flow_run_id, timestamp, state, message, start_time, serialized_state, version,
        actor)
    SELECT history_id, at, at, tenant_id, run_id, at, state, message, state_start_time, serialized_state::jsonb, version,
        actor
    FROM moved
), outbox AS (
    INSERT INTO runs.outbox (id, subject, body, traceparent)
    SELECT *, {traceparent}::text FROM {events}
)
UPDATE runs.flow_run r SET
    updated = m.at, version = m.version, state = m.state, state_timestamp = m.at, state_message = m.message,
    state_start_time = m.state_start_time, serialized_state = m.serialized_state::jsonb, start_time = m.start_time,
    end_time = m.end_time, heartbeat = m.heartbeat, agent_id = m.agent_id, times_resurrected = m.times_resurrected,
    attempt = m.attempt, lease_token = m.lease_token, late_reason = NULL
FROM moved m
-- `replaces` is the current version of the row; it is null for states that a later one of the batch replaces.
WHERE r.id = m.run_id AND r.version = m.replaces
