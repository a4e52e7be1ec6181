-- Owe deliveries: one for each key, for ever. Race: the same event comes twice, to two replicas, or by its message and by
-- the search of histories: the second insert waits for the first and does nothing. Race: the action is being deleted:
-- either we do not see it any more, or the delivery is found pending by the deletion, or the worker finds no action.
INSERT INTO automations.delivery (
    id, tenant_id, action_id, hook_id, cloud_hook_id, event_id, event_type, event, dedup, chain, receiver,
    status, last_error, finished, told_in, due
)
SELECT
    o.id, o.tenant_id, o.action_id, o.hook_id, o.cloud_hook_id, o.event_id, o.event_type, o.event, o.dedup,
    o.chain::jsonb, o.receiver, o.status, o.reason,
    CASE WHEN o.status <> 'pending' THEN now() END, o.told_in, now() + o.due_after
FROM (SELECT * FROM {owed}) o
WHERE o.action_id IS NULL
    OR EXISTS (SELECT FROM automations.action a WHERE a.id = o.action_id AND a.tenant_id = o.tenant_id)
ORDER BY o.dedup
ON CONFLICT (dedup) DO NOTHING
RETURNING id
