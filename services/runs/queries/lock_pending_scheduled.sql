-- Pending auto-scheduled runs of a flow, locked for deletion, except for the keys to keep.
-- The race: an agent submits one of them meanwhile. The lock waits for it, and the condition is checked again under the
-- lock, so a run that has started is never deleted. Version 1: a run that has left Scheduled once was started or
-- changed by a person.
SELECT r.id FROM runs.flow_run r
WHERE r.tenant_id = $1 AND r.flow_id = $2 AND r.schedule_hash IS NOT NULL AND r.state = 'Scheduled' AND r.version = 1
    AND r.scheduled_start_time > coalesce($6::timestamptz, '-infinity')
    AND NOT EXISTS (
        SELECT FROM unnest($3::timestamptz[], $4::text[]) AS k (start_time, schedule_hash)
        WHERE k.start_time = r.scheduled_start_time AND k.schedule_hash = r.schedule_hash
    )
ORDER BY r.id
LIMIT $5
FOR UPDATE OF r
