-- The flows of new runs, locked against archiving until the runs are committed.
-- The race: archive_flow commits between the check and the insert. The share lock makes one wait for the other, so
-- after the commit of the archiving no run is created for the flow (ARCHITECTURE.md).
SELECT
    f.id, f.tenant_id, f.flow_group_id, s.archived, s.is_schedule_active, f.parameters, f.run_config, f.environment,
    g.labels AS group_labels, g.run_config AS group_run_config, g.default_parameters AS group_default_parameters,
    now() AS now
FROM registry.share_flows($1::uuid[]) s
JOIN registry.flow f USING (id)
JOIN registry.flow_group g ON g.id = f.flow_group_id
