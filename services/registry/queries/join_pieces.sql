-- Join the waiting pieces of a flow to its document, in the order in which they came.
-- Rewriting a document costs as much as it is long, so that joining every piece of a large flow as it comes would be
-- quadratic: half a second for each of sixty pieces at 10,000 tasks.
-- The race: a piece and the upkeep join at once. Both hold the flow's row; the second finds nothing that waits.
WITH waiting AS (
    DELETE FROM registry.flow_piece WHERE flow_id = $1 AND tenant_id = $2
    RETURNING id, created, field, documents
), joined AS (
    SELECT field, ('[' || string_agg(documents, ',' ORDER BY created, id) || ']')::jsonb AS documents
    FROM waiting GROUP BY field
)
UPDATE registry.flow f
SET serialized_flow = f.serialized_flow || (
        SELECT jsonb_object_agg(field, coalesce(nullif(f.serialized_flow -> field, 'null'), '[]') || documents)
        FROM joined
    ),
    updated = clock_timestamp()
WHERE f.id = $1 AND f.tenant_id = $2 AND EXISTS (SELECT FROM joined)
