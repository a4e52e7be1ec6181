-- For each (tenant, flow run, task, map index): whether the flow run and the task exist and belong together, and the
-- task run that is there already.
--
-- Each look-up is one descent of the one index meant for it, whatever the planner believes of a table that has just
-- grown; it once read all 10,000 children of a mapped task for every child. What is only checked stands outside the
-- LIMIT, and "at or after the key, in the key's order" is a question that only the key's own index answers at once.
SELECT r.id AS flow_run_id, t.id AS task_id, t.cache_key, x.id, x.version, x.state, x.serialized_state
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[]) WITH ORDINALITY
    AS k (tenant_id, flow_run_id, task_id, map_index, place)
LEFT JOIN LATERAL (SELECT * FROM runs.flow_run WHERE id = k.flow_run_id LIMIT 1) r ON r.tenant_id = k.tenant_id
LEFT JOIN LATERAL (SELECT * FROM registry.task WHERE id = k.task_id LIMIT 1) t ON t.flow_id = r.flow_id
LEFT JOIN LATERAL (
    SELECT * FROM runs.task_run
    WHERE (flow_run_id, task_id, map_index) >= (k.flow_run_id, k.task_id, k.map_index)
    ORDER BY flow_run_id, task_id, map_index LIMIT 1
) x ON (x.flow_run_id, x.task_id, x.map_index) = (r.id, t.id, k.map_index)
ORDER BY k.place
