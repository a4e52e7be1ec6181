-- A person has switched on the schedule of this flow, which was on. Where nothing of it is planned, all that was ahead had been
-- deleted, and an active schedule without runs is what nobody means: the tombstones go, and the scheduler makes the
-- runs again. Where something is planned, what was deleted one by one stays away.
DELETE FROM runs.deleted_instant d
WHERE d.tenant_id = $1 AND d.flow_id = $2 AND NOT EXISTS (
    SELECT FROM runs.flow_run r
    WHERE r.flow_id = $2 AND r.tenant_id = $1 AND r.schedule_hash IS NOT NULL
        AND r.state = 'Scheduled' AND r.scheduled_start_time > coalesce($3, now())
)
