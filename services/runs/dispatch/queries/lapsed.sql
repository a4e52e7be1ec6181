-- Runs that were claimed and never began, and whose lease has expired; locked.
-- The race: the agent renews, or its process sets Running, at the same time. Both need the row's lock: rows that they
-- hold are skipped and checked again in a second; rows that we hold are queued again when they get the lock. Two
-- replicas skip each other's rows.
SELECT r.id FROM runs.flow_run r
WHERE r.state = 'Submitted' AND r.lease_token IS NOT NULL AND r.lease_expires <= now()
LIMIT $1
FOR NO KEY UPDATE SKIP LOCKED
