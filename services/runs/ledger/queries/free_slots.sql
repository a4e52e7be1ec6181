-- Free slots of limits that the caller has locked (lock_limits.sql).
DELETE FROM runs.concurrency_slot s USING {freed}
WHERE (s.limit_id, s.run_id) = (freed.limit_id, freed.run_id)
