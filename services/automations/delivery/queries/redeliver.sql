-- Make a finished delivery due again, with all its tries before it, and say what became of it. No row: there is none.
-- The race: two people ask at the same time, or a worker settles it. The row is locked first, so the second one reads
-- what the first one has made of it. A pending one stays as it is: a worker may have it now.
WITH found AS (
    SELECT d.id, d.status = 'pending' AS is_pending, a.id IS NOT NULL OR c.id IS NOT NULL AS is_addressed
    FROM automations.delivery d
    LEFT JOIN automations.action a ON a.id = d.action_id AND a.tenant_id = d.tenant_id
    LEFT JOIN gateway.cloud_hook c ON c.id = d.cloud_hook_id AND c.tenant_id = d.tenant_id
    WHERE d.id = $1 AND d.tenant_id = $2
    FOR UPDATE OF d
), again AS (
    UPDATE automations.delivery d
    SET status = 'pending', attempts = 0, due = coalesce($3::timestamptz, now()), finished = NULL, lease = NULL,
        leased_until = NULL
    FROM found f WHERE d.id = f.id AND d.tenant_id = $2 AND NOT f.is_pending AND f.is_addressed
)
SELECT CASE WHEN is_pending THEN 'pending' WHEN is_addressed THEN 'due' ELSE 'unaddressed' END FROM found
