-- The labels or tags that decide a run's limits, and the state that it waits in; for runs that the caller has locked.
SELECT r.id, r.labels AS names, r.serialized_state, r.state_start_time
FROM runs.flow_run r WHERE r.id = ANY ($1::uuid[])
UNION ALL
SELECT t.id, coalesce(k.tags, '[]'), t.serialized_state, t.state_start_time
FROM runs.task_run t LEFT JOIN registry.task k ON k.id = t.task_id WHERE t.id = ANY ($2::uuid[])
