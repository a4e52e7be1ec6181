-- Task runs that run (since $1 or longer) in flow runs that do not run and were not heard since $1 either, with those
-- flow runs; at most $3 task runs, so that one flood is ended in steps.
-- Driven by the partial index of running task runs: ended ones cost nothing. The flow run's own row has the time of its
-- state, and the heartbeat service's row the time of its last ping; a process that goes on after its flow run was
-- marked as finished pings, and is not touched. Silence is judged only if pings were heard during the whole time
-- (heartbeat.watch, whose confirmation must not be older than $2).
-- The race: the flow run is restarted, or a ping comes, between this read and the decision. Both are checked again
-- under the lock (domain/safeguards.py).
WITH left_behind AS (
    SELECT t.id, t.flow_run_id, r.tenant_id
    FROM runs.task_run t
    JOIN runs.flow_run r ON r.id = t.flow_run_id
    JOIN registry.flow_group g ON g.id = r.flow_group_id
    WHERE t.state IN ('Running', 'Cancelling') AND t.state_timestamp <= $1
      AND r.state NOT IN ('Running', 'Cancelling') AND r.state_timestamp <= $1
      AND NOT g.settings @> '{"heartbeat_enabled": false}'
      AND NOT EXISTS (SELECT FROM heartbeat.last_seen s WHERE s.flow_run_id = r.id AND s.at > $1)
      AND EXISTS (SELECT FROM heartbeat.watch w WHERE w.since <= $1 AND w.at > $2)
    LIMIT $3
)
SELECT flow_run_id, tenant_id, array_agg(id ORDER BY id) AS task_run_ids
FROM left_behind
GROUP BY flow_run_id, tenant_id
ORDER BY flow_run_id
