-- Groups of one (tenant, name) become one: the keeper of an earlier round, else that of the newest flow.
WITH named AS (
    SELECT g.id, coalesce(g.name, g.id::text) AS name, coalesce(newest.tenant_id, g.tenant_id) AS tenant_id,
           newest.created AS newest, g.created
    FROM stage_flow_group g
    LEFT JOIN LATERAL (
        SELECT p.tenant_id, f.created FROM stage_flow f JOIN registry.project p ON p.id = f.project_id
        WHERE f.flow_group_id = g.id ORDER BY f.created DESC, f.id LIMIT 1
    ) newest ON true
), kept AS (
    SELECT n.*, first_value(n.id) OVER (
        PARTITION BY n.tenant_id, n.name ORDER BY n.newest DESC NULLS LAST, n.created, n.id) AS chosen
    FROM named n WHERE n.tenant_id IS NOT NULL
)
INSERT INTO moving_in.flow_group (id, keeper, tenant_id, name)
SELECT k.id, coalesce(
    (SELECT m.keeper FROM moving_in.flow_group m WHERE m.tenant_id = k.tenant_id AND m.name = k.name LIMIT 1), k.chosen),
    k.tenant_id, k.name
FROM kept k
ON CONFLICT (id) DO NOTHING
