-- The existing runs of (flow, idempotency key) pairs. One descent of the key's own index each, for the reason that
-- get_or_create_task_runs.sql gives: by the flow alone it would read every run of the flow.
SELECT k.flow_id, k.idempotency_key, r.id
FROM unnest($1::uuid[], $2::text[]) AS k (flow_id, idempotency_key)
CROSS JOIN LATERAL (
    SELECT id, flow_id, idempotency_key FROM runs.flow_run
    WHERE (flow_id, idempotency_key) >= (k.flow_id, k.idempotency_key)
    ORDER BY flow_id, idempotency_key LIMIT 1
) r
WHERE (r.flow_id, r.idempotency_key) = (k.flow_id, k.idempotency_key)
