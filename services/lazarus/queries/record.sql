-- Record proposals; the rows that come back are ours to propose.
-- Race: two Lazaruses found the same run. UNIQUE(flow_run_id, version) lets one insert; the other waits for its commit
-- and then finds a fresh record, which the WHERE keeps it from taking over. An old one is proposed again.
INSERT INTO lazarus.resurrection AS l (id, tenant_id, flow_run_id, version, attempt, outcome, proposed)
SELECT d.id, d.tenant_id, d.flow_run_id, d.version, d.attempt, d.outcome, coalesce($7, now())
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::int[], $6::text[])
    AS d (id, tenant_id, flow_run_id, version, attempt, outcome)
ORDER BY d.flow_run_id
ON CONFLICT (flow_run_id, version) DO UPDATE SET proposed = excluded.proposed
    WHERE l.proposed <= excluded.proposed - $8::interval
RETURNING l.flow_run_id
