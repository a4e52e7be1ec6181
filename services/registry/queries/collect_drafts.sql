-- Delete drafts whose newest piece came longer ago than $1, at most $2 of them; their pieces go with them. The race:
-- the next piece comes at the same time. If it holds the row, the row is skipped here. If it comes second, it finds no
-- draft and is refused. So no flow is ever made of a part of its pieces.
DELETE FROM registry.flow_draft
WHERE id IN (
    SELECT id FROM registry.flow_draft
    WHERE touched < clock_timestamp() - $1::interval
    ORDER BY touched LIMIT $2
    FOR UPDATE SKIP LOCKED
)
RETURNING tenant_id, id, name
