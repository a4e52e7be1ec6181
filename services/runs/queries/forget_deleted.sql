-- A person has switched on the schedule of this flow, which was on. Where nothing was left ahead of it when the last
-- instant was deleted, an active schedule without runs is what nobody means: the tombstones go, and the scheduler makes
-- the runs again. Where something was left, what was deleted one by one stays away.
--
-- The clock may have moved on since, and put the next instant at the end of what is ahead. So a planned run speaks for
-- "one by one" only if it was made before the last deletion, or comes before the last instant that was deleted.
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
