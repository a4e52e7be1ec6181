-- The version group that a flow joins when its client names none: that of the newest flow with the same name in the
-- same project, archived ones included. The race: two first registrations of one name would both find none and make two
-- groups. The caller holds the advisory lock of (tenant, project, name), so the second one reads after the first has
-- committed.
SELECT version_group_id
FROM registry.flow
WHERE tenant_id = $1 AND project_id = $2 AND name = $3
ORDER BY created DESC
LIMIT 1
