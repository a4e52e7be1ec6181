-- Make a finished delivery pending again, with all its tries before it. A pending one stays as it is.
UPDATE automations.delivery
SET status = 'pending', attempts = 0, due = coalesce($3::timestamptz, now()), finished = NULL, lease = NULL,
    leased_until = NULL
WHERE id = $1 AND tenant_id = $2 AND status <> 'pending'
RETURNING id
