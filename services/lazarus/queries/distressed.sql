-- Distressed runs, at most $3 per tenant, longest unseen first; one index scan over the tenant's live runs. $1 now
-- (NULL: the database's clock), $2 the silence after which a run is distressed, $4 the age after which a proposal that
-- was never applied is made again. Runs are judged only if pings were heard during the whole silence ($5: how old that
-- confirmation may be). "Seen" is the newest of the last ping, the last state, and what the state write called a
-- heartbeat. A time in the future comes from a clock that has gone back since: it is ignored, and a run without another
-- time is not judged. Runs of a tenant whose work queue is paused wait: nobody could be given them.
SELECT r.id AS flow_run_id, r.tenant_id, r.version, r.times_resurrected
FROM gateway.tenant t
JOIN LATERAL (
    SELECT r.id, r.tenant_id, r.version, r.times_resurrected
    FROM runs.flow_run r
    JOIN registry.flow_group g ON g.id = r.flow_group_id
    LEFT JOIN heartbeat.last_seen s ON s.flow_run_id = r.id
    CROSS JOIN LATERAL (
        SELECT greatest(
            s.at,
            CASE WHEN r.heartbeat <= coalesce($1, now()) THEN r.heartbeat END,
            CASE WHEN r.state_timestamp <= coalesce($1, now()) THEN r.state_timestamp END
        ) AS at
    ) seen
    WHERE r.tenant_id = t.id
      AND r.state IN ('Submitted', 'Running')
      AND seen.at <= coalesce($1, now()) - $2::interval
      AND (r.state = 'Submitted' OR s.flow_run_id IS NOT NULL)
      AND (s.flow_run_id IS NULL OR EXISTS (
          SELECT FROM heartbeat.watch w
          WHERE w.since <= coalesce($1, now()) - $2::interval AND w.at > coalesce($1, now()) - $5::interval
      ))
      AND NOT g.settings @> '{"heartbeat_enabled": false}'
      AND NOT g.settings @> '{"lazarus_enabled": false}'
      AND NOT EXISTS (
          SELECT FROM runs.task_run k
          WHERE k.flow_run_id = r.id
            AND k.state IN ('Submitted', 'Running', 'Cancelling', 'Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying')
      )
      AND NOT EXISTS (
          SELECT FROM lazarus.resurrection l
          WHERE l.flow_run_id = r.id AND l.version = r.version
            AND l.proposed > coalesce($1, now()) - $4::interval
      )
    ORDER BY seen.at
    LIMIT $3
) AS r ON true
WHERE t.settings -> 'work_queue_paused' IS DISTINCT FROM 'true'
