-- Guard those of these tenants' runs that are running and whose flow had heartbeats enabled when they began to. Returns
-- those that got a row, or had one that is renewed. $3: it is a new Running state, so a row of an earlier attempt is.
-- The run of another tenant is never found by its id. Race: heartbeats are switched on between a run's start and our
-- first message about it (a ping in flight, or an event that waited while we were down). That run sends no pings, so
-- the time of the switch decides, not the time of this statement. Race: the run finishes meanwhile; the row is then
-- harmless, because a judgement looks at the state again.
INSERT INTO heartbeat.last_seen AS s (flow_run_id, tenant_id, at)
SELECT r.id, r.tenant_id, now()
FROM unnest($1::uuid[], $2::uuid[]) AS k (tenant_id, flow_run_id)
JOIN runs.flow_run r ON r.id = k.flow_run_id AND r.tenant_id = k.tenant_id
JOIN registry.flow_group g ON g.id = r.flow_group_id
WHERE r.state IN ('Running', 'Cancelling')
  AND NOT g.settings @> '{"heartbeat_enabled": false}'
  AND (g.heartbeats_since IS NULL OR g.heartbeats_since <= coalesce(
      (SELECT max(h.timestamp) FROM runs.flow_run_state h WHERE h.flow_run_id = r.id AND h.state = 'Running'),
      r.state_timestamp
  ))
ORDER BY r.id
ON CONFLICT (flow_run_id) DO UPDATE SET at = excluded.at WHERE $3
RETURNING s.flow_run_id, s.tenant_id
