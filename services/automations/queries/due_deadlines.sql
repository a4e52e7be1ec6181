-- Deadlines that have passed by $1 (NULL: the database's clock), at most $4, locked: another replica passes over them.
-- Our own outage makes no run late: the heartbeat service confirms that gateways are there, at least every $2, and what
-- was due before or within $3 of the beginning of that time is judged when $3 of it are over.
SELECT d.id, d.tenant_id, d.flow_sla_config_id, d.flow_run_id, d.attempt, c.kind, c.duration_seconds
FROM automations.sla_deadline d
JOIN automations.flow_sla_config c ON c.id = d.flow_sla_config_id
CROSS JOIN heartbeat.watch w
WHERE d.fired IS NULL
    AND d.due <= coalesce($1::timestamptz, now())
    AND w.at > coalesce($1::timestamptz, now()) - $2::interval
    AND w.since <= coalesce($1::timestamptz, now()) - $3::interval
ORDER BY d.due
LIMIT $4
FOR UPDATE OF d SKIP LOCKED
