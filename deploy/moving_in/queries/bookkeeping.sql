-- What the tool remembers between two commands. It belongs to the owner; services do not read it.
CREATE SCHEMA IF NOT EXISTS moving_in;
CREATE TABLE IF NOT EXISTS moving_in.progress (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    peer text NOT NULL,
    watermark timestamptz NOT NULL,
    finished timestamptz
);
CREATE TABLE IF NOT EXISTS moving_in.tenant (id uuid PRIMARY KEY);
CREATE TABLE IF NOT EXISTS moving_in.flow_run (
    id uuid PRIMARY KEY,
    created timestamptz NOT NULL,
    copied boolean NOT NULL DEFAULT false
);
CREATE INDEX IF NOT EXISTS flow_run_to_copy ON moving_in.flow_run (created DESC, id) WHERE NOT copied;
CREATE TABLE IF NOT EXISTS moving_in.flow_group (
    id uuid PRIMARY KEY,
    keeper uuid NOT NULL,
    tenant_id uuid NOT NULL,
    name text NOT NULL
);
CREATE TABLE IF NOT EXISTS moving_in.agent (id uuid PRIMARY KEY, keeper uuid NOT NULL);
CREATE TABLE IF NOT EXISTS moving_in.left_out (
    source text NOT NULL,
    id uuid NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (source, id)
);
