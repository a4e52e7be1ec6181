"""A Prefect Server's database as each release had it, with what is odd in real ones. Written for these tests."""

from uuid import UUID

import asyncpg

from deploy.moving_in.revisions import RELEASES

TENANT = UUID(int=1)
RUN, NO_STATE, LIVE, PLANNED, OLD_KEY, NEW_KEY = (UUID(int=100 + n) for n in range(6))

_ROW = "id uuid PRIMARY KEY, created timestamptz NOT NULL DEFAULT now(), updated timestamptz NOT NULL DEFAULT now()"
_RUN = """version int NOT NULL DEFAULT 0, heartbeat timestamptz, start_time timestamptz, end_time timestamptz,
    state varchar, state_timestamp timestamptz, state_message varchar, state_result jsonb,
    state_start_time timestamptz, serialized_state jsonb"""
_STATE = """timestamp timestamptz NOT NULL DEFAULT now(), state varchar NOT NULL, message varchar, result jsonb,
    start_time timestamptz, serialized_state jsonb NOT NULL, version int"""

_TABLES = f"""
CREATE TABLE alembic_version (version_num varchar(32));
CREATE TABLE tenant ({_ROW}, name varchar NOT NULL, slug varchar NOT NULL, info jsonb, settings jsonb DEFAULT '{{}}');
CREATE TABLE project ({_ROW}, tenant_id uuid, name varchar NOT NULL, description varchar);
CREATE TABLE flow_group ({_ROW}, tenant_id uuid, name varchar, description varchar, labels jsonb, schedule jsonb,
    settings jsonb NOT NULL DEFAULT '{{}}', default_parameters jsonb NOT NULL DEFAULT '{{}}', run_config jsonb);
CREATE TABLE flow ({_ROW}, tenant_id uuid, project_id uuid NOT NULL, flow_group_id uuid NOT NULL, name varchar NOT NULL,
    version int, version_group_id varchar, description varchar, environment jsonb, run_config jsonb, storage jsonb,
    parameters jsonb DEFAULT '{{}}', core_version varchar, settings jsonb NOT NULL DEFAULT '{{}}',
    serialized_flow jsonb, schedule jsonb,
    is_schedule_active bool NOT NULL DEFAULT false, archived bool NOT NULL DEFAULT false);
CREATE TABLE task ({_ROW}, tenant_id uuid, flow_id uuid NOT NULL, name varchar, slug varchar, description varchar,
    type varchar, max_retries int, retry_delay interval, trigger varchar, mapped bool NOT NULL DEFAULT false,
    auto_generated bool NOT NULL DEFAULT false, cache_key varchar, is_root_task bool NOT NULL DEFAULT false,
    is_terminal_task bool NOT NULL DEFAULT false, is_reference_task bool NOT NULL DEFAULT false,
    tags jsonb NOT NULL DEFAULT '[]');
CREATE TABLE edge ({_ROW}, tenant_id uuid, flow_id uuid NOT NULL, upstream_task_id uuid NOT NULL,
    downstream_task_id uuid NOT NULL, key varchar, mapped bool NOT NULL DEFAULT false);
CREATE TABLE flow_run ({_ROW}, {_RUN}, tenant_id uuid, flow_id uuid NOT NULL, agent_id uuid, name varchar,
    parameters jsonb DEFAULT '{{}}', labels jsonb NOT NULL DEFAULT '[]', run_config jsonb, context jsonb,
    scheduled_start_time timestamptz NOT NULL DEFAULT now(), auto_scheduled bool NOT NULL DEFAULT false,
    times_resurrected int DEFAULT 0, idempotency_key varchar);
CREATE TABLE task_run ({_ROW}, {_RUN}, tenant_id uuid, flow_run_id uuid NOT NULL, task_id uuid NOT NULL,
    map_index int NOT NULL DEFAULT -1, name varchar, cache_key varchar);
CREATE TABLE flow_run_state ({_ROW}, {_STATE}, tenant_id uuid, flow_run_id uuid NOT NULL);
CREATE TABLE task_run_state ({_ROW}, {_STATE}, tenant_id uuid, task_run_id uuid NOT NULL);
CREATE TABLE log (id uuid NOT NULL, created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    tenant_id uuid, flow_run_id uuid, task_run_id uuid, timestamp timestamptz NOT NULL DEFAULT now(), name varchar,
    level varchar, message varchar, info jsonb, is_loaded_from_archive bool);
CREATE TABLE cloud_hook ({_ROW}, tenant_id uuid, name varchar, states jsonb, type varchar NOT NULL,
    config jsonb NOT NULL DEFAULT '{{}}', active bool NOT NULL DEFAULT true, version_group_id varchar);
CREATE TABLE message ({_ROW}, tenant_id uuid NOT NULL, read bool NOT NULL DEFAULT false, type varchar, text varchar,
    content jsonb NOT NULL DEFAULT '{{}}');
CREATE TABLE agent_config ({_ROW}, tenant_id uuid NOT NULL, name varchar, settings jsonb NOT NULL DEFAULT '{{}}');
CREATE TABLE agent ({_ROW}, tenant_id uuid NOT NULL, agent_config_id uuid, name varchar, type varchar,
    core_version varchar, labels jsonb NOT NULL DEFAULT '[]', last_queried timestamptz DEFAULT now());
CREATE TABLE task_run_artifact ({_ROW}, tenant_id uuid NOT NULL, task_run_id uuid NOT NULL, kind varchar NOT NULL,
    data jsonb NOT NULL DEFAULT '{{}}');
"""

_SINCE: dict[str, str] = {
    "70528cee0d2b": "ALTER TABLE flow_run DROP agent_id; DROP TABLE agent; DROP TABLE agent_config",
    "e148cf9f1e5b": "ALTER TABLE task_run DROP name",
    "850b76d44332": "ALTER TABLE flow DROP run_config",
    "24f10aeee83e": "ALTER TABLE flow_run DROP labels",
    "3c87ad7e0b71": "DROP TABLE task_run_artifact",
    "7ca57ea2fdff": "ALTER TABLE flow_run DROP run_config; ALTER TABLE flow_group DROP run_config",
    "9116e81c6dc2": "ALTER TABLE flow_group DROP description",
}
"""The revision that brought something, and how to be without it."""

_HOURLY = '{"type":"Schedule","clocks":[{"type":"IntervalClock","interval":3600000000,"start_date":{"dt":"2020-01-01T00:00:00","tz":"UTC"}}]}'  # fmt: skip # noqa: E501 - a document

_ROWS = f"""
INSERT INTO tenant (id, name, slug) VALUES ('{TENANT}', 'Old', 'default');
INSERT INTO project (id, tenant_id, name) VALUES ('{UUID(int=2)}', '{TENANT}', 'P');
-- twins, and a group without flows and name
INSERT INTO flow_group (id, tenant_id, name, settings, created) VALUES
    ('{UUID(int=3)}', '{TENANT}', 'g', '{{"heartbeat_enabled": true}}', '2020-01-01Z'),
    ('{UUID(int=4)}', '{TENANT}', 'g', '{{}}', '2020-01-02Z'), ('{UUID(int=5)}', '{TENANT}', NULL, '{{}}', now());
INSERT INTO flow (id, project_id, flow_group_id, name, version, version_group_id, schedule, is_schedule_active,
    archived, created, environment) VALUES
    ('{UUID(int=6)}', '{UUID(int=2)}', '{UUID(int=3)}', 'f', 1, 'g', NULL, true, true, '2020-01-01Z', 'null'),
    ('{UUID(int=7)}', '{UUID(int=2)}', '{UUID(int=4)}', 'f', 1, NULL, '{_HOURLY}', true, false, '2020-01-02Z', NULL),
    ('{UUID(int=8)}', '{UUID(int=2)}', '{UUID(int=4)}', 'f', NULL, 'g', '{{"type":"IntervalSchedule"}}', true, false,
        '2020-01-01 12:00Z', NULL);
INSERT INTO task (id, flow_id, slug, name) VALUES
    ('{UUID(int=9)}', '{UUID(int=7)}', NULL, NULL), ('{UUID(int=10)}', '{UUID(int=7)}', 'b-1', 'b');
INSERT INTO edge (id, flow_id, upstream_task_id, downstream_task_id, key, mapped) VALUES
    ('{UUID(int=11)}', '{UUID(int=7)}', '{UUID(int=9)}', '{UUID(int=10)}', 'x', true),
    ('{UUID(int=12)}', '{UUID(int=7)}', '{UUID(int=9)}', '{UUID(int=10)}', 'x', true);
INSERT INTO agent (id, tenant_id, labels, created) VALUES
    ('{UUID(int=13)}', '{TENANT}', '["a"]', '2020-01-01Z'), ('{UUID(int=14)}', '{TENANT}', '["a"]', '2020-01-02Z');
INSERT INTO flow_run (id, flow_id, agent_id, version, state, state_timestamp, serialized_state, name, created, updated,
    state_result, auto_scheduled, scheduled_start_time, idempotency_key, times_resurrected) VALUES
    ('{RUN}', '{UUID(int=7)}', '{UUID(int=14)}', 3, 'Success', '2020-03-01Z', '{{"type":"Success"}}', NULL,
        '2020-02-01Z', '2020-03-01Z', 'null', false, '2020-02-01Z', NULL, NULL),
    ('{NO_STATE}', '{UUID(int=7)}', NULL, 0, NULL, NULL, NULL, 'n', '2020-02-02Z', '2020-02-02Z', NULL, false,
        '2020-02-02Z', NULL, 0),
    ('{LIVE}', '{UUID(int=7)}', NULL, 2, 'Running', now(), '{{"type":"Running"}}', 'l', now(), now(), NULL, false,
        now(), NULL, 0),
    ('{PLANNED}', '{UUID(int=7)}', NULL, 1, 'Scheduled', now(), '{{"type":"Scheduled"}}', 'p', now(), now(), NULL, true,
        date_trunc('hour', now()) + interval '2 hours', NULL, 0),
    ('{OLD_KEY}', '{UUID(int=7)}', NULL, 1, 'Failed', '2020-02-03Z', '{{"type":"Failed"}}', 'o', '2020-02-03Z',
        '2020-02-03Z', NULL, false, '2020-02-03Z', 'key', 0),
    ('{NEW_KEY}', '{UUID(int=7)}', NULL, 1, 'Failed', '2020-02-04Z', '{{"type":"Failed"}}', 'k', '2020-02-04Z',
        '2020-02-04Z', NULL, false, '2020-02-04Z', 'key', 0);
INSERT INTO task_run (id, flow_run_id, task_id, state, state_timestamp, serialized_state, version, created,
    updated) VALUES
    ('{UUID(int=200)}', '{RUN}', '{UUID(int=9)}', 'Success', '2020-02-01Z', '{{"type":"Success"}}', 0, '2020-02-01Z',
        '2020-02-01Z'),
    ('{UUID(int=201)}', '{RUN}', '{UUID(int=10)}', NULL, NULL, NULL, 0, '2020-02-01Z', '2020-02-01Z');
-- a version twice, and one that is NULL
INSERT INTO flow_run_state (id, flow_run_id, state, serialized_state, version, timestamp, created)
    SELECT ('00000000-0000-0000-0001-00000000000' || n)::uuid, '{RUN}', 'Running', '{{"type":"Running"}}',
        nullif(greatest(n, 2), 3), '2020-02-01Z'::timestamptz + n * interval '1 s', '2020-02-01Z'
    FROM generate_series(1, 3) n;
INSERT INTO task_run_state (id, task_run_id, state, serialized_state, version, timestamp, created) VALUES
    ('{UUID(int=300)}', '{UUID(int=200)}', 'Retrying', '{{"type":"Retrying"}}', 0, '2020-02-01Z', '2020-02-01Z');
INSERT INTO log (id, flow_run_id, message, level, timestamp, created)
    SELECT ('00000000-0000-0000-0002-00000000000' || n)::uuid, '{RUN}', 'line ' || n, 'INFO', '2020-02-01Z',
        '2020-02-01Z'
    FROM generate_series(1, 4) n;
INSERT INTO cloud_hook (id, tenant_id, type, config) VALUES ('{UUID(int=15)}', '{TENANT}', 'WEBHOOK', '{{"url":"u"}}');
INSERT INTO task_run_artifact (id, tenant_id, task_run_id, kind) VALUES
    ('{UUID(int=16)}', '{TENANT}', '{UUID(int=200)}', 'link');
"""


async def make(connection: "asyncpg.Connection[asyncpg.Record]", revision: str) -> None:
    """Make the tables and rows of a Server with this revision."""
    await connection.execute(_TABLES + _ROWS)
    order = list(RELEASES)
    for since, undo in _SINCE.items():
        if order.index(revision) < order.index(since):
            await connection.execute(undo)
    await connection.execute("INSERT INTO alembic_version VALUES ($1)", revision)
