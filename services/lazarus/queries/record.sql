-- Record proposals; the rows that come back are ours to propose. Race: two Lazaruses found the same run.
-- UNIQUE(flow_run_id, version) lets one insert; the other waits for its commit and then finds a fresh record, which the
-- WHERE excludes. An old record is proposed again.
INSERT INTO lazarus.resurrection AS l (id, tenant_id, flow_run_id, version, attempt, outcome, proposed)
SELECT decided.id, decided.tenant_id, decided.flow_run_id, decided.version, decided.attempt, decided.outcome,
    coalesce({at}, now())
FROM {decided}
ORDER BY decided.flow_run_id
ON CONFLICT (flow_run_id, version) DO UPDATE SET proposed = excluded.proposed
    WHERE l.proposed <= excluded.proposed - {again}::interval
RETURNING l.flow_run_id
