-- Claim rows that differ from the registry: new, changed, paused, archived, deleted, resumed, or with other inputs of
-- the planned runs (overrides of the group). A flow that still gets pieces is not followed: a schedule that is started
-- early is followed once the flow is complete. Only a newly adopted row has no fingerprint and is not active. Race:
-- replicas share the rows by SKIP LOCKED; a row that another replica has just settled is re-checked by PostgreSQL when
-- its lock is taken and no longer matches.
SELECT s.flow_id, s.tenant_id, s.planned, s.reason,
       s.fingerprint <> coalesce(now_is.fingerprint, '') AND (s.active OR s.fingerprint <> '') AS changed, true AS again,
       now_is.schedule, coalesce(now_is.fingerprint, '') AS fingerprint, coalesce(now_is.inputs, '') AS inputs,
       coalesce((
           SELECT jsonb_agg(p ->> 'name' ORDER BY p ->> 'name') FROM jsonb_array_elements(now_is.parameters) p
           WHERE p -> 'required' = 'true' AND coalesce(p -> 'default', 'null') = 'null'
             AND NOT now_is.default_parameters ? (p ->> 'name')
       ), '[]') AS required
FROM scheduler.schedule s
LEFT JOIN LATERAL (
    SELECT coalesce(nullif(g.schedule, 'null'), nullif(f.schedule, 'null')) AS schedule,
           md5(coalesce(nullif(g.schedule, 'null'), nullif(f.schedule, 'null'))::text) AS fingerprint,
           md5(jsonb_build_array(g.default_parameters, g.labels, g.run_config)::text) AS inputs,
           f.parameters, g.default_parameters
    FROM registry.flow f
    JOIN registry.flow_group g ON g.id = f.flow_group_id
    WHERE f.id = s.flow_id AND f.is_schedule_active AND NOT f.archived
      AND NOT EXISTS (SELECT FROM registry.flow_piece p WHERE p.flow_id = f.id)
      AND coalesce(nullif(g.schedule, 'null'), nullif(f.schedule, 'null')) IS NOT NULL
) AS now_is ON true
WHERE CASE WHEN now_is.fingerprint IS NULL THEN s.active
           ELSE NOT s.active OR s.fingerprint <> now_is.fingerprint OR s.inputs <> now_is.inputs END
LIMIT $1
FOR UPDATE OF s SKIP LOCKED
