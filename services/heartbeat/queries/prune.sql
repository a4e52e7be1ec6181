-- Delete at most $2 zombies that nobody needs any more: announced more than $1 ago, and the run is deleted, or ended at
-- least that long ago. A run that is still silent is announced again every ten minutes, so its row is young; the row of
-- any other live run stays until the run has ended. Race: another replica deletes the same rows: they are locked, and
-- the second skips them. Race: a run is announced meanwhile: its row is locked by one of the two, so it is skipped here,
-- or inserted anew there.
DELETE FROM heartbeat.zombie z
USING (
    SELECT o.flow_run_id
    FROM heartbeat.zombie o
    LEFT JOIN runs.flow_run r ON r.id = o.flow_run_id
    WHERE o.detected < now() - $1::interval
      AND (r.id IS NULL OR r.end_time < now() - $1::interval)
    ORDER BY o.detected
    LIMIT $2
    FOR UPDATE OF o SKIP LOCKED
) old
WHERE z.flow_run_id = old.flow_run_id
RETURNING z.flow_run_id
