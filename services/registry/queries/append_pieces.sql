-- Append tasks or edges ($3) to the flow's document: one concatenation per call, whatever the number of pieces.
-- The race: none; the caller holds the flow's row. Reading the document and writing it back would lose updates.
UPDATE registry.flow
SET serialized_flow = jsonb_set(
        serialized_flow, ARRAY[$3::text],
        coalesce(nullif(serialized_flow -> $3::text, 'null'), '[]') || CAST($4 AS text)::jsonb
    ),
    updated = clock_timestamp()
WHERE id = $1 AND tenant_id = $2
