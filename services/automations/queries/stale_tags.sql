-- What hooks name although it is gone: flow groups whose event was lost, and agent configs, which have no event.
SELECT DISTINCT h.tenant_id, 'flow_group_id' AS tag, n.id::uuid AS id
FROM automations.hook h
CROSS JOIN LATERAL jsonb_array_elements_text(h.event_tags -> 'flow_group_id') AS n (id)
WHERE h.event_tags ? 'flow_group_id' AND NOT EXISTS (
    SELECT FROM registry.flow_group g WHERE g.id = n.id::uuid AND g.tenant_id = h.tenant_id
)
UNION
SELECT DISTINCT h.tenant_id, 'agent_config_id', n.id::uuid
FROM automations.hook h
CROSS JOIN LATERAL jsonb_array_elements_text(h.event_tags -> 'agent_config_id') AS n (id)
WHERE h.event_tags ? 'agent_config_id' AND NOT EXISTS (
    SELECT FROM runs.agent_config c WHERE c.id = n.id::uuid AND c.tenant_id = h.tenant_id
)
LIMIT 1000
