-- Distressed runs, at most $3 per tenant, longest unseen first. $1 now
-- (NULL: the database's clock), $2 the silence after which a run is distressed, $4 the age after which a proposal that
-- was never applied is made again. Runs are judged only if pings were heard during the whole silence ($5: how old that
-- confirmation may be). "Seen" is the newest of the last ping, the last state, and what the state write called a
-- heartbeat. A time in the future comes from a clock that has gone back since: it is ignored, and a run without another
-- time is not judged. $6: look at all live runs, with one index scan; otherwise only at Submitted runs and those that the
-- heartbeat service announced as silent within the last half hour ($7; it repeats that every ten minutes), which are few.
-- The branch that is not asked for is not executed. Runs of a tenant whose work queue is paused wait: nobody could be given them.
WITH candidate AS (
    SELECT r.id, r.tenant_id, r.flow_group_id, r.version, r.times_resurrected, r.state, r.heartbeat, r.state_timestamp
    FROM runs.flow_run r
    WHERE $6::boolean AND r.state IN ('Submitted', 'Running')
    UNION ALL
    SELECT r.id, r.tenant_id, r.flow_group_id, r.version, r.times_resurrected, r.state, r.heartbeat, r.state_timestamp
    FROM gateway.tenant t JOIN runs.flow_run r ON r.tenant_id = t.id
    WHERE NOT $6::boolean AND r.state = 'Submitted'
    UNION ALL
    SELECT r.id, r.tenant_id, r.flow_group_id, r.version, r.times_resurrected, r.state, r.heartbeat, r.state_timestamp
    FROM heartbeat.zombie z JOIN runs.flow_run r ON r.id = z.flow_run_id
    WHERE NOT $6::boolean AND r.state = 'Running' AND z.detected > coalesce($1, now()) - $7::interval
), distressed AS (
    SELECT r.id, r.tenant_id, r.version, r.times_resurrected,
        row_number() OVER (PARTITION BY r.tenant_id ORDER BY seen.at) AS place
    FROM candidate r
    JOIN gateway.tenant t ON t.id = r.tenant_id
    JOIN registry.flow_group g ON g.id = r.flow_group_id
    LEFT JOIN heartbeat.last_seen s ON s.flow_run_id = r.id
    CROSS JOIN LATERAL (
        SELECT greatest(
            s.at,
            CASE WHEN r.heartbeat <= coalesce($1, now()) THEN r.heartbeat END,
            CASE WHEN r.state_timestamp <= coalesce($1, now()) THEN r.state_timestamp END
        ) AS at
    ) seen
    WHERE seen.at <= coalesce($1, now()) - $2::interval
      AND (r.state = 'Submitted' OR s.flow_run_id IS NOT NULL)
      AND (s.flow_run_id IS NULL OR EXISTS (
          SELECT FROM heartbeat.watch w
          WHERE w.since <= coalesce($1, now()) - $2::interval AND w.at > coalesce($1, now()) - $5::interval
      ))
      AND t.settings -> 'work_queue_paused' IS DISTINCT FROM 'true'
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
)
SELECT d.id AS flow_run_id, d.tenant_id, d.version, d.times_resurrected
FROM distressed d
WHERE d.place <= $3
ORDER BY d.place
