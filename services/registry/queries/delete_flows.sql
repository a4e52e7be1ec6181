-- Delete the next flows of a project ($2) or of a group ($3), oldest first, at most 50 of them and about 5,000 tasks:
-- always at least one, of any size. Their tasks and edges go with them. The race: another caller deletes the same
-- flows. The second waits for the first and finds these gone, so a batch may be empty while flows are left; the caller
-- goes on until the project or group could be deleted.
WITH candidates AS (
    SELECT id FROM registry.flow
    WHERE tenant_id = $1 AND (project_id = $2 OR flow_group_id = $3)
    ORDER BY id LIMIT 50
    FOR UPDATE
), weighed AS (
    SELECT c.id, sum(size.tasks) OVER (ORDER BY c.id) - size.tasks AS before
    FROM candidates c
    CROSS JOIN LATERAL (SELECT count(*) AS tasks FROM registry.task t WHERE t.flow_id = c.id) AS size
)
DELETE FROM registry.flow f
USING weighed
WHERE f.id = weighed.id AND weighed.before < 5000
RETURNING f.id, f.flow_group_id
