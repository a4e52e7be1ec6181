-- Forget runs whose new Running state found heartbeats disabled: an earlier attempt may have been guarded, this one
-- sends no pings and must never be judged. The time of the state decides, as in `guard`.
DELETE FROM heartbeat.last_seen s
USING unnest($1::uuid[], $2::uuid[]) AS k (tenant_id, flow_run_id)
JOIN runs.flow_run r ON r.id = k.flow_run_id AND r.tenant_id = k.tenant_id
JOIN registry.flow_group g ON g.id = r.flow_group_id
WHERE s.flow_run_id = r.id
  AND (g.settings @> '{"heartbeat_enabled": false}' OR g.heartbeats_since > coalesce(
      (SELECT max(h.timestamp) FROM runs.flow_run_state h WHERE h.flow_run_id = r.id AND h.state = 'Running'),
      r.state_timestamp
  ))
