-- Claim rows whose first instant has passed, oldest first.
-- Race: as in claim_stale; the row's next_due moves on in the same transaction.
SELECT s.flow_id, s.tenant_id, s.planned, s.reason, false AS changed, false AS again,
       s.clocks AS schedule, s.fingerprint, s.inputs, s.required
FROM scheduler.schedule s
WHERE s.active AND s.next_due <= $2
ORDER BY s.next_due
LIMIT $1
FOR UPDATE OF s SKIP LOCKED
