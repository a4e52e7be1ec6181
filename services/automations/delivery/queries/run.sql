-- What a test of a cloud hook says of a run that was named for it.
SELECT r.id AS flow_run_id, r.name AS flow_run_name, r.version AS flow_run_version, f.id AS flow_id, f.name AS flow_name,
    f.flow_group_id, f.version_group_id
FROM runs.flow_run r LEFT JOIN registry.flow f ON f.id = r.flow_id
WHERE r.tenant_id = $1 AND r.id = $2
