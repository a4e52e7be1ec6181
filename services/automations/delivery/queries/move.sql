-- The receiver's circuit breaker opened, or closed again: what waits for it waits until then, or no longer.
-- At most $6 rows in one go; the others are given back when they come up. Rows that a worker has are left to it.
UPDATE automations.delivery d
SET due = $3::timestamptz + random() * $4::interval
FROM (
    SELECT id FROM automations.delivery
    WHERE tenant_id = $1 AND receiver = $2 AND status = 'pending' AND lease IS NULL
        AND CASE WHEN $5 THEN due < $3 ELSE due > $3 END
    LIMIT $6 FOR UPDATE SKIP LOCKED
) waiting
WHERE d.id = waiting.id
