-- Planned runs of these instants that no person has changed, locked to get their current inputs.
-- The race: an agent takes one meanwhile, or a person renames it. The lock waits for them, and the condition is checked
-- again under it. Every change by a person or an agent writes `updated`; this update does not.
SELECT r.id, k.number FROM runs.flow_run r
JOIN unnest($3::timestamptz[], $4::text[]) WITH ORDINALITY AS k (start_time, schedule_hash, number)
    ON r.scheduled_start_time = k.start_time AND r.schedule_hash = k.schedule_hash
WHERE r.flow_id = $1 AND r.flow_group_id = $2
    AND r.state = 'Scheduled' AND r.version = 1 AND r.updated = r.created
ORDER BY r.id
FOR UPDATE OF r
