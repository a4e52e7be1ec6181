-- Guard those of these runs that are running and whose flow has heartbeats enabled now. Returns the guarded ones; with
-- them whether a row is there. $2: it is a new Running state, so a row of an earlier attempt is renewed.
-- Race: the run finishes meanwhile; the row is then harmless, because a judgement looks at the state again.
INSERT INTO heartbeat.last_seen AS s (flow_run_id, tenant_id, at)
SELECT r.id, r.tenant_id, now()
FROM runs.flow_run r
JOIN registry.flow_group g ON g.id = r.flow_group_id
WHERE r.id = ANY($1::uuid[]) AND r.state IN ('Running', 'Cancelling')
  AND NOT g.settings @> '{"heartbeat_enabled": false}'
ORDER BY r.id
ON CONFLICT (flow_run_id) DO UPDATE SET at = excluded.at WHERE $2
RETURNING s.flow_run_id, s.tenant_id
