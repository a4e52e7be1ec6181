"""What recorded and read releases of Prefect send is valid in our schema: each operation, in its own dialect."""

import re
from pathlib import Path

import pytest
from graphql import GraphQLInputObjectType, GraphQLNonNull, GraphQLSchema, parse, validate

from services.gateway.graphql.schema import build_schema

_SECTIONS = re.split(
    r"^### ", Path(__file__).with_name("client_operations.graphql").read_text(), flags=re.MULTILINE
)[1:]
_FILLED = {
    "<uuid>": "0190a0a0-0000-7000-8000-000000000001",
    "<ts>": "2026-01-01T00:00:00+00:00",
    "<n>": "1",
    "<name>": "a name",
}

# What clients put into `$input` (gateway/reference/requests.md, and the sources of 0.8.1 to 1.4.1).
_INPUTS = {
    "createFlowFromCompressedString": "projectId serializedFlow setScheduleActive versionGroupId",
    "createFlow": "projectId serializedFlow setScheduleActive versionGroupId",
    "create_flow_from_compressed_string": (
        "project_id serialized_flow set_schedule_active version_group_id idempotency_key"
    ),
    "create_flow": "project_id serialized_flow set_schedule_active version_group_id idempotency_key",
    "register_tasks": "flow_id serialized_tasks",
    "register_edges": "flow_id serialized_edges",
    "set_schedule_active": "flow_id",
    "createFlowRun": (
        "flowId versionGroupId parameters context idempotencyKey scheduledStartTime flowRunName"
    ),
    "create_flow_run": (
        "flow_id version_group_id parameters context labels run_config idempotency_key "
        "scheduled_start_time flow_run_name"
    ),
    "createProject": "name description",
    "create_project": "name description tenant_id",
    "getRunsInQueue": "before labels tenantId",
    "get_runs_in_queue": "before labels tenant_id",
    "register_agent": "agent_config_id labels name tenant_id type",
    "setFlowRunStates": "states",
    "set_flow_run_states": "states",
    "setTaskRunStates": "states",
    "set_task_run_states": "states",
    "getOrCreateTaskRun": "flowRunId taskId mapIndex",
    "get_or_create_task_run": "flow_run_id task_id map_index",
    "get_or_create_task_run_info": "flow_run_id task_id map_index",
    "writeRunLogs": "logs",
    "write_run_logs": "logs",
    "writeRunLog": "flowRunId taskRunId timestamp name message level info",
    "switchTenant": "tenantId",
    "switch_tenant": "tenant_id",
    "refreshToken": "accessToken",
    "refresh_token": "access_token",
    "createAPIToken": "name scope role",
    "create_api_token": "name scope",
    "deleteAPIToken": "tokenId",
    "delete_api_token": "token_id",
    "create_api_key": "user_id name expires_at default_tenant_id",
    "delete_api_key": "key_id",
    "cancel_flow_run": "flow_run_id",
    "create_tenant": "name slug",
}


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    schema, _ = build_schema(
        lambda _table, _attribute: lambda _payload, _info: None, cache_size=100, cache_bytes=1 << 20
    )
    return schema


@pytest.mark.parametrize("section", _SECTIONS, ids=lambda section: section.split("\n")[0])
def test_a_recorded_operation_is_valid(schema: GraphQLSchema, section: str) -> None:
    text = section.split("\n", maxsplit=1)[1]
    for placeholder, value in _FILLED.items():
        text = text.replace(placeholder, value)

    assert validate(schema, parse(text)) == []


@pytest.mark.parametrize(("mutation", "keys"), _INPUTS.items(), ids=list(_INPUTS))
def test_an_input_takes_every_key_that_a_client_sends(
    schema: GraphQLSchema, mutation: str, keys: str
) -> None:
    assert schema.mutation_type is not None
    argument = schema.mutation_type.fields[mutation].args["input"].type
    assert isinstance(argument, GraphQLNonNull)
    assert isinstance(argument.of_type, GraphQLInputObjectType)

    assert set(keys.split()) <= set(argument.of_type.fields)
