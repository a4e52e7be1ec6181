-- Give a delivery back untried: its receiver is left alone for now, or we could not open its secrets.
UPDATE automations.delivery
SET due = coalesce($4::timestamptz, now()) + $5::interval, receiver = coalesce($6, receiver), last_error = $7,
    lease = NULL, leased_until = NULL
WHERE id = $1 AND tenant_id = $2 AND lease = $3
