-- Store tasks of a flow; the ones whose slug it has already are skipped. Returns the ids of those that are new.
-- The race: a client that got no answer sends a piece again, perhaps while the first attempt is still at work. The
-- caller holds the flow's row, and UNIQUE (flow_id, slug) makes the second attempt store nothing.
INSERT INTO registry.task (
    id, tenant_id, flow_id, name, slug, description, type, max_retries, retry_delay, trigger,
    mapped, auto_generated, cache_key, is_root_task, is_terminal_task, is_reference_task, tags
)
SELECT
    t.id, $1, $2, t.name, t.slug, t.description, t.type, t.max_retries, t.retry_delay, t.trigger,
    t.mapped, t.auto_generated, t.cache_key, t.is_root, t.is_terminal, t.is_reference, t.tags::jsonb
FROM unnest(
    $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int[], $9::interval[], $10::text[],
    $11::bool[], $12::bool[], $13::text[], $14::bool[], $15::bool[], $16::bool[], $17::text[]
) AS t (
    id, name, slug, description, type, max_retries, retry_delay, trigger,
    mapped, auto_generated, cache_key, is_root, is_terminal, is_reference, tags
)
ON CONFLICT (flow_id, slug) DO NOTHING
RETURNING id
