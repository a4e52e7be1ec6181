-- For each (tenant, flow run, task, map index): whether the flow run and the task exist and belong together, and the
-- task run, made Pending as version 0 with its first history row if it does not exist.
-- The race: two requests for the same (flow run, task, map index), of two replicas or in this very statement. The
-- unique key decides: the request that did not insert gets no id, and asks again, when the row is visible. Rows are
-- inserted in the order of the key, so two of these statements cannot deadlock.
-- Each look-up is one descent of its own index, independent of the planner's estimate for a table that has just grown;
-- it once read all 10,000 children of a mapped task for every child. Conditions that are only checked are outside the
-- LIMIT, and only the key's own index can answer "at or after the key, in the key's order" at once.
WITH asked AS MATERIALIZED (
    SELECT wanted.*, r.id AS known_flow_run_id, t.id AS known_task_id, t.cache_key,
        x.id AS known_id, x.version, x.state, x.serialized_state
    FROM {wanted}
    LEFT JOIN LATERAL (SELECT * FROM runs.flow_run WHERE id = wanted.flow_run_id LIMIT 1) r
        ON r.tenant_id = wanted.tenant_id
    LEFT JOIN LATERAL (SELECT * FROM registry.task WHERE id = wanted.task_id LIMIT 1) t
        ON t.flow_id = r.flow_id
    LEFT JOIN LATERAL (
        SELECT * FROM runs.task_run
        WHERE (flow_run_id, task_id, map_index) >= (wanted.flow_run_id, wanted.task_id, wanted.map_index)
        ORDER BY flow_run_id, task_id, map_index LIMIT 1
    ) x ON (x.flow_run_id, x.task_id, x.map_index) = (r.id, t.id, wanted.map_index)
), made AS (
    INSERT INTO runs.task_run
        (id, created, updated, tenant_id, flow_run_id, task_id, map_index, cache_key, version, state, state_timestamp,
         state_message, serialized_state)
    SELECT id, {at}, {at}, tenant_id, flow_run_id, task_id, map_index, cache_key, 0, 'Pending', {at}, {message},
        {serialized_state}::jsonb
    FROM asked WHERE known_task_id IS NOT NULL AND known_id IS NULL
    ORDER BY flow_run_id, task_id, map_index
    ON CONFLICT (flow_run_id, task_id, map_index) DO NOTHING
    RETURNING id, version, state
), history AS (
    INSERT INTO runs.task_run_state
        (id, created, updated, tenant_id, task_run_id, timestamp, state, message, serialized_state, version)
    SELECT a.history_id, {at}, {at}, a.tenant_id, a.id, {at}, 'Pending', {message}, {serialized_state}::jsonb, 0
    FROM asked a JOIN made USING (id)
)
SELECT a.known_flow_run_id, a.known_task_id, coalesce(a.known_id, made.id) AS id, coalesce(a.version, made.version) AS version,
    coalesce(a.state, made.state) AS state, a.serialized_state
FROM asked a LEFT JOIN made USING (id)
ORDER BY a.number
