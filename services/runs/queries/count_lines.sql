-- Add to each run's count of log lines, and return how many of the new ones its cap still allows.
-- The race: two replicas drain lines of one run. The row lock of the upsert lasts until the lines are committed, so the
-- cap holds exactly; rows come sorted, so the two cannot deadlock.
INSERT INTO runs.log_usage AS u (flow_run_id, tenant_id, updated, lines, dropped)
SELECT flow_run_id, tenant_id, $5, least(given, $4), greatest(given - $4, 0)
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS l (flow_run_id, tenant_id, given)
ON CONFLICT (flow_run_id) DO UPDATE SET
    updated = excluded.updated,
    lines = least(u.lines + excluded.lines + excluded.dropped, $4),
    dropped = u.dropped + greatest(u.lines + excluded.lines + excluded.dropped - $4, 0)
-- An agent that names a run of another tenant must not use up that run's cap.
WHERE u.tenant_id = excluded.tenant_id
RETURNING flow_run_id, lines, dropped
