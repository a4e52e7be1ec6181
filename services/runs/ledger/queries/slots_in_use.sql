-- The used slots of limits, and the slots of runs of this transaction ($2: runs, $3: flow runs with all their task
-- runs). Read after lock_limits.sql, whose locks keep the result true until the commit.
SELECT s.limit_id, count(*) AS used,
    array_agg(s.run_id) FILTER (WHERE o.is_ours) AS run_ids,
    array_agg(s.flow_run_id) FILTER (WHERE o.is_ours) AS flow_run_ids
FROM runs.concurrency_slot s
CROSS JOIN LATERAL (SELECT s.run_id = ANY ($2::uuid[]) OR s.flow_run_id = ANY ($3::uuid[]) AS is_ours) o
WHERE s.limit_id = ANY ($1::uuid[])
GROUP BY s.limit_id
