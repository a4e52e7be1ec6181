-- The sweep: guarded, running runs without a sign of life for $1, longest first. Driven by the partial index of live
-- runs, so finished ones cost nothing.
SELECT r.id AS flow_run_id, r.tenant_id, r.version, r.state, true AS enabled, true AS guarded,
       greatest(s.at, l.heartbeat) AS seen
FROM runs.flow_run r
JOIN heartbeat.last_seen s ON s.flow_run_id = r.id
JOIN registry.flow_group g ON g.id = r.flow_group_id
CROSS JOIN LATERAL (SELECT CASE WHEN r.heartbeat <= now() THEN r.heartbeat END AS heartbeat) l
WHERE r.state IN ('Running', 'Cancelling')
  AND greatest(s.at, l.heartbeat) <= now() - $1::interval
  AND NOT g.settings @> '{"heartbeat_enabled": false}'
  AND NOT EXISTS (
      SELECT FROM heartbeat.zombie z
      WHERE z.flow_run_id = r.id AND z.version = r.version AND z.last_seen >= greatest(s.at, l.heartbeat)
        AND z.detected > now() - $3::interval
  )
ORDER BY greatest(s.at, l.heartbeat)
LIMIT $2
