-- The message of hook $2 of tenant $1 that gathers events and is not due yet. Race: a worker takes it just now: then its
-- row has a lease, or is due, and the next events are for another message. While we hold it, no worker takes it.
SELECT id, event
FROM automations.delivery
WHERE tenant_id = $1 AND hook_id = $2 AND status = 'pending' AND event ? 'is_digest' AND lease IS NULL
    AND attempts = 0 AND due > now()
ORDER BY created DESC LIMIT 1
FOR UPDATE
