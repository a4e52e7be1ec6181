-- Note pings: move last_seen of guarded runs to when they pinged, $3 seconds ago, unless the row is at most $4 seconds
-- older. Returns those that were not moved, with the age of their row, and those that have no row of this tenant,
-- without: a ping is a sign of life only for a run of the tenant that sent it. Times are of the database's clock: a
-- gateway with a wrong clock must neither kill a run nor keep a dead one alive. Race: every replica receives every
-- ping, so two write the same rows at the same time. The second skips a row that the first has locked (otherwise a
-- deadlock), and gets the row's age before.
WITH pinged AS (
    SELECT tenant_id, flow_run_id, now() - age * interval '1 s' AS at
    FROM unnest($1::uuid[], $2::uuid[], $3::float8[]) AS p (tenant_id, flow_run_id, age)
), older AS (
    SELECT s.flow_run_id, p.at
    FROM heartbeat.last_seen s
    JOIN pinged p ON p.flow_run_id = s.flow_run_id AND p.tenant_id = s.tenant_id
    WHERE s.at < p.at - $4::float8 * interval '1 s'
    FOR NO KEY UPDATE OF s SKIP LOCKED
), moved AS (
    UPDATE heartbeat.last_seen s SET at = o.at FROM older o WHERE s.flow_run_id = o.flow_run_id
    RETURNING s.flow_run_id
)
SELECT p.tenant_id, p.flow_run_id,
       CASE WHEN s.flow_run_id IS NOT NULL THEN greatest(0, extract(epoch FROM now() - s.at))::float8 END AS age
FROM pinged p
LEFT JOIN heartbeat.last_seen s ON s.flow_run_id = p.flow_run_id AND s.tenant_id = p.tenant_id
WHERE NOT EXISTS (SELECT FROM moved m WHERE m.flow_run_id = p.flow_run_id)
