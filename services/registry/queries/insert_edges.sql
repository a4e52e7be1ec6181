-- Store edges of a flow; the ones it has already are skipped. Returns the ids of those that are new.
-- The race: as in insert_tasks. The key is part of an edge's identity: f(x, x) has two edges.
INSERT INTO registry.edge (id, tenant_id, flow_id, upstream_task_id, downstream_task_id, key, mapped)
SELECT added.id, {tenant_id}, {flow_id}, added.upstream, added.downstream, added.key, added.mapped
FROM {added}
ON CONFLICT (flow_id, downstream_task_id, upstream_task_id, coalesce(key, '')) DO NOTHING
RETURNING id
