-- The cloud hooks that these state changes call, with what Server's payload says of the change: one row for each pair.
-- A hook's states are names in capitals, and neither parents nor children count. With `late`, a hook that was made or
-- changed since does not count. A state that is larger than 32 KiB is sent without its result and inputs.
SELECT
    k.id AS cloud_hook_id, change.flow_run_id, change.version, f.version_group_id, s.id AS state_id,
    CASE WHEN pg_column_size(s.serialized_state) <= 32768 THEN s.serialized_state
        ELSE jsonb_build_object('type', s.state, 'message', left(s.message, 10000)) END AS serialized_state,
    previous.state AS previous_state
FROM {change}
JOIN gateway.cloud_hook k ON k.tenant_id = change.tenant_id AND k.active AND k.states ? upper(change.state)
LEFT JOIN registry.flow f ON f.id = change.flow_id AND f.tenant_id = change.tenant_id
LEFT JOIN runs.flow_run_state s
    ON s.flow_run_id = change.flow_run_id AND s.version = change.version AND s.tenant_id = change.tenant_id
LEFT JOIN runs.flow_run_state previous
    ON previous.flow_run_id = change.flow_run_id AND previous.version = change.version - 1
    AND previous.tenant_id = change.tenant_id
WHERE (k.version_group_id IS NULL OR k.version_group_id = f.version_group_id)
    AND (NOT {late}::boolean OR k.updated <= change.at)
ORDER BY change.flow_run_id, change.version, k.id
