CREATE SCHEMA gateway;
CREATE SCHEMA registry;
CREATE SCHEMA runs;
CREATE SCHEMA scheduler;
CREATE SCHEMA heartbeat;
CREATE SCHEMA lazarus;

CREATE TABLE gateway.api_key (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    name VARCHAR NOT NULL,
    role VARCHAR NOT NULL,
    hash BYTEA NOT NULL,
    created_by UUID,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT api_key_pkey PRIMARY KEY (id),
    CONSTRAINT api_key_hash_key UNIQUE (hash)
);

CREATE INDEX api_key_tenant_id_idx ON gateway.api_key (tenant_id);

CREATE TABLE gateway.audit_log (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    timestamp TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    actor VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    object_id UUID,
    object_table VARCHAR,
    info JSONB,
    CONSTRAINT audit_log_pkey PRIMARY KEY (id)
);

CREATE INDEX audit_log_tenant_timestamp_idx ON gateway.audit_log (tenant_id, timestamp DESC);

CREATE TABLE gateway.cloud_hook (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    name VARCHAR,
    states JSONB,
    type VARCHAR NOT NULL,
    config JSONB DEFAULT '{}'::jsonb NOT NULL,
    active BOOLEAN DEFAULT true NOT NULL,
    version_group_id VARCHAR,
    CONSTRAINT cloud_hook_pkey PRIMARY KEY (id)
);

CREATE INDEX cloud_hook_tenant_id_idx ON gateway.cloud_hook (tenant_id);

CREATE TABLE gateway.key_value (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    key VARCHAR NOT NULL,
    value JSONB,
    CONSTRAINT key_value_pkey PRIMARY KEY (id),
    CONSTRAINT key_value_tenant_id_key_key UNIQUE (tenant_id, key)
);


CREATE TABLE gateway.message (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    read BOOLEAN DEFAULT false NOT NULL,
    type VARCHAR,
    text VARCHAR,
    content JSONB DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT message_pkey PRIMARY KEY (id)
);

CREATE INDEX message_tenant_id_created_idx ON gateway.message (tenant_id, created);

CREATE TABLE gateway.secret (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    name VARCHAR NOT NULL,
    value BYTEA NOT NULL,
    CONSTRAINT secret_pkey PRIMARY KEY (id),
    CONSTRAINT secret_tenant_id_name_key UNIQUE (tenant_id, name)
);


CREATE TABLE gateway.tenant (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    name VARCHAR NOT NULL,
    slug VARCHAR NOT NULL,
    info JSONB,
    settings JSONB DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT tenant_pkey PRIMARY KEY (id),
    CONSTRAINT tenant_slug_key UNIQUE (slug)
);


CREATE TABLE heartbeat.last_seen (
    flow_run_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT last_seen_pkey PRIMARY KEY (flow_run_id)
)
 WITH (fillfactor = 50);


CREATE TABLE heartbeat.outbox (
    id UUID NOT NULL,
    seq BIGINT GENERATED ALWAYS AS IDENTITY,
    subject TEXT NOT NULL,
    body BYTEA NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT outbox_pkey PRIMARY KEY (id)
);

CREATE INDEX outbox_seq_idx ON heartbeat.outbox (seq);

CREATE TABLE heartbeat.task_last_seen (
    task_run_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT task_last_seen_pkey PRIMARY KEY (task_run_id)
)
 WITH (fillfactor = 50);


CREATE TABLE heartbeat.zombie (
    flow_run_id UUID NOT NULL,
    version INTEGER NOT NULL,
    tenant_id UUID NOT NULL,
    last_seen TIMESTAMP WITH TIME ZONE NOT NULL,
    detected TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT zombie_pkey PRIMARY KEY (flow_run_id)
);

CREATE INDEX zombie_detected_idx ON heartbeat.zombie (detected);

CREATE TABLE lazarus.resurrection (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    flow_run_id UUID NOT NULL,
    version INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    outcome VARCHAR NOT NULL,
    proposed TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT resurrection_pkey PRIMARY KEY (id),
    CONSTRAINT resurrection_flow_run_id_version_key UNIQUE (flow_run_id, version)
);

CREATE INDEX resurrection_tenant_proposed_idx ON lazarus.resurrection (tenant_id, proposed DESC);

CREATE TABLE registry.flow_group (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    name VARCHAR NOT NULL,
    description VARCHAR,
    labels JSONB,
    schedule JSONB,
    settings JSONB DEFAULT '{}'::jsonb NOT NULL,
    default_parameters JSONB DEFAULT '{}'::jsonb NOT NULL,
    run_config JSONB,
    last_version INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT flow_group_pkey PRIMARY KEY (id),
    CONSTRAINT flow_group_tenant_id_name_key UNIQUE (tenant_id, name)
);


CREATE TABLE registry.outbox (
    id UUID NOT NULL,
    seq BIGINT GENERATED ALWAYS AS IDENTITY,
    subject TEXT NOT NULL,
    body BYTEA NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT outbox_pkey PRIMARY KEY (id)
);

CREATE INDEX outbox_seq_idx ON registry.outbox (seq);

CREATE TABLE registry.project (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    name VARCHAR NOT NULL,
    description VARCHAR,
    CONSTRAINT project_pkey PRIMARY KEY (id),
    CONSTRAINT project_tenant_id_name_key UNIQUE (tenant_id, name)
);


CREATE TABLE runs.agent (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    agent_config_id UUID,
    name VARCHAR,
    type VARCHAR NOT NULL,
    core_version VARCHAR,
    labels JSONB DEFAULT '[]'::jsonb NOT NULL,
    last_queried TIMESTAMP WITH TIME ZONE,
    CONSTRAINT agent_pkey PRIMARY KEY (id)
)
 WITH (fillfactor = 70);

CREATE UNIQUE INDEX agent_identity_key ON runs.agent (tenant_id, coalesce(name, ''), type, coalesce(core_version, ''), labels);

CREATE TABLE runs.agent_config (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    name VARCHAR,
    settings JSONB DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT agent_config_pkey PRIMARY KEY (id)
);

CREATE INDEX agent_config_tenant_id_idx ON runs.agent_config (tenant_id);

CREATE TABLE runs.flow_concurrency_limit (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    name VARCHAR NOT NULL,
    "limit" INTEGER NOT NULL,
    CONSTRAINT flow_concurrency_limit_pkey PRIMARY KEY (id),
    CONSTRAINT flow_concurrency_limit_tenant_id_name_key UNIQUE (tenant_id, name)
);


CREATE TABLE runs.flow_run (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    flow_id UUID NOT NULL,
    flow_group_id UUID NOT NULL,
    agent_id UUID,
    name VARCHAR NOT NULL,
    parameters JSONB DEFAULT '{}'::jsonb NOT NULL,
    labels JSONB DEFAULT '[]'::jsonb NOT NULL,
    run_config JSONB,
    context JSONB,
    version INTEGER DEFAULT 0 NOT NULL,
    heartbeat TIMESTAMP WITH TIME ZONE,
    scheduled_start_time TIMESTAMP WITH TIME ZONE NOT NULL,
    start_time TIMESTAMP WITH TIME ZONE,
    end_time TIMESTAMP WITH TIME ZONE,
    auto_scheduled BOOLEAN DEFAULT false NOT NULL,
    schedule_hash VARCHAR,
    times_resurrected INTEGER DEFAULT 0 NOT NULL,
    idempotency_key VARCHAR,
    state VARCHAR NOT NULL,
    state_timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
    state_message VARCHAR,
    state_result JSONB,
    state_start_time TIMESTAMP WITH TIME ZONE,
    serialized_state JSONB NOT NULL,
    attempt INTEGER DEFAULT 0 NOT NULL,
    lease_token UUID,
    lease_expires TIMESTAMP WITH TIME ZONE,
    created_by UUID,
    CONSTRAINT flow_run_pkey PRIMARY KEY (id),
    CONSTRAINT flow_run_flow_id_idempotency_key_key UNIQUE (flow_id, idempotency_key),
    CONSTRAINT flow_run_version_counts_check CHECK (version >= 0)
)
 WITH (fillfactor = 80);

CREATE INDEX flow_run_created_idx ON runs.flow_run (tenant_id, created DESC);
CREATE INDEX flow_run_due_idx ON runs.flow_run (tenant_id, state_start_time, id) WHERE state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying');
CREATE INDEX flow_run_flow_scheduled_idx ON runs.flow_run (flow_id, scheduled_start_time DESC);
CREATE UNIQUE INDEX flow_run_instant_key ON runs.flow_run (flow_group_id, scheduled_start_time, schedule_hash) WHERE schedule_hash IS NOT NULL;
CREATE INDEX flow_run_live_idx ON runs.flow_run (tenant_id, id) WHERE state IN ('Submitted', 'Running', 'Cancelling');
CREATE INDEX flow_run_scheduled_idx ON runs.flow_run (tenant_id, scheduled_start_time DESC);
CREATE INDEX flow_run_started_idx ON runs.flow_run (tenant_id, start_time DESC);
CREATE INDEX flow_run_state_idx ON runs.flow_run (tenant_id, state, scheduled_start_time DESC);
CREATE INDEX flow_run_tenant_id_name_idx ON runs.flow_run (tenant_id, name);

CREATE TABLE runs.flow_run_state (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    flow_run_id UUID NOT NULL,
    timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
    state VARCHAR NOT NULL,
    message VARCHAR,
    result JSONB,
    start_time TIMESTAMP WITH TIME ZONE,
    serialized_state JSONB NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT flow_run_state_pkey PRIMARY KEY (id, created)
)
 PARTITION BY RANGE (created);

CREATE INDEX flow_run_state_changed_idx ON runs.flow_run_state (tenant_id, timestamp DESC);
CREATE INDEX flow_run_state_flow_run_id_version_idx ON runs.flow_run_state (flow_run_id, version);

CREATE TABLE runs.log (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    flow_run_id UUID,
    task_run_id UUID,
    timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
    name VARCHAR,
    level VARCHAR,
    message VARCHAR,
    info JSONB,
    is_loaded_from_archive BOOLEAN,
    sequence BIGINT NOT NULL,
    CONSTRAINT log_pkey PRIMARY KEY (id, created)
)
 PARTITION BY RANGE (created);

CREATE INDEX log_flow_run_id_timestamp_sequence_idx ON runs.log (flow_run_id, timestamp, sequence);
CREATE INDEX log_task_run_id_timestamp_sequence_idx ON runs.log (task_run_id, timestamp, sequence) WHERE task_run_id IS NOT NULL;

CREATE TABLE runs.outbox (
    id UUID NOT NULL,
    seq BIGINT GENERATED ALWAYS AS IDENTITY,
    subject TEXT NOT NULL,
    body BYTEA NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT outbox_pkey PRIMARY KEY (id)
);

CREATE INDEX outbox_seq_idx ON runs.outbox (seq);

CREATE TABLE runs.task_run_state (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    task_run_id UUID NOT NULL,
    timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
    state VARCHAR NOT NULL,
    message VARCHAR,
    result JSONB,
    start_time TIMESTAMP WITH TIME ZONE,
    serialized_state JSONB NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT task_run_state_pkey PRIMARY KEY (id, created)
)
 PARTITION BY RANGE (created);

CREATE INDEX task_run_state_task_run_id_version_idx ON runs.task_run_state (task_run_id, version);

CREATE TABLE runs.task_tag_limit (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    tag VARCHAR NOT NULL,
    "limit" INTEGER NOT NULL,
    CONSTRAINT task_tag_limit_pkey PRIMARY KEY (id),
    CONSTRAINT task_tag_limit_tenant_id_tag_key UNIQUE (tenant_id, tag)
);


CREATE TABLE scheduler.schedule (
    flow_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    flow_group_id UUID NOT NULL,
    clocks JSONB NOT NULL,
    active BOOLEAN DEFAULT false NOT NULL,
    fingerprint VARCHAR NOT NULL,
    next_due TIMESTAMP WITH TIME ZONE,
    horizon TIMESTAMP WITH TIME ZONE,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT schedule_pkey PRIMARY KEY (flow_id)
);

CREATE INDEX schedule_due_idx ON scheduler.schedule (next_due) WHERE active;
CREATE INDEX schedule_flow_group_id_idx ON scheduler.schedule (flow_group_id);

CREATE TABLE registry.flow (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    project_id UUID NOT NULL,
    flow_group_id UUID NOT NULL,
    name VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    version_group_id VARCHAR NOT NULL,
    description VARCHAR,
    environment JSONB,
    run_config JSONB,
    storage JSONB,
    parameters JSONB DEFAULT '[]'::jsonb NOT NULL,
    core_version VARCHAR,
    settings JSONB DEFAULT '{}'::jsonb NOT NULL,
    serialized_flow JSONB,
    schedule JSONB,
    is_schedule_active BOOLEAN DEFAULT false NOT NULL,
    archived BOOLEAN DEFAULT false NOT NULL,
    archived_at TIMESTAMP WITH TIME ZONE,
    created_by UUID,
    CONSTRAINT flow_pkey PRIMARY KEY (id),
    CONSTRAINT flow_project_id_fkey FOREIGN KEY(project_id) REFERENCES registry.project (id) ON DELETE CASCADE,
    CONSTRAINT flow_flow_group_id_fkey FOREIGN KEY(flow_group_id) REFERENCES registry.flow_group (id) ON DELETE CASCADE,
    CONSTRAINT flow_flow_group_id_version_key UNIQUE (flow_group_id, version)
);

CREATE INDEX flow_active_schedule_idx ON registry.flow (id) WHERE is_schedule_active AND NOT archived;
CREATE INDEX flow_project_name_idx ON registry.flow (project_id, name, created DESC);
CREATE INDEX flow_tenant_id_name_idx ON registry.flow (tenant_id, name);
CREATE INDEX flow_tenant_id_version_group_id_idx ON registry.flow (tenant_id, version_group_id);

CREATE TABLE runs.task_run (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    flow_run_id UUID NOT NULL,
    task_id UUID NOT NULL,
    map_index INTEGER DEFAULT -1 NOT NULL,
    name VARCHAR,
    version INTEGER DEFAULT 0 NOT NULL,
    heartbeat TIMESTAMP WITH TIME ZONE,
    start_time TIMESTAMP WITH TIME ZONE,
    end_time TIMESTAMP WITH TIME ZONE,
    cache_key VARCHAR,
    state VARCHAR NOT NULL,
    state_timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
    state_message VARCHAR,
    state_result JSONB,
    state_start_time TIMESTAMP WITH TIME ZONE,
    serialized_state JSONB NOT NULL,
    retries INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT task_run_pkey PRIMARY KEY (id),
    CONSTRAINT task_run_flow_run_id_fkey FOREIGN KEY(flow_run_id) REFERENCES runs.flow_run (id) ON DELETE CASCADE,
    CONSTRAINT task_run_flow_run_id_task_id_map_index_key UNIQUE (flow_run_id, task_id, map_index)
)
 WITH (fillfactor = 80);

CREATE INDEX task_run_cached_idx ON runs.task_run (tenant_id, cache_key, state_timestamp DESC) WHERE state = 'Cached';
CREATE INDEX task_run_changed_idx ON runs.task_run (tenant_id, state_timestamp DESC);
CREATE INDEX task_run_due_idx ON runs.task_run (flow_run_id, state_start_time) WHERE state IN ('Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying');
CREATE INDEX task_run_task_idx ON runs.task_run (task_id, state_timestamp DESC);

CREATE TABLE registry.task (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    flow_id UUID NOT NULL,
    name VARCHAR,
    slug VARCHAR NOT NULL,
    description VARCHAR,
    type VARCHAR,
    max_retries INTEGER DEFAULT 0 NOT NULL,
    retry_delay INTERVAL,
    trigger VARCHAR,
    mapped BOOLEAN DEFAULT false NOT NULL,
    auto_generated BOOLEAN DEFAULT false NOT NULL,
    cache_key VARCHAR,
    is_root_task BOOLEAN DEFAULT false NOT NULL,
    is_terminal_task BOOLEAN DEFAULT false NOT NULL,
    is_reference_task BOOLEAN DEFAULT false NOT NULL,
    tags JSONB DEFAULT '[]'::jsonb NOT NULL,
    CONSTRAINT task_pkey PRIMARY KEY (id),
    CONSTRAINT task_flow_id_fkey FOREIGN KEY(flow_id) REFERENCES registry.flow (id) ON DELETE CASCADE,
    CONSTRAINT task_flow_id_slug_key UNIQUE (flow_id, slug)
);


CREATE TABLE runs.task_run_artifact (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    task_run_id UUID NOT NULL,
    kind VARCHAR NOT NULL,
    data JSONB DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT task_run_artifact_pkey PRIMARY KEY (id),
    CONSTRAINT task_run_artifact_task_run_id_fkey FOREIGN KEY(task_run_id) REFERENCES runs.task_run (id) ON DELETE CASCADE
);

CREATE INDEX task_run_artifact_task_run_id_idx ON runs.task_run_artifact (task_run_id);

CREATE TABLE registry.edge (
    id UUID NOT NULL,
    created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tenant_id UUID NOT NULL,
    flow_id UUID NOT NULL,
    upstream_task_id UUID NOT NULL,
    downstream_task_id UUID NOT NULL,
    key VARCHAR,
    mapped BOOLEAN DEFAULT false NOT NULL,
    CONSTRAINT edge_pkey PRIMARY KEY (id),
    CONSTRAINT edge_flow_id_fkey FOREIGN KEY(flow_id) REFERENCES registry.flow (id) ON DELETE CASCADE,
    CONSTRAINT edge_upstream_task_id_fkey FOREIGN KEY(upstream_task_id) REFERENCES registry.task (id) ON DELETE CASCADE,
    CONSTRAINT edge_downstream_task_id_fkey FOREIGN KEY(downstream_task_id) REFERENCES registry.task (id) ON DELETE CASCADE
);

CREATE INDEX edge_downstream_task_id_idx ON registry.edge (downstream_task_id);
CREATE UNIQUE INDEX edge_identity_key ON registry.edge (flow_id, downstream_task_id, upstream_task_id, coalesce(key, ''));
CREATE INDEX edge_upstream_task_id_idx ON registry.edge (upstream_task_id);

-- Rows that `runs` must not see change while it decides: a share lock on flows, taken in the transaction that creates
-- runs, so that "no run can be created for an archived flow" holds from the moment the archiving commits. A definer
-- function, because SELECT ... FOR SHARE needs the right to update, which `runs` must not have on the registry's tables.
CREATE FUNCTION registry.share_flows(flow_ids uuid[])
    RETURNS TABLE (id uuid, archived boolean, is_schedule_active boolean)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS
$$
    SELECT f.id, f.archived, f.is_schedule_active FROM registry.flow f
    WHERE f.id = ANY (flow_ids) ORDER BY f.id FOR SHARE
$$;

-- Weekly partitions of the histories and logs, from the week of `around` to `weeks_ahead` weeks after it. Idempotent;
-- the advisory lock serialises replicas that start together.
CREATE FUNCTION runs.ensure_partitions(around timestamptz, weeks_ahead int)
    RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' AS
$$
DECLARE
    parent text;
    week timestamptz;
    made int := 0;
    partition text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('runs.ensure_partitions'));
    FOREACH parent IN ARRAY ARRAY['flow_run_state', 'task_run_state', 'log'] LOOP
        FOR step IN 0..weeks_ahead LOOP
            week := date_trunc('week', around) + step * interval '1 week';
            partition := format('%s_w%s', parent, to_char(week, 'IYYYIW'));
            IF to_regclass(format('runs.%I', partition)) IS NULL THEN
                EXECUTE format(
                    'CREATE TABLE runs.%I PARTITION OF runs.%I FOR VALUES FROM (%L) TO (%L)',
                    partition, parent, week, week + interval '1 week'
                );
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;

-- Drop the partitions of `parent` that end at or before `before`; answers their names.
CREATE FUNCTION runs.drop_partitions(parent text, before timestamptz)
    RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' AS
$$
DECLARE
    partition text;
BEGIN
    IF parent NOT IN ('flow_run_state', 'task_run_state', 'log') THEN
        RAISE EXCEPTION 'not a partitioned table of runs: %', parent;
    END IF;
    FOR partition IN
        SELECT c.relname FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid
        JOIN pg_class p ON p.oid = i.inhparent
        JOIN pg_namespace n ON n.oid = p.relnamespace
        WHERE n.nspname = 'runs' AND p.relname = parent
          AND c.relname ~ ('^' || parent || '_w[0-9]{6}$')
          AND to_date(right(c.relname, 6), 'IYYYIW') + 7 <= before
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE runs.%I', partition);
        RETURN NEXT partition;
    END LOOP;
END
$$;

SELECT runs.ensure_partitions(now(), 8);

-- What is written outside every partition (a server clock far off) is kept, and shows up in a default partition.
CREATE TABLE runs.flow_run_state_default PARTITION OF runs.flow_run_state DEFAULT;
CREATE TABLE runs.task_run_state_default PARTITION OF runs.task_run_state DEFAULT;
CREATE TABLE runs.log_default PARTITION OF runs.log DEFAULT;
