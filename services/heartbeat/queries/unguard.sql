-- Forget runs whose new Running state found heartbeats disabled: an earlier attempt may have been guarded, this one
-- sends no pings and must never be judged. The moment of the state decides, as in `guard`.
DELETE FROM heartbeat.last_seen s
USING runs.flow_run r
JOIN registry.flow_group g ON g.id = r.flow_group_id
WHERE s.flow_run_id = ANY($1::uuid[]) AND r.id = s.flow_run_id
  AND (g.settings @> '{"heartbeat_enabled": false}' OR g.heartbeats_since > coalesce(
      (SELECT max(h.timestamp) FROM runs.flow_run_state h WHERE h.flow_run_id = r.id AND h.state = 'Running'),
      r.state_timestamp
  ))
