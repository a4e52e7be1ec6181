-- Note pings of task runs that exist, of the tenant that they belong to.
INSERT INTO heartbeat.task_last_seen AS s (task_run_id, tenant_id, at)
SELECT t.id, t.tenant_id, now()
FROM unnest($1::uuid[], $2::uuid[]) AS p (tenant_id, task_run_id)
JOIN runs.task_run t ON t.id = p.task_run_id AND t.tenant_id = p.tenant_id
ORDER BY t.id
ON CONFLICT (task_run_id) DO UPDATE SET at = excluded.at
