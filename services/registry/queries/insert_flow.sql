-- Store a version. The document crosses the wire once and is taken apart here. The race: none left; the caller holds
-- the group's row, and UNIQUE (flow_group_id, version) would refuse a second writer. `created` is the time of writing,
-- not of the transaction's start: registrations of one group wait for one another, and "the newest flow" must mean the
-- last one written.
WITH given AS MATERIALIZED (SELECT CAST($12 AS text)::jsonb AS flow)
INSERT INTO registry.flow (
    id, created, updated, tenant_id, project_id, flow_group_id, name, version, version_group_id, description,
    core_version, settings, is_schedule_active, created_by,
    environment, run_config, storage, parameters, schedule, serialized_flow
)
SELECT
    $1, clock_timestamp(), clock_timestamp(), $2, $3, $4, $5, $6, $7, $8,
    $9, $10, $11, $13,
    nullif(flow -> 'environment', 'null'), nullif(flow -> 'run_config', 'null'), nullif(flow -> 'storage', 'null'),
    coalesce(nullif(flow -> 'parameters', 'null'), '[]'), nullif(flow -> 'schedule', 'null'), flow
FROM given
