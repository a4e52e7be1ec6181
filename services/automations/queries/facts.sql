-- What is known of runs $2 of tenants $1. A run that was deleted meanwhile has its tenant only. `caused_by` and `causes`
-- are the hook, and the hooks before it, of the automation that made the run: its idempotency key names the delivery.
SELECT
    t.id AS tenant_id, t.slug AS tenant_slug, w.flow_run_id, r.name AS flow_run_name, r.flow_id, r.flow_group_id,
    f.name AS flow_name, p.name AS project, r.labels, r.parameters, r.start_time, r.end_time, r.state_message,
    c.hook_id AS caused_by, c.chain AS causes,
    coalesce(t.settings -> 'work_queue_paused' = 'true', false) AS is_paused
FROM unnest($1::uuid[], $2::uuid[]) AS w (tenant_id, flow_run_id)
JOIN gateway.tenant t ON t.id = w.tenant_id
LEFT JOIN runs.flow_run r ON r.id = w.flow_run_id AND r.tenant_id = w.tenant_id
LEFT JOIN registry.flow f ON f.id = r.flow_id AND f.tenant_id = w.tenant_id
LEFT JOIN registry.project p ON p.id = f.project_id AND p.tenant_id = w.tenant_id
LEFT JOIN automations.delivery c
    ON r.idempotency_key LIKE 'automation:%' AND c.dedup = substr(r.idempotency_key, 12) AND c.tenant_id = w.tenant_id
