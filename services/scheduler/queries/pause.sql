-- Note that the flow is no longer followed; the row is checked again at $2. The caller holds the locks.
UPDATE scheduler.schedule
SET active = false, fingerprint = 'paused', planned = '[]', reason = NULL, horizon = NULL, next_due = $2, updated = $3
WHERE flow_id = ANY($1::uuid[])
