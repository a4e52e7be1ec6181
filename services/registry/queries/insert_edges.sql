-- Store edges of a flow; the ones it has already are skipped. Returns the ids of those that are new.
-- The race: as in insert_tasks. The key is part of an edge's identity: f(x, x) has two edges.
INSERT INTO registry.edge (id, tenant_id, flow_id, upstream_task_id, downstream_task_id, key, mapped)
SELECT e.id, $1, $2, e.upstream, e.downstream, e.key, e.mapped
FROM unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::bool[]) AS e (id, upstream, downstream, key, mapped)
ON CONFLICT (flow_id, downstream_task_id, upstream_task_id, coalesce(key, '')) DO NOTHING
RETURNING id
