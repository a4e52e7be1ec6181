-- Plan deadlines. Race: two replicas plan the same one: the second insert notes the version alone. One that was past
-- when its SLA was made is written as decided, so that the sweep does not find it again.
INSERT INTO automations.sla_deadline (
    id, tenant_id, flow_sla_config_id, flow_run_id, attempt, run_version, due, fired
)
SELECT
    p.id, p.tenant_id, p.flow_sla_config_id, p.flow_run_id, p.attempt, p.run_version, p.due,
    CASE WHEN p.was_past THEN p.due END
FROM (SELECT * FROM {planned}) p
ORDER BY p.flow_sla_config_id, p.flow_run_id, p.attempt
ON CONFLICT (flow_sla_config_id, flow_run_id, attempt) DO UPDATE SET run_version = excluded.run_version
    WHERE sla_deadline.run_version < excluded.run_version
RETURNING id
