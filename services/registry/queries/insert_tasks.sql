-- Store tasks of a flow; the ones whose slug it has already are skipped. Returns the ids of those that are new.
-- The race: a client that got no answer sends a piece again, perhaps while the first attempt is still at work. The
-- caller holds the flow's row, and UNIQUE (flow_id, slug) makes the second attempt store nothing.
INSERT INTO registry.task (
    id, tenant_id, flow_id, name, slug, description, type, max_retries, retry_delay, trigger,
    mapped, auto_generated, cache_key, is_root_task, is_terminal_task, is_reference_task, tags
)
SELECT
    added.id, {tenant_id}, {flow_id}, added.name, added.slug, added.description, added.type, added.max_retries,
    added.retry_delay, added.trigger, added.mapped, added.auto_generated, added.cache_key, added.is_root,
    added.is_terminal, added.is_reference, added.tags::jsonb
FROM {added}
ON CONFLICT (flow_id, slug) DO NOTHING
RETURNING id
