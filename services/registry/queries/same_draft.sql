-- The draft that the same registration began: the same document under the same key, in the same project and group.
-- The race: clients that register at once would each find none. The caller holds the advisory lock of (tenant, project,
-- name), so the second one looks when the first has committed. The row is not locked: should its last piece come at this
-- moment, the caller is given the id of what is a whole flow by then, and sends it pieces that it has.
SELECT id
FROM registry.flow_draft
WHERE tenant_id = $1 AND project_id = $2 AND name = $3
    AND version_group_id IS NOT DISTINCT FROM $4 AND idempotency_key = $5
    AND document = CAST($6 AS text)::jsonb
    AND touched > clock_timestamp() - $7::interval
ORDER BY created DESC
LIMIT 1
