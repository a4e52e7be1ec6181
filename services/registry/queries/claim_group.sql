-- Find or make the version group, and hold it until the transaction ends.
-- The race: many clients register versions of one flow at once. UNIQUE (tenant_id, name) lets one of them insert; the
-- others wait here for its row, so version numbers, the archiving of older versions and the idempotency key are
-- decided one registration at a time. The update changes nothing: it is the lock, and it returns the row that won.
INSERT INTO registry.flow_group AS g (id, tenant_id, name, settings)
VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, name) DO UPDATE SET updated = g.updated
RETURNING g.id, g.name, g.settings, g.default_parameters, g.last_version, g.schedule
