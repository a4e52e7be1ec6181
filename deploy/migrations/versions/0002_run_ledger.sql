-- The queue by labels: for each label set its due runs, oldest first, so that runs which nobody serves starve nobody.
-- The hash keeps the index small, and any number of labels within the size of an index row.
CREATE INDEX flow_run_queue_idx ON runs.flow_run (tenant_id, jsonb_hash_extended(labels, 0), state_start_time, id) WHERE state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying');

-- Task runs that wait for an instant: what brings a Running flow run back to the queue.
CREATE INDEX task_run_waiting_idx ON runs.task_run (tenant_id, state_start_time) WHERE state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying');

ALTER TABLE runs.flow_run ADD COLUMN late_reason VARCHAR;

CREATE TABLE runs.log_usage (
    flow_run_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    updated TIMESTAMP WITH TIME ZONE NOT NULL,
    lines BIGINT NOT NULL,
    dropped BIGINT NOT NULL,
    CONSTRAINT log_usage_pkey PRIMARY KEY (flow_run_id)
)
 WITH (fillfactor = 50);
