-- Record zombies; the rows that come back are to be announced, in the same transaction. Race: two replicas, or one and
-- the sweep, find the same run: one row per run, and only a newer version or sign of life passes the WHERE. Race: a
-- replica has written a ping since we read the facts (we may have been stopped in between, for however long): the run
-- is not announced; the replicas that heard it wait for its next one. Race: no other replica was there to write it
-- while we were stopped: then none confirmed the watch either, and our judgement is out of date. The time of the
-- statement counts: its transaction may have begun earlier. If we are stopped after the statement,
-- idle_in_transaction_session_timeout rolls it back. After $6 it is announced again, in case the event was lost.
INSERT INTO heartbeat.zombie AS z (flow_run_id, version, tenant_id, last_seen, detected)
SELECT d.flow_run_id, d.version, d.tenant_id, d.last_seen, $5
FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::timestamptz[])
    AS d (flow_run_id, version, tenant_id, last_seen)
WHERE NOT EXISTS (
    SELECT FROM heartbeat.last_seen s WHERE s.flow_run_id = d.flow_run_id AND s.at > d.last_seen
)
AND EXISTS (SELECT FROM heartbeat.watch w WHERE statement_timestamp() - w.at BETWEEN interval '0' AND $7::interval)
ORDER BY d.flow_run_id
ON CONFLICT (flow_run_id) DO UPDATE
    SET version = excluded.version, last_seen = excluded.last_seen, detected = excluded.detected
    WHERE z.version < excluded.version OR z.last_seen < excluded.last_seen
       OR z.detected < excluded.detected - $6::interval
RETURNING z.flow_run_id
