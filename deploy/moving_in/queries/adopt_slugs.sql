-- A tenant without flows gives up its slug to an imported one: `default` is common on both sides.
UPDATE gateway.tenant t SET slug = t.slug || '-before-import', updated = now()
FROM stage_tenant s
WHERE t.slug = s.slug AND t.id <> s.id AND NOT EXISTS (SELECT FROM registry.flow f WHERE f.tenant_id = t.id)
