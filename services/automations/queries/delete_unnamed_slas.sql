-- Delete those of the SLA configs $2 of tenant $1 that no hook names.
DELETE FROM automations.flow_sla_config c
WHERE c.tenant_id = $1 AND c.id = ANY ($2::uuid[]) AND NOT EXISTS (
    SELECT FROM automations.hook h WHERE h.tenant_id = $1 AND h.event_tags -> 'flow_sla_config_id' ? c.id::text
)
