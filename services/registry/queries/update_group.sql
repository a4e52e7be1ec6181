-- Overwrite the columns of a group that are named in $3.
-- The race: two operators change different columns at once; each statement touches its own columns only.
WITH given AS MATERIALIZED (SELECT CAST($3 AS text)::jsonb AS new)
UPDATE registry.flow_group g
SET description = CASE WHEN new ? 'description' THEN new ->> 'description' ELSE g.description END,
    labels = CASE WHEN new ? 'labels' THEN nullif(new -> 'labels', 'null') ELSE g.labels END,
    default_parameters = CASE WHEN new ? 'default_parameters' THEN new -> 'default_parameters' ELSE g.default_parameters END,
    run_config = CASE WHEN new ? 'run_config' THEN nullif(new -> 'run_config', 'null') ELSE g.run_config END,
    schedule = CASE WHEN new ? 'schedule' THEN nullif(new -> 'schedule', 'null') ELSE g.schedule END,
    updated = clock_timestamp()
FROM given
WHERE g.id = $1 AND g.tenant_id = $2
RETURNING g.id
