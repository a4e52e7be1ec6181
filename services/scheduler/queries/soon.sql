-- The moments within the coming interval at which some run of a tenant becomes due. One index probe per tenant.
SELECT DISTINCT t.id AS tenant_id, r.state_start_time AS due
FROM gateway.tenant t
JOIN LATERAL (
    SELECT state_start_time FROM runs.flow_run
    WHERE tenant_id = t.id
      AND state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
      AND state_start_time > now() AND state_start_time <= now() + $1::interval
    ORDER BY state_start_time
    LIMIT 1000
) AS r ON true
