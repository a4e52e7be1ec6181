"""Documents of the pages and scripts about people, roles and invitations are valid in our schema, as Cloud had them."""

import pytest
from graphql import GraphQLSchema, parse, validate

from services.gateway.graphql.schema import build_schema

_DOCUMENTS = (
    "query { permissions_info { user_permissions_filtered_by_license_features"
    " all_permissions_filtered_by_license_features } }",
    "query { auth_role(order_by: {name: asc}) { id name permissions created updated tenant_id } }",
    'query { auth_role(where: {name: {_eq: "USER"}, tenant_id: {_is_null: true}}) { id } }',
    "query { auth_info { tenant_id user_id role role_id permissions license api_token_scope token_type token_id"
    " token_expires token_jti } }",
    "query($t: String) { user_view_same_tenant(where: {account_type: {_eq: $t}}) { id username email first_name"
    " last_name account_type memberships { id tenant_id role_detail { id name } } } }",
    'query { user_view_same_tenant(where: {username: {_similar: "%ann%"}}) { id } }',
    "query { user { id username email settings default_membership_id first_name last_name memberships { id"
    " tenant { id name slug } role_detail { id name } } default_membership { tenant_id } } }",
    "query($id: uuid) { membership(where: {id: {_eq: $id}}) { id role_id role_detail { id name }"
    " tenant { id name slug settings stripe_customer prefect_admin_settings } } }",
    "query { license_users { id first_name last_name username email"
    " memberships { tenant_id membership_id role_id } } }",
    "query { membership_invitation { id created email role role_id role_detail { id name } tenant { id name slug }"
    " tenant_id user { id username email } } }",
    "query($id: uuid!) { membership_invitation_by_pk(id: $id) { id email role_id role_detail { id name }"
    " tenant { id name slug } user { id } } }",
    "query { auth_api_key { id name created updated expires_at default_tenant_id user_id created_by { id username }"
    " key_hash } }",
    "mutation($n: String!, $p: [String!]!) { create_custom_role(input: {name: $n, permissions: $p}) { id } }",
    "mutation($i: UUID!, $p: [String!]!) {"
    " update_custom_role_permissions(input: {role_id: $i, permissions: $p}) { success } }",
    "mutation($i: UUID!) { delete_custom_role(input: {role_id: $i}) { success } }",
    "mutation($m: UUID!, $r: UUID!) { set_membership_role(input: {membership_id: $m, role_id: $r}) { id } }",
    "mutation($m: UUID!, $r: UUID) { setMembershipRole(input: {membershipId: $m, roleId: $r}) { id } }",
    "mutation($i: set_membership_role_input!) { set_membership_role(input: $i) { id } }",
    "mutation($m: UUID!, $r: membership_role) { set_membership_role(input: {membership_id: $m, role: $r}) { id } }",
    "mutation($m: UUID!) { delete_membership(input: {membership_id: $m}) { success } }",
    "mutation($e: String!, $r: UUID!) { create_membership_invitation(input: {email: $e, role_id: $r}) { id } }",
    "mutation($i: UUID!) { accept_membership_invitation(input: {invitation_id: $i}) { id } }",
    "mutation($i: UUID!) { delete_membership_invitation(input: {invitation_id: $i}) { success } }",
    "mutation($t: UUID!, $n: String!, $r: UUID) {"
    " create_service_account(input: {tenant_id: $t, name: $n, role_id: $r}) { id } }",
    "mutation($u: UUID!) { delete_service_account(input: {user_id: $u}) { success } }",
    "mutation($u: UUID!, $n: String!, $e: DateTime, $t: UUID) { create_api_key("
    "input: {user_id: $u, name: $n, expires_at: $e, default_tenant_id: $t}) { id key } }",
)


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(
        lambda _table, _attribute: lambda _payload, _info: None, cache_size=1, cache_bytes=1
    )[0]


@pytest.mark.parametrize("document", _DOCUMENTS)
def test_what_pages_and_scripts_about_people_send_is_valid(
    schema: GraphQLSchema, document: str
) -> None:
    assert [error.message for error in validate(schema, parse(document))] == []
