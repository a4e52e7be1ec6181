-- Claim rows of flows that are no longer followed since a while, with whether the ledger still has pending runs of
-- them: then the message was lost, and is sent again; otherwise the row is deleted. Pending is what clearing deletes
-- (lock_pending_scheduled.sql): a run with a state set by a person is not deleted, so we must not wait for it. Race: as
-- in claim_stale; a flow that is resumed meanwhile is claimed there, by whoever has the row first.
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
