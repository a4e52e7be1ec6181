-- Record what became of a try, if this worker still has the delivery.
-- The race: the lease ended, because this worker slept, and another one has it now. No row comes back, and nothing of
-- ours is written: the other one records what it does. The receiver got the same key from both.
UPDATE automations.delivery
SET status = $4::text, attempts = attempts + 1, receiver = coalesce($5, receiver), last_error = $6,
    due = coalesce($7::timestamptz, now()) + $8::interval,
    finished = CASE WHEN $4::text = 'pending' THEN NULL ELSE coalesce($7::timestamptz, now()) END,
    lease = NULL, leased_until = NULL
WHERE id = $1 AND tenant_id = $2 AND lease = $3
RETURNING attempts
