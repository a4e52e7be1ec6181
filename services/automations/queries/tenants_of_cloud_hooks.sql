-- Let the histories be searched of tenants that have an active cloud hook and no other rules: from their first hook on,
-- or for ten minutes back. A tenant whose hooks were imported is not told about the past. $1 now (NULL: the database's
-- clock). Race: the tenant gets its first rule meanwhile: whoever comes second finds the row.
INSERT INTO automations.ruleset (tenant_id, swept)
SELECT k.tenant_id, greatest(min(k.updated), coalesce($1::timestamptz, now()) - interval '10 minutes')
FROM gateway.cloud_hook k
JOIN gateway.tenant t ON t.id = k.tenant_id
WHERE k.active AND NOT EXISTS (SELECT FROM automations.ruleset r WHERE r.tenant_id = k.tenant_id)
GROUP BY k.tenant_id
ON CONFLICT (tenant_id) DO NOTHING
