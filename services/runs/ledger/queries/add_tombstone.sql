-- Leave a tombstone for the instant of a run that a person deletes, if it is still to come: it is not made again.
-- The race: the scheduler's proposal for it is being applied. Its insert waits for this transaction, as the key is the
-- same, and then finds the tombstone (barred_instants.sql).
INSERT INTO runs.deleted_instant (flow_group_id, start_time, schedule_hash, flow_id, tenant_id)
SELECT flow_group_id, scheduled_start_time, schedule_hash, flow_id, tenant_id FROM runs.flow_run
WHERE id = $1 AND tenant_id = $2 AND schedule_hash IS NOT NULL AND scheduled_start_time > now()
ON CONFLICT DO NOTHING
