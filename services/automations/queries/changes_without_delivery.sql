-- State changes of tenant $1 from $2 to $3 into one of the states $4 (lower case) that owe nothing yet, oldest first, at
-- most $5. All deliveries of an event are written at once, so one of them stands for all.
SELECT
    s.tenant_id, s.flow_run_id, r.flow_id, s.version, s.state, s.message, s.timestamp AS at
FROM runs.flow_run_state s
JOIN runs.flow_run r ON r.id = s.flow_run_id AND r.tenant_id = s.tenant_id
WHERE s.tenant_id = $1 AND s.timestamp > $2 AND s.timestamp <= $3 AND lower(s.state) = ANY ($4::text[])
    AND NOT EXISTS (
        SELECT FROM automations.delivery d
        WHERE d.event_id = md5(s.flow_run_id::text || ':' || s.version::text)::uuid AND d.tenant_id = s.tenant_id
    )
ORDER BY s.timestamp
LIMIT $5
