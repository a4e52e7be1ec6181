-- Write what was decided about claimed rows. The caller holds their locks.
UPDATE scheduler.schedule s
SET clocks = d.clocks, active = true, fingerprint = d.fingerprint, next_due = d.next_due,
    horizon = d.horizon, updated = $6
FROM unnest($1::uuid[], $2::jsonb[], $3::text[], $4::timestamptz[], $5::timestamptz[])
    AS d (flow_id, clocks, fingerprint, next_due, horizon)
WHERE s.flow_id = d.flow_id
