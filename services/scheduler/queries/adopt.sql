-- Make a row for every flow with a schedule to follow and without a row. Its empty fingerprint makes it stale, so the
-- next claim fills it. Race: two replicas adopt at once, or the row was made since the snapshot: ON CONFLICT makes the
-- second a no-op.
INSERT INTO scheduler.schedule (flow_id, tenant_id, flow_group_id, clocks, active, fingerprint)
SELECT f.id, f.tenant_id, f.flow_group_id, '{}'::jsonb, false, ''
FROM registry.flow f
JOIN registry.flow_group g ON g.id = f.flow_group_id
WHERE f.is_schedule_active AND NOT f.archived
  AND coalesce(nullif(g.schedule, 'null'), nullif(f.schedule, 'null')) IS NOT NULL
  AND NOT EXISTS (SELECT FROM scheduler.schedule s WHERE s.flow_id = f.id)
  AND NOT EXISTS (SELECT FROM registry.flow_piece p WHERE p.flow_id = f.id)
ON CONFLICT (flow_id) DO NOTHING
