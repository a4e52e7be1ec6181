-- Owe a test, already leased to the one that asks for it: no other worker takes it as well.
-- A cloud hook that is switched off is tried as well.
-- Should its process die, a worker finds it when the lease ends, and tries it once, as every test.
WITH leased AS (
    INSERT INTO automations.delivery
        (id, tenant_id, action_id, cloud_hook_id, event_id, event_type, event, dedup, due, lease, leased_until)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + $10::interval, $9, now() + $10::interval)
    RETURNING *
)
SELECT l.id, l.tenant_id, l.action_id, l.cloud_hook_id, l.event_type, l.event, l.dedup, l.chain, l.attempts,
    l.hook_id, l.receiver, l.lease, l.event_id, interval '0' AS age,
    a.action_type, a.action_config, a.sealed, coalesce(h.created_by, a.created_by) AS created_by, c.type AS cloud_hook_type, c.config AS cloud_hook_config,
    true AS cloud_hook_is_active, t.slug
FROM leased l
LEFT JOIN automations.action a ON a.id = l.action_id AND a.tenant_id = l.tenant_id
LEFT JOIN automations.hook h ON h.id = l.hook_id AND h.tenant_id = l.tenant_id
LEFT JOIN gateway.cloud_hook c ON c.id = l.cloud_hook_id AND c.tenant_id = l.tenant_id
LEFT JOIN gateway.tenant t ON t.id = l.tenant_id
