-- Runs that were claimed and never began, and whose agent let the lease lapse; locked.
--
-- The race: the agent renews, or its process sets Running, at this moment. Both need the row's lock: what they hold is
-- skipped and looked at again in a second; what we hold they find taken back. Two replicas skip each other's.
SELECT r.id FROM runs.flow_run r
WHERE r.state = 'Submitted' AND r.lease_token IS NOT NULL AND r.lease_expires <= now()
LIMIT $1
FOR NO KEY UPDATE SKIP LOCKED
