-- The draft of the same registration: the same document under the same key, in the same project and group. The race:
-- clients that register at once would each find none. The caller holds the advisory lock of (tenant, project, name), so
-- the second one reads after the first has committed. The row is not locked: if its last piece comes at the same time,
-- the caller gets the id of a complete flow, and sends pieces that the flow has already.
SELECT id
FROM registry.flow_draft
WHERE tenant_id = $1 AND project_id = $2 AND name = $3
    AND version_group_id IS NOT DISTINCT FROM $4 AND idempotency_key = $5
    AND document = CAST($6 AS text)::jsonb
    AND touched > clock_timestamp() - $7::interval
ORDER BY created DESC
LIMIT 1
