-- Which of these runs ($1, at the versions $2) are still distressed. A tick spreads its proposals over minutes:
-- meanwhile a paused process may ping again, a run may go on, or a person may switch the safeguard off or pause the work
-- queue. The other times
-- of `distressed` come from states, and each state changes the version. $3 now (NULL: the database's clock), $4 the
-- silence after which a run is distressed.
SELECT r.id
FROM unnest($1::uuid[], $2::int[]) AS found (id, version)
JOIN runs.flow_run r ON r.id = found.id AND r.version = found.version
JOIN registry.flow_group g ON g.id = r.flow_group_id
WHERE NOT EXISTS (
      SELECT FROM heartbeat.last_seen s
      WHERE s.flow_run_id = r.id AND s.at > coalesce($3, now()) - $4::interval
  )
  AND NOT g.settings @> '{"heartbeat_enabled": false}'
  AND NOT g.settings @> '{"lazarus_enabled": false}'
  AND NOT EXISTS (
      SELECT FROM gateway.tenant t WHERE t.id = r.tenant_id AND t.settings -> 'work_queue_paused' = 'true'
  )
