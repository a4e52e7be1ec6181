-- Runs, at most $1, with an SLA whose deadline was not planned for the run's present version: their events were lost, or
-- the SLA is new. A row of the same version says that there is nothing to do, without reading the history.
SELECT r.id FROM automations.flow_group_sla g
JOIN automations.flow_sla_config c ON c.id = g.flow_sla_config_id AND c.kind = 'SCHEDULED_NOT_STARTED'
JOIN runs.flow_run r ON r.tenant_id = g.tenant_id AND r.flow_group_id = g.flow_group_id
    AND r.state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
WHERE NOT EXISTS (
    SELECT FROM automations.sla_deadline d
    WHERE d.flow_sla_config_id = c.id AND d.flow_run_id = r.id AND d.run_version = r.version
)
UNION
SELECT r.id FROM automations.flow_group_sla g
JOIN automations.flow_sla_config c ON c.id = g.flow_sla_config_id AND c.kind = 'STARTED_NOT_FINISHED'
JOIN runs.flow_run r ON r.tenant_id = g.tenant_id AND r.flow_group_id = g.flow_group_id
    AND r.state IN ('Submitted', 'Running', 'Cancelling') AND r.state = 'Running'
WHERE NOT EXISTS (
    SELECT FROM automations.sla_deadline d
    WHERE d.flow_sla_config_id = c.id AND d.flow_run_id = r.id AND d.run_version = r.version
)
LIMIT $1
