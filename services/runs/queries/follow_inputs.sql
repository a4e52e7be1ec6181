-- Give planned runs, which the caller has locked, their present inputs; those that differ.
UPDATE runs.flow_run r
SET parameters = n.parameters::jsonb, labels = n.labels::jsonb, run_config = n.run_config::jsonb
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS n (id, parameters, labels, run_config)
WHERE r.id = n.id AND (r.parameters, r.labels, coalesce(r.run_config, 'null'))
    IS DISTINCT FROM (n.parameters::jsonb, n.labels::jsonb, coalesce(n.run_config::jsonb, 'null'))
