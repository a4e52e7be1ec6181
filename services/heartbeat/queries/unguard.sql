-- Forget runs whose new Running state finds heartbeats disabled: an earlier attempt may have been guarded, this one
-- sends no pings and must never be judged.
DELETE FROM heartbeat.last_seen s
USING runs.flow_run r
JOIN registry.flow_group g ON g.id = r.flow_group_id
WHERE s.flow_run_id = ANY($1::uuid[]) AND r.id = s.flow_run_id
  AND g.settings @> '{"heartbeat_enabled": false}'
