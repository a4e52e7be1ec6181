-- Limits whose slots are not consistent with the runs, in one snapshot and without locks; repair_slots.sql checks
-- again.
WITH occupant AS (
    SELECT l.id AS limit_id, r.id AS run_id, r.state <> 'Cancelling' AS has_started
    FROM runs.flow_concurrency_limit l
    JOIN runs.flow_run r ON r.tenant_id = l.tenant_id AND r.state IN ('Submitted', 'Running', 'Cancelling')
    WHERE r.labels ? l.name
    UNION ALL
    SELECT l.id, t.id, t.state = 'Running'
    FROM runs.task_tag_limit l
    JOIN runs.flow_run r ON r.tenant_id = l.tenant_id AND r.state IN ('Submitted', 'Running', 'Cancelling')
    JOIN runs.task_run t ON t.flow_run_id = r.id AND t.state IN ('Running', 'Cancelling')
    LEFT JOIN registry.task k ON k.id = t.task_id
    WHERE k.tags ? l.tag OR t.serialized_state -> 'context' -> 'tags' ? l.tag
)
SELECT DISTINCT coalesce(s.limit_id, o.limit_id) AS limit_id
FROM runs.concurrency_slot s FULL JOIN occupant o ON (o.limit_id, o.run_id) = (s.limit_id, s.run_id)
WHERE s.run_id IS NULL AND o.has_started OR o.run_id IS NULL
LIMIT $1
