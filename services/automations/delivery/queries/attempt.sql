-- The line of the log for a try. Numbers go on when a delivery is sent again by hand.
INSERT INTO automations.delivery_attempt (id, delivery_id, tenant_id, number, started, latency_ms, status, answer, error)
SELECT $1, $2, $3, coalesce(max(number), 0) + 1, coalesce($4::timestamptz, now()) - make_interval(secs => $5 / 1000.0),
    $5, $6, $7, $8
FROM automations.delivery_attempt WHERE delivery_id = $2
RETURNING number
