-- Put a flow ($1) into another project ($3); both must be the tenant's. `changed` says whether it was not there before.
-- The race: the project is deleted meanwhile. The foreign key holds it until this commits, and the deletion then finds
-- the flow in it and deletes it too.
WITH before AS (
    SELECT id, project_id FROM registry.flow WHERE id = $1 AND tenant_id = $2 FOR NO KEY UPDATE
)
UPDATE registry.flow f
SET project_id = p.id, updated = clock_timestamp()
FROM before, registry.project p
WHERE f.id = before.id AND p.id = $3 AND p.tenant_id = $2
RETURNING f.id, f.flow_group_id, before.project_id <> p.id AS changed
