-- Which of these runs are distressed still. A tick spreads its proposals over minutes: a process that was only paused
-- may ping again by then, or a person may have switched the safeguard off. A new state moves the version, which the
-- ledger checks. "Seen" as in `distressed`. $2 now (NULL: the database's clock), $3 the silence after which a run is distressed.
SELECT r.id
FROM runs.flow_run r
JOIN registry.flow_group g ON g.id = r.flow_group_id
LEFT JOIN heartbeat.last_seen s ON s.flow_run_id = r.id
CROSS JOIN LATERAL (
    SELECT greatest(
        s.at,
        CASE WHEN r.heartbeat <= coalesce($2, now()) THEN r.heartbeat END,
        CASE WHEN r.state_timestamp <= coalesce($2, now()) THEN r.state_timestamp END
    ) AS at
) seen
WHERE r.id = ANY($1::uuid[])
  AND seen.at <= coalesce($2, now()) - $3::interval
  AND NOT g.settings @> '{"heartbeat_enabled": false}'
  AND NOT g.settings @> '{"lazarus_enabled": false}'
