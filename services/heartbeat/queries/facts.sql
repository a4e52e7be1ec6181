-- What is known of silent runs of these tenants. "Seen" is the newest of the last ping and of what a state write called
-- a heartbeat; a time in the future comes from a clock that has gone back since, and is ignored.
SELECT r.id AS flow_run_id, r.tenant_id, r.version, r.state,
       NOT g.settings @> '{"heartbeat_enabled": false}' AS enabled,
       s.flow_run_id IS NOT NULL AS guarded,
       coalesce(greatest(s.at, CASE WHEN r.heartbeat <= now() THEN r.heartbeat END), r.state_timestamp) AS seen
FROM unnest($1::uuid[], $2::uuid[]) AS k (tenant_id, flow_run_id)
JOIN runs.flow_run r ON r.id = k.flow_run_id AND r.tenant_id = k.tenant_id
JOIN registry.flow_group g ON g.id = r.flow_group_id
LEFT JOIN heartbeat.last_seen s ON s.flow_run_id = r.id AND s.tenant_id = r.tenant_id
