-- Versions are unique in a group here. Of two equal ones the later gets a number above all others, as one without does.
INSERT INTO numbered (id, flow_group_id, version)
WITH ranked AS (
    SELECT f.id, m.keeper, f.version, f.created, f.version IS NOT NULL
        AND row_number() OVER (PARTITION BY m.keeper, f.version ORDER BY f.created, f.id) = 1 AS keeps
    FROM stage_flow f JOIN moving_in.flow_group m ON m.id = f.flow_group_id
)
SELECT id, keeper, CASE WHEN keeps THEN version
    ELSE coalesce(max(version) OVER (PARTITION BY keeper), 0)
        + row_number() OVER (PARTITION BY keeper, keeps ORDER BY created, id) END
FROM ranked
