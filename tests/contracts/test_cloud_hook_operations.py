"""Documents of the pages and scripts about cloud hooks are valid in our schema, as Cloud and Server had them."""

import pytest
from graphql import GraphQLSchema, parse, validate

from services.gateway.graphql.schema import build_schema

_DOCUMENTS = (
    # The form and the list of the web UI.
    "mutation CreateCloudHook($tenantId: UUID!, $versionGroupId: String, $name: String, $states: [String!]!,"
    " $config: JSON, $type: cloud_hook_type!) { create_cloud_hook(input: {tenant_id: $tenantId,"
    " version_group_id: $versionGroupId, name: $name, states: $states, config: $config, type: $type}) { id } }",
    "query CloudHooks($search: String, $group: String) { cloud_hook(where: {_or: [{name: {_ilike: $search}},"
    " {version_group_id: {_ilike: $search}}, {type: {_ilike: $search}}], version_group_id: {_eq: $group}},"
    " order_by: {created: desc}) { id active config created name states tenant_id type updated version_group_id } }",
    "mutation($id: UUID!) { delete_cloud_hook(input: {cloud_hook_id: $id}) { success } }",
    "mutation($id: UUID!) { set_cloud_hook_active(input: {cloud_hook_id: $id}) { success } }",
    "mutation($id: UUID!) { set_cloud_hook_inactive(input: {cloud_hook_id: $id}) { success } }",
    "mutation($id: UUID!) { test_cloud_hook(input: {cloud_hook_id: $id, state_type: SUCCESS}) { success error } }",
    "mutation($i: test_cloud_hook_input!) { test_cloud_hook(input: $i) { success error } }",
    # Of the documentation and of scripts: the config is JSON text.
    'mutation { create_cloud_hook(input: {type: EMAIL, name: "Example", version_group_id: "abc", states: ["Running"],'
    ' config: "{\\"to\\": \\"test@test.com\\"}"}) { id } }',
    'mutation { create_cloud_hook(input: {type: SLACK_WEBHOOK, name: "All", version_group_id: null,'
    ' states: ["Failed", "Triggerfailed", "Timedout"], config: "{\\"url\\": \\"https://x.org\\"}"}) { id } }',
)


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(
        lambda _table, _attribute: lambda _payload, _info: None, cache_size=1, cache_bytes=1
    )[0]


@pytest.mark.parametrize("document", _DOCUMENTS)
def test_what_pages_and_scripts_about_cloud_hooks_send_is_valid(
    schema: GraphQLSchema, document: str
) -> None:
    assert [error.message for error in validate(schema, parse(document))] == []
