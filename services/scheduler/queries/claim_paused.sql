-- Claim rows of flows that are no longer followed and were told so a while ago, with whether the ledger still holds
-- pending runs of theirs: then the word was lost, and is said again; otherwise the row can go. Pending is what clearing
-- deletes (lock_pending_scheduled.sql): a run whose state somebody set would be waited for in vain.
-- Race: as in claim_stale; a flow that is resumed meanwhile is claimed there, by whoever has the row first.
SELECT s.flow_id, s.tenant_id,
       EXISTS (
           SELECT FROM runs.flow_run r
           WHERE r.flow_id = s.flow_id AND r.schedule_hash IS NOT NULL AND r.state = 'Scheduled' AND r.version = 1
             AND r.scheduled_start_time > $2
       ) AS pending
FROM scheduler.schedule s
WHERE NOT s.active AND s.next_due <= $2
LIMIT $1
FOR UPDATE OF s SKIP LOCKED
