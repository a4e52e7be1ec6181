-- Update planned runs, which the caller has locked, to their current inputs; returns those that differed.
UPDATE runs.flow_run r
SET parameters = given.parameters::jsonb, labels = given.labels::jsonb, run_config = given.run_config::jsonb
FROM {given}
WHERE r.id = given.id AND (r.parameters, r.labels, coalesce(r.run_config, 'null'))
    IS DISTINCT FROM (given.parameters::jsonb, given.labels::jsonb, coalesce(given.run_config::jsonb, 'null'))
