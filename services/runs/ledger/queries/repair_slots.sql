-- Make the slots of these limits consistent with the runs: free slots without a run, add slots for runs without one.
-- The caller has locked the limits in an earlier statement. A transaction that takes or frees a slot holds that lock
-- until its commit, so this snapshot has no half-finished start or end. Repair is needed for a run that already ran
-- when its limit was made, that started at the same time, or whose labels were changed.
WITH occupant AS (
    SELECT l.id AS limit_id, r.id AS run_id, r.id AS flow_run_id, l.tenant_id, r.state <> 'Cancelling' AS has_started
    FROM runs.flow_concurrency_limit l
    JOIN runs.flow_run r ON r.tenant_id = l.tenant_id AND r.state IN ('Submitted', 'Running', 'Cancelling')
    WHERE l.id = ANY ($1::uuid[]) AND r.labels ? l.name
    UNION ALL
    SELECT l.id, t.id, r.id, l.tenant_id, t.state = 'Running'
    FROM runs.task_tag_limit l
    JOIN runs.flow_run r ON r.tenant_id = l.tenant_id AND r.state IN ('Submitted', 'Running', 'Cancelling')
    JOIN runs.task_run t ON t.flow_run_id = r.id AND t.state IN ('Running', 'Cancelling')
    LEFT JOIN registry.task k ON k.id = t.task_id
    WHERE l.id = ANY ($1::uuid[]) AND (k.tags ? l.tag OR t.serialized_state -> 'context' -> 'tags' ? l.tag)
), freed AS (
    DELETE FROM runs.concurrency_slot s
    WHERE s.limit_id = ANY ($1::uuid[])
        AND NOT EXISTS (SELECT FROM occupant o WHERE (o.limit_id, o.run_id) = (s.limit_id, s.run_id))
    RETURNING s.tenant_id
), counted AS (
    INSERT INTO runs.concurrency_slot (limit_id, run_id, flow_run_id, tenant_id, taken)
    SELECT limit_id, run_id, flow_run_id, tenant_id, $2 FROM occupant WHERE has_started
    ON CONFLICT DO NOTHING
    RETURNING tenant_id
)
SELECT (SELECT count(*) FROM freed) AS freed, (SELECT count(*) FROM counted) AS counted,
    (SELECT array_agg(DISTINCT tenant_id) FROM freed) AS tenants
