-- Claim rows whose newest proposed instant is not in the ledger: a proposal was lost (the WORK stream was deleted), or
-- its run was (archived and unarchived within one tick). Rows of the last $3 are left alone: theirs is on its way.
-- Race: as in claim_stale; `updated` moves on in the same transaction.
SELECT s.flow_id, s.tenant_id, false AS changed, NULL::timestamptz AS horizon,
       s.clocks AS schedule, s.fingerprint
FROM scheduler.schedule s
WHERE s.active AND s.horizon > $2 AND s.updated < $2 - $3::interval
  AND NOT EXISTS (
      SELECT FROM runs.flow_run r
      WHERE r.flow_id = s.flow_id AND r.scheduled_start_time >= s.horizon AND r.auto_scheduled
  )
LIMIT $1
FOR UPDATE OF s SKIP LOCKED
