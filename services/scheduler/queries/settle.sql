-- Write the decisions for claimed rows. The caller holds their locks. The checksum is of the planned keys, as
-- find_different.sql computes it of the ledger's rows.
UPDATE scheduler.schedule s
SET clocks = settled.clocks, active = true, fingerprint = settled.fingerprint, inputs = settled.inputs,
    required = settled.required::jsonb, planned = settled.planned::jsonb, next_due = settled.next_due,
    horizon = settled.horizon, reason = settled.reason,
    cleared = CASE WHEN settled.cleared THEN {at} ELSE s.cleared END, updated = {at},
    checksum = coalesce((
        SELECT bit_xor(hashtextextended(p ->> 1, extract(epoch FROM (p ->> 0)::timestamptz)::bigint))
        FROM jsonb_array_elements(settled.planned::jsonb) p
    ), 0)
FROM {settled}
WHERE s.flow_id = settled.flow_id
