-- The hooks of tenant $1 that are switched on, with the type of their actions.
SELECT h.id, h.action_id, a.action_type, h.event_type, h.event_tags, h.conditions, h.throttle, h.updated
FROM automations.hook h
JOIN automations.action a ON a.id = h.action_id AND a.tenant_id = h.tenant_id
WHERE h.tenant_id = $1 AND h.is_active
ORDER BY h.id
