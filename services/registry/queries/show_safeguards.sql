-- Show the group's safeguards on its versions; the caller holds the group's row (set_safeguards).
-- The race: locks are taken in id order, as everywhere, so that this cannot wait in a circle with `runs`.
WITH versions AS (
    SELECT id FROM registry.flow
    WHERE flow_group_id = $1 AND tenant_id = $2 ORDER BY id FOR NO KEY UPDATE
)
UPDATE registry.flow f
SET settings = f.settings || $3, updated = clock_timestamp()
FROM versions
WHERE f.id = versions.id
