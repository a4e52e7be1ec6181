-- Archive every other version of the group, in the transaction that registers the new one.
-- The race: `runs` creates runs under a share lock on their flows (registry.share_flows). It either commits before this
-- update, which waits for it, or finds the flow archived. Locks are taken in id order there and here, so neither can
-- wait for the other in a circle. The schedule's flag stays as it is, so that unarchiving restores it.
WITH others AS (
    SELECT id FROM registry.flow
    WHERE tenant_id = $1 AND flow_group_id = $2 AND NOT archived AND id <> $3
    ORDER BY id
    FOR NO KEY UPDATE
)
UPDATE registry.flow f
SET archived = true, archived_at = clock_timestamp(), updated = clock_timestamp()
FROM others
WHERE f.id = others.id
RETURNING f.id
