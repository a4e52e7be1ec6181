-- Claim rows that differ from the ledger, unless another replica has handled them since ($2). Race: as in claim_stale.
SELECT s.flow_id, s.tenant_id, s.planned, s.reason, true AS changed, true AS again,
       s.clocks AS schedule, s.fingerprint, s.inputs, s.required
FROM scheduler.schedule s
WHERE s.flow_id = ANY($1::uuid[]) AND s.active AND s.updated < $2
FOR UPDATE OF s SKIP LOCKED
