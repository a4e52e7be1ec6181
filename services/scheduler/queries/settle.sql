-- Write what was decided about claimed rows. The caller holds their locks. The checksum is of the keys ahead, as
-- find_different.sql computes it of the ledger's rows.
UPDATE scheduler.schedule s
SET clocks = d.clocks, active = true, fingerprint = d.fingerprint, inputs = d.inputs, required = d.required::jsonb,
    planned = d.planned::jsonb, next_due = d.next_due, horizon = d.horizon, reason = d.reason,
    cleared = CASE WHEN d.cleared THEN $11 ELSE s.cleared END, updated = $11,
    checksum = coalesce((
        SELECT bit_xor(hashtextextended(p ->> 1, extract(epoch FROM (p ->> 0)::timestamptz)::bigint))
        FROM jsonb_array_elements(d.planned::jsonb) p
    ), 0)
FROM unnest($1::uuid[], $2::jsonb[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
        $8::timestamptz[], $9::text[], $10::boolean[])
    AS d (flow_id, clocks, fingerprint, inputs, required, planned, next_due, horizon, reason, cleared)
WHERE s.flow_id = d.flow_id
