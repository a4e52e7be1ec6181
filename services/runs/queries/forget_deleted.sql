-- A person has switched on the schedule of this flow, which was on already. If no planned run was left when the last
-- instant was deleted, the tombstones are deleted and the scheduler makes the runs again: an active schedule without
-- runs is never intended. If some were left, the deleted instants stay deleted.
-- Time has passed since, and the next instant may have been added at the end. So a planned run shows "some were left"
-- only if it was made before the last deletion, or comes before the last deleted instant.
DELETE FROM runs.deleted_instant d
WHERE d.tenant_id = $1 AND d.flow_id = $2 AND NOT EXISTS (
    SELECT FROM runs.flow_run r
    CROSS JOIN (
        SELECT max(l.start_time) AS start_time, max(l.deleted) AS deleted FROM runs.deleted_instant l
        WHERE l.tenant_id = $1 AND l.flow_id = $2
    ) last
    WHERE r.flow_id = $2 AND r.tenant_id = $1 AND r.schedule_hash IS NOT NULL
        AND r.state = 'Scheduled' AND r.scheduled_start_time > coalesce($3, now())
        AND (r.created < last.deleted OR r.scheduled_start_time < last.start_time)
)
