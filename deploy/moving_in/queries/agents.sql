-- Old Servers made an agent at each start. Those of one identity become the first of them.
INSERT INTO moving_in.agent (id, keeper)
SELECT s.id, coalesce(
    (SELECT a.id FROM runs.agent a WHERE a.tenant_id = s.tenant_id AND coalesce(a.name, '') = coalesce(s.name, '')
        AND a.type = coalesce(s.type, 'Agent') AND coalesce(a.core_version, '') = coalesce(s.core_version, '')
        AND a.labels = s.labels),
    first_value(s.id) OVER (
        PARTITION BY s.tenant_id, coalesce(s.name, ''), coalesce(s.type, 'Agent'), coalesce(s.core_version, ''), s.labels
        ORDER BY s.created, s.id))
FROM stage_agent s
ON CONFLICT (id) DO NOTHING
