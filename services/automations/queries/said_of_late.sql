-- How many events hook $2 of tenant $1 has told of one by one within $3. The lock of the hook is held, so no other
-- replica adds one meanwhile.
SELECT count(*)
FROM automations.delivery
WHERE tenant_id = $1 AND hook_id = $2 AND created > now() - $3::interval
    AND status NOT IN ('counted', 'digested', 'muted') AND NOT event ? 'is_digest'
