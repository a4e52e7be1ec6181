-- For each (tenant, flow run, task, map index): whether the flow run and the task exist and belong together, and the
-- task run that is there already.
SELECT k.place, r.id AS flow_run_id, t.id AS task_id, t.cache_key, x.id, x.version, x.state, x.serialized_state
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[]) WITH ORDINALITY
    AS k (tenant_id, flow_run_id, task_id, map_index, place)
LEFT JOIN runs.flow_run r ON r.id = k.flow_run_id AND r.tenant_id = k.tenant_id
LEFT JOIN registry.task t ON t.id = k.task_id AND t.flow_id = r.flow_id
LEFT JOIN runs.task_run x ON x.flow_run_id = r.id AND x.task_id = t.id AND x.map_index = k.map_index
ORDER BY k.place
