-- The events that hook $2 of tenant $1 has counted since $3 and that no delivery tells of yet: of flow group $4, or of all
-- flows when it is NULL. A row is written after its event happened, so `created` finds all of them by the index.
SELECT id, (event ->> 'timestamp')::timestamptz AS at
FROM automations.delivery
WHERE tenant_id = $1 AND hook_id = $2 AND created > $3 AND status = 'counted' AND told_in IS NULL
    AND (event ->> 'timestamp')::timestamptz > $3 AND ($4::text IS NULL OR event ->> 'flow_group_id' = $4)
