-- Lock the limits that runs of this transaction enter (`wanted`) or occupy: `leaving` are those runs, `ending` flow
-- runs that may take the slots of all their task runs with them.
-- The race: two transactions that both see one free slot. A transaction that enters or leaves a limit holds its row
-- until the commit, and counts the slots in a later statement, whose snapshot is younger than the lock. Leaving locks
-- too: a run that gets "full" has committed its waiting before the slot is free, or sees the free slot. The order of
-- locks: after all flow runs and task runs of the transaction; flow limits by id, then task limits by id.
WITH wanted AS (
    SELECT * FROM {wanted}
), occupied AS (
    SELECT s.limit_id FROM runs.concurrency_slot s WHERE s.run_id = ANY ({leaving}::uuid[])
    UNION
    SELECT s.limit_id FROM runs.concurrency_slot s WHERE s.flow_run_id = ANY ({ending}::uuid[])
), of_flow_runs AS MATERIALIZED (
    SELECT l.id, l.tenant_id, l.name, l."limit" FROM runs.flow_concurrency_limit l
    WHERE (l.tenant_id, l.name) IN (SELECT w.tenant_id, w.name FROM wanted w WHERE w.kind = 'flow_run')
        OR l.id IN (SELECT o.limit_id FROM occupied o)
    ORDER BY l.id
    FOR NO KEY UPDATE
), of_task_runs AS MATERIALIZED (
    SELECT l.id, l.tenant_id, l.tag AS name, l."limit" FROM runs.task_tag_limit l
    WHERE (l.tenant_id, l.tag) IN (SELECT w.tenant_id, w.name FROM wanted w WHERE w.kind = 'task_run')
        OR l.id IN (SELECT o.limit_id FROM occupied o)
    ORDER BY l.id
    FOR NO KEY UPDATE
)
SELECT 'flow_run' AS kind, id, tenant_id, name, "limit" FROM of_flow_runs
UNION ALL
SELECT 'task_run', id, tenant_id, name, "limit" FROM of_task_runs
