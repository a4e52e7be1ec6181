-- Renew the leases that still belong to the holder, and read the state of each run.
-- The race: the run is taken back, because its lease expired, while its agent renews. Both lock the row; the second one
-- sees the result of the first: a renewed lease, or a removed token. Rows are locked in id order, as everywhere, and
-- only those of the requesting tenant: a tenant cannot delay another tenant's agents by naming their runs. A Running
-- run's lease is written only once half of it is used up.
-- The work queue is paused after the claim: a run that was not confirmed yet (it still has its first lease) is
-- withheld, and its agent does not start it.
WITH held AS (
    SELECT * FROM {asked}
), locked AS (
    SELECT r.id, r.tenant_id, r.state, r.lease_token, r.lease_expires,
        r.state = 'Submitted' AND r.lease_expires <= now() + {first_lease}::interval AND EXISTS (
            SELECT FROM gateway.tenant t WHERE t.id = r.tenant_id AND t.settings -> 'work_queue_paused' = 'true'
        ) AS withheld
    FROM runs.flow_run r
    WHERE r.id = ANY (ARRAY(SELECT h.id FROM held h))
      AND EXISTS (SELECT FROM held h WHERE h.id = r.id AND h.tenant_id = r.tenant_id)
    ORDER BY r.id FOR NO KEY UPDATE
), renewed AS (
    UPDATE runs.flow_run r
    SET lease_expires = now() + CASE WHEN l.state = 'Submitted' THEN {start_lease}::interval ELSE {run_lease}::interval END
    FROM locked l JOIN held h ON h.id = l.id AND h.tenant_id = l.tenant_id AND h.token = l.lease_token
    WHERE r.id = l.id AND (
        l.state = 'Submitted' AND NOT l.withheld
        OR l.state IN ('Running', 'Cancelling', 'Queued')
            AND (l.lease_expires IS NULL OR l.lease_expires < now() + {run_lease}::interval / 2)
    )
)
SELECT l.state, l.lease_token, coalesce(l.withheld AND l.lease_token = h.token, false) AS withheld
FROM held h LEFT JOIN locked l ON l.id = h.id AND l.tenant_id = h.tenant_id
ORDER BY h.number
