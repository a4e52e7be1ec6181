-- Update the flags of the tasks at new edges: no longer a root, no longer terminal, now mapped. Edges are only ever
-- added, so each flag changes at most once and nothing is counted anew. A flow that names no reference tasks is judged
-- by its terminal ones. Tasks that have these flags already are not written again. The race: none; the caller holds the
-- flow's row, so two pieces cannot update the same task at once.
UPDATE registry.task t
SET is_root_task = t.is_root_task AND NOT e.has_upstream,
    is_terminal_task = t.is_terminal_task AND NOT e.has_downstream,
    is_reference_task = t.is_reference_task AND ($4 OR NOT e.has_downstream),
    mapped = t.mapped OR e.mapped,
    updated = clock_timestamp()
FROM (
    SELECT ends.id, bool_or(ends.down) AS has_upstream, bool_or(NOT ends.down) AS has_downstream,
        bool_or(ends.down AND edge.mapped) AS mapped
    FROM registry.edge edge
    CROSS JOIN LATERAL (VALUES (edge.upstream_task_id, false), (edge.downstream_task_id, true)) AS ends (id, down)
    WHERE edge.id = ANY ($3::uuid[])
    GROUP BY ends.id
) e
WHERE t.id = e.id AND t.flow_id = $2 AND t.tenant_id = $1
  AND (t.is_root_task AND e.has_upstream OR t.is_terminal_task AND e.has_downstream OR NOT t.mapped AND e.mapped)
