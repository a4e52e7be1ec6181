-- Guarded live runs after $1 in the order of their ids: loaded by a replica at its start. A sign of life in the future
-- comes from a clock that has gone back since; it counts as now.
SELECT s.flow_run_id, s.tenant_id, greatest(0, extract(epoch FROM now() - s.at))::float8 AS age
FROM runs.flow_run r
JOIN heartbeat.last_seen s ON s.flow_run_id = r.id
WHERE r.state IN ('Running', 'Cancelling') AND r.id > $1
ORDER BY r.id
LIMIT $2
