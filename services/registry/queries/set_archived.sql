-- Archive ($3 true) or unarchive one version; `changed` says whether it was not so before. The race: two clients
-- archive at once. The second waits for the first's row and sees that there is nothing to do, so each change has one
-- event.
WITH before AS (
    SELECT id, archived FROM registry.flow WHERE id = $1 AND tenant_id = $2 FOR NO KEY UPDATE
)
UPDATE registry.flow f
SET archived = $3,
    archived_at = CASE WHEN NOT $3 THEN NULL WHEN before.archived THEN f.archived_at ELSE clock_timestamp() END,
    updated = CASE WHEN before.archived = $3 THEN f.updated ELSE clock_timestamp() END
FROM before
WHERE f.id = before.id
RETURNING f.id, f.flow_group_id, before.archived <> $3 AS changed
