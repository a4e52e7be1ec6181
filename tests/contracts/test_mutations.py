"""Every mutation is declared once, in the dialects that had it, and says who may call it."""

import pytest
from graphql import GraphQLInputObjectType, GraphQLNonNull, GraphQLObjectType

from services.gateway.graphql.dialect import REGISTRY, Mutation, camel_case
from services.gateway.graphql.schema import strawberry_schema
from services.gateway.roles import RIGHTS, Role

FOR_ADMINISTRATORS = {
    "create_api_key",
    "create_api_token",
    "create_membership",
    "create_custom_role",
    "create_membership_invitation",
    "create_service_account",
    "delete_custom_role",
    "delete_service_account",
    "set_membership_role",
    "update_custom_role_permissions",
    "set_user_name",
    "create_tenant",
    "pause_tenant_work_queue",
    "resume_tenant_work_queue",
    "delete_api_key",
    "delete_api_token",
    "delete_flow_concurrency_limit",
    "delete_membership",
    "delete_task_concurrency_limit",
    "delete_task_tag_limit",
    "delete_tenant",
    "update_flow_concurrency_limit",
    "update_task_concurrency_limit",
    "update_task_tag_limit",
    "update_tenant_name",
    "update_tenant_settings",
    "update_tenant_slug",
}
FOR_ANYBODY_WITH_A_KEY = {
    "refreshToken", "refresh_token", "switchTenant", "switch_tenant",
    # Who has the link was invited.
    "accept_membership_invitation", "delete_membership_invitation",
}  # fmt: skip
FOR_READERS = {"retrieve_archived_flow_run_logs"}
FOR_PEOPLE = {"mark_message_as_read", "mark_message_as_unread", "delete_message"}
"""The inbox is also for those who only read."""
FOR_RUNS = {
    # what agents and the processes they start call (gateway/reference/requests.md)
    "cancel_flow_run",
    "create_flow_run",
    "create_task_run_artifact",
    "delete_key_value",
    "delete_task_run_artifact",
    "get_or_create_task_run",
    "get_or_create_task_run_info",
    "get_runs_in_queue",
    "register_agent",
    "set_flow_run_labels",
    "set_key_value",
    "set_flow_run_name",
    "set_flow_run_states",
    "set_task_run_name",
    "set_task_run_states",
    "update_flow_run_heartbeat",
    "update_task_run_artifact",
    "update_task_run_heartbeat",
    "writeRunLog",
    "write_run_logs",
}


def name_of(declared: Mutation) -> str:
    return declared.snake or declared.camel or ""


@pytest.fixture(scope="module")
def mutations() -> GraphQLObjectType:
    schema = strawberry_schema()._schema
    assert schema.mutation_type is not None
    return schema.mutation_type


@pytest.mark.parametrize("declared", REGISTRY, ids=name_of)
def test_a_mutation_is_for_the_built_in_roles_that_were_reviewed(declared: Mutation) -> None:
    """What permissions it needs may change with a release; the roles that it serves may not."""
    expected = {Role.TENANT_ADMIN, Role.USER}
    if name_of(declared) in FOR_ADMINISTRATORS:
        expected = {Role.TENANT_ADMIN}
    if name_of(declared) in FOR_RUNS:
        expected = {Role.TENANT_ADMIN, Role.USER, Role.AGENT}
    if name_of(declared) in FOR_ANYBODY_WITH_A_KEY | FOR_READERS:
        expected = set(Role)
    if name_of(declared) in FOR_PEOPLE:
        expected = {Role.TENANT_ADMIN, Role.USER, Role.READ_ONLY}

    assert {role for role in Role if RIGHTS[role].may(declared.needed)} == expected


def test_every_reviewed_name_is_a_mutation() -> None:
    assert {name_of(d) for d in REGISTRY} >= FOR_RUNS | FOR_ANYBODY_WITH_A_KEY


@pytest.mark.parametrize("declared", REGISTRY, ids=name_of)
def test_both_dialects_take_one_non_null_input_named_after_the_mutation(
    declared: Mutation, mutations: GraphQLObjectType
) -> None:
    for name, suffix in ((declared.snake, "_input"), (declared.camel, "Input")):
        if name is None:
            continue
        argument = mutations.fields[name].args["input"].type
        assert isinstance(argument, GraphQLNonNull)
        assert isinstance(argument.of_type, GraphQLInputObjectType)
        assert argument.of_type.name == name + suffix


@pytest.mark.parametrize("declared", REGISTRY, ids=name_of)
def test_a_mutation_has_a_sentence_of_documentation(declared: Mutation) -> None:
    assert declared.run.__doc__
    assert declared.run.__doc__.strip().endswith(".")


@pytest.mark.parametrize(
    ("snake", "camel"),
    [
        ("create_flow", "createFlow"),
        ("create_flow_from_compressed_string", "createFlowFromCompressedString"),
        ("create_api_token", "createAPIToken"),
        ("get_or_create_task_run", "getOrCreateTaskRun"),
        ("id", "id"),
    ],
)
def test_the_old_dialect_is_spelled_as_core_0_8_spells_it(snake: str, camel: str) -> None:
    assert camel_case(snake) == camel
