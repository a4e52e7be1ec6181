-- Planned runs of these instants that nobody has touched, locked to be given their present inputs.
--
-- The race: an agent takes one meanwhile, or a person renames it. The lock waits for them, and the condition is looked
-- at again under it. Whoever touches a run writes `updated`; what this does to one is not a touch.
SELECT r.id, k.number FROM runs.flow_run r
JOIN unnest($3::timestamptz[], $4::text[]) WITH ORDINALITY AS k (start_time, schedule_hash, number)
    ON r.scheduled_start_time = k.start_time AND r.schedule_hash = k.schedule_hash
WHERE r.flow_id = $1 AND r.flow_group_id = $2
    AND r.state = 'Scheduled' AND r.version = 1 AND r.updated = r.created
ORDER BY r.id
FOR UPDATE OF r
