-- Note pings: move last_seen of runs that are guarded, unless it is fresh ($3) already. Returns those that have no row:
-- whether they are to be guarded is asked once, in `guard`.
-- The database's clock stamps: a gateway whose clock is wrong must neither kill a run nor keep a dead one alive.
-- Race: two replicas hold pings of one run; the later write wins and both say now. Callers send runs in order.
WITH pinged AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS p (flow_run_id, tenant_id)
), moved AS (
    UPDATE heartbeat.last_seen s SET at = now()
    FROM pinged p
    WHERE s.flow_run_id = p.flow_run_id AND s.tenant_id = p.tenant_id AND s.at < now() - $3::interval
)
SELECT p.flow_run_id, p.tenant_id
FROM pinged p
WHERE NOT EXISTS (SELECT FROM heartbeat.last_seen s WHERE s.flow_run_id = p.flow_run_id)
