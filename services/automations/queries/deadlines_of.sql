-- The deadlines of runs $1 under the SLAs of their flow groups. An attempt begins with each Scheduled state; its clock
-- runs from the start that this state names, or from the first Running after it. A deadline that was past when the SLA
-- was made does not count (`was_past`). Where retention has dropped the history, the run's own row has to do.
SELECT
    r.tenant_id, c.id AS flow_sla_config_id, r.id AS flow_run_id, coalesce(a.version, 0) AS attempt,
    r.version AS run_version, d.due, d.due <= greatest(c.created, g.created) AS was_past
FROM runs.flow_run r
JOIN automations.flow_group_sla g ON g.flow_group_id = r.flow_group_id AND g.tenant_id = r.tenant_id
JOIN automations.flow_sla_config c ON c.id = g.flow_sla_config_id AND c.tenant_id = r.tenant_id
LEFT JOIN LATERAL (
    SELECT s.version, s.start_time FROM runs.flow_run_state s
    WHERE s.flow_run_id = r.id AND s.tenant_id = r.tenant_id AND s.state = 'Scheduled'
    ORDER BY s.version DESC LIMIT 1
) a ON true
LEFT JOIN LATERAL (
    SELECT s.created FROM runs.flow_run_state s
    WHERE s.flow_run_id = r.id AND s.tenant_id = r.tenant_id AND s.state = 'Running' AND s.version > coalesce(a.version, 0)
    ORDER BY s.version LIMIT 1
) b ON c.kind = 'STARTED_NOT_FINISHED'
CROSS JOIN LATERAL (
    SELECT CASE c.kind
        WHEN 'SCHEDULED_NOT_STARTED' THEN coalesce(a.start_time, r.state_start_time, r.scheduled_start_time)
        ELSE coalesce(b.created, r.start_time)
    END + make_interval(secs => c.duration_seconds) AS due
) d
WHERE r.id = ANY ($1::uuid[]) AND d.due IS NOT NULL
    AND CASE c.kind
        WHEN 'SCHEDULED_NOT_STARTED' THEN r.state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
        ELSE r.state = 'Running'
    END
