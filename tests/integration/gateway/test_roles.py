"""Custom roles: what they let do and read, that nobody gives more than they hold, and that a used one stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from services.gateway.permissions import ALL
from services.gateway.roles import PERMISSIONS, Role, role_id
from tests.support.callers import AsCaller, callers_of
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.offices import Office, a_key, a_role, an_office, do, named, refused
from tests.support.services import all_services

ROLES = "{ auth_role { id name permissions tenant_id created updated } }"
MEMBERS = "{ user_view_same_tenant { id username account_type memberships { id tenant_id role_detail { id name } } } }"
UNAUTHORIZED = "Unauthorized: permission error."
EVERY_KEY = ["create:api-key", "create:user", "create:service-api-key"]


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(stack, auth="required") as gateway:
        yield gateway


@pytest.fixture
async def as_caller(gateway: Gateway) -> AsyncIterator[AsCaller]:
    async with callers_of(gateway) as caller:
        yield caller


@pytest.fixture
async def office(gateway: Gateway, stack: Stack, as_caller: AsCaller) -> Office:
    return await an_office(gateway, stack, as_caller, "Alice")


@pytest.fixture
async def other(gateway: Gateway, stack: Stack, as_caller: AsCaller) -> Office:
    return await an_office(gateway, stack, as_caller, "Mallory of the other house")


async def holder(office: Office, as_caller: AsCaller, *permissions: str) -> Gql:
    """Somebody with a custom role of these permissions."""
    made = await a_key(office.admin, role_id=await a_role(office.admin, *permissions))
    return await as_caller(made["key"])


async def test_the_holder_of_a_custom_role_does_what_it_names_and_nothing_else(
    office: Office, as_caller: AsCaller
) -> None:
    api = await holder(office, as_caller, "create:project", "read:project")

    await do(api, "create_project", name="by an apprentice")

    assert {"name": "by an apprentice"} in (await api("{ project { name } }"))["project"]
    for mutation, given in (
        ("set_secret", {"name": "s", "value": "1"}),
        ("delete_project", {"project_id": new_id()}),
        ("create_custom_role", {"name": "x", "permissions": []}),
    ):
        assert (await refused_any(api, mutation, given)) == UNAUTHORIZED
    for query in (
        "{ flow { id } }",
        "{ flow_run_aggregate { aggregate { count } } }",
        "{ secret_names }",
    ):
        [error] = await api.errors(query)
        assert error["message"] == UNAUTHORIZED


async def refused_any(api: Gql, mutation: str, given: dict[str, Any]) -> str:
    text = f"mutation($i: {mutation}_input!) {{ {mutation}(input: $i) {{ __typename }} }}"
    plain = {
        name: value if isinstance(value, list) else str(value) for name, value in given.items()
    }
    [error] = await api.errors(text, i=plain)
    message: str = error["message"]
    return message


@pytest.mark.parametrize(
    "query",
    [
        "{ flow_run { id logs { message } } }",
        "{ flow_run { id flow { name } } }",
        '{ flow_run(where: {logs: {message: {_like: "%secret%"}}}) { id } }',
        "{ flow_run(order_by: {flow: {name: asc}}) { id } }",
        "{ flow_run(order_by: {logs_aggregate: {count: asc}}) { id } }",
        "{ flow_run_aggregate(where: {logs: {}}) { aggregate { count } } }",
        "{ flow_run { flow { project { name } } } }",
    ],
)
async def test_what_may_not_be_read_is_not_told_below_another_table_nor_by_a_filter_or_an_order(
    office: Office, as_caller: AsCaller, query: str
) -> None:
    api = await holder(office, as_caller, "read:run")

    [error] = await api.errors(query)

    assert error["message"] == UNAUTHORIZED
    assert (await api("{ flow_run { id states { state } task_runs { id } } }"))["flow_run"] == []


async def test_a_field_that_may_not_be_read_leaves_the_others_of_its_document(
    office: Office, as_caller: AsCaller
) -> None:
    api = await holder(office, as_caller, "read:flow")

    answer = (await api.post({"query": "{ flow { id } log { id } hello }"})).json()

    assert [row["id"] for row in answer["data"]["flow"]] == [str(office.flow.id)]
    assert answer["data"]["log"] is None
    assert answer["data"]["hello"]
    assert [error["path"] for error in answer["errors"]] == [["log"]]


async def test_the_row_below_a_mutations_payload_is_for_those_who_may_read_it(
    office: Office, as_caller: AsCaller
) -> None:
    api = await holder(office, as_caller, "create:run")
    text = "mutation($i: create_flow_run_input!) { create_flow_run(input: $i) { id flow_run { id name } } }"

    answer = (
        await api.post({"query": text, "variables": {"i": {"flow_id": str(office.flow.id)}}})
    ).json()

    made = answer["data"]["create_flow_run"]
    assert made["id"]
    assert made["flow_run"] is None
    assert [error["message"] for error in answer["errors"]] == [UNAUTHORIZED]


@pytest.mark.parametrize(
    ("path", "permission"),
    [
        ("/api/tables/flow_run.csv", "read:run"),
        ("/api/tables/flow_run.csv?columns=id,flow.name", "read:flow read:run"),
        ("/api/flow-runs/ID/logs", "read:log"),
        ("/api/flow-runs/ID/logs/search?text=x", "read:log"),
        ("/events?kinds=flow_run", "read:run"),
        ("/events?kinds=project", "read:project"),
        ("/flow-run/ID", "read:run"),
        ("/project/ID", "read:project"),
    ],
)
async def test_a_route_beside_graphql_needs_what_the_same_read_needs_there(
    gateway: Gateway, office: Office, as_caller: AsCaller, path: str, permission: str
) -> None:
    statuses = []
    accept = "text/html" if path.endswith("/ID") else "*/*"
    for permissions in (permission.split(), sorted(ALL - {permission.split(maxsplit=1)[0]})):
        role = await a_role(office.admin, *permissions)
        key = (await a_key(office.admin, role_id=role))["key"]
        headers = {"authorization": f"Bearer {key}", "accept": accept}
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", timeout=30) as client,
            client.stream("GET", path.replace("ID", str(new_id())), headers=headers) as answer,
        ):
            statuses.append(answer.status_code)

    assert statuses[0] in (200, 404)
    assert statuses[1] == 403


async def test_a_stream_of_all_kinds_is_of_those_that_may_be_read(
    gateway: Gateway, office: Office, as_caller: AsCaller
) -> None:
    reader = await holder(office, as_caller, "read:agent")
    nobody = await holder(office, as_caller, "create:run")

    async def opened(api: Gql) -> int:
        async with (
            httpx.AsyncClient(base_url=api.url, headers=api.headers, timeout=30) as client,
            client.stream("GET", "/events") as answer,
        ):
            return answer.status_code

    assert await opened(reader) == 200
    assert await opened(nobody) == 403


# Who makes roles.


async def test_a_role_is_listed_changed_and_deleted(office: Office, as_caller: AsCaller) -> None:
    made = await a_role(office.admin, "read:run", "read:run", "read:undefined", name="watcher")
    key = await a_key(office.admin, role_id=made)
    watcher = await as_caller(key["key"])
    assert (await watcher("{ auth_info { role role_id permissions } }"))["auth_info"] == {
        "role": "watcher",
        "role_id": made,
        "permissions": ["read:run"],
    }

    changed = await do(
        office.admin, "update_custom_role_permissions", role_id=made, permissions=["read:flow"]
    )

    async def follows() -> bool:
        held = (await watcher("{ auth_info { permissions } }"))["auth_info"]["permissions"]
        return bool(held == ["read:flow"])

    await eventually(follows)
    listed = named((await office.admin(ROLES))["auth_role"], "watcher")
    assert changed["success"]
    assert listed["permissions"] == ["read:flow"]
    assert listed["tenant_id"] == str(office.tenant_id)
    assert listed["created"] < listed["updated"]
    used = await refused(office.admin, "delete_custom_role", role_id=made)
    assert "give them another one first" in used["message"]
    await do(office.admin, "delete_api_key", key_id=key["id"])
    assert (await do(office.admin, "delete_custom_role", role_id=made))["success"]
    again = await do(office.admin, "delete_custom_role", role_id=made)
    assert made in again["error"]
    assert made not in str(await office.admin(ROLES))


@pytest.mark.parametrize("use", ["key", "account", "membership", "invitation"])
async def test_a_role_that_is_used_stays(office: Office, other: Office, use: str) -> None:
    role = await a_role(office.admin, "read:run")
    match use:
        case "key":
            await a_key(office.admin, role_id=role)
        case "account":
            await do(office.admin, "create_service_account", name="ci", role_id=role)
        case "membership":
            await do(
                office.admin, "create_membership",
                user_id=other.admin_id, home_tenant_id=other.tenant_id, role_id=role,
            )  # fmt: skip
        case _:
            await do(office.admin, "create_membership_invitation", email="a@x.org", role_id=role)

    error = await refused(office.admin, "delete_custom_role", role_id=role)

    assert role in error["message"]
    assert role in str(await office.admin(ROLES))


async def test_a_role_given_while_it_is_deleted_is_given_or_gone_and_never_both(
    office: Office,
) -> None:
    for _ in range(20):
        role = await a_role(office.admin, "read:run")
        text = "mutation($i: create_api_key_input!) { create_api_key(input: $i) { id } }"
        gone = (
            "mutation($i: delete_custom_role_input!) { delete_custom_role(input: $i) { success } }"
        )
        given, deleted = await asyncio.gather(
            office.admin.post({"query": text, "variables": {"i": {"name": "k", "role_id": role}}}),
            office.admin.post({"query": gone, "variables": {"i": {"role_id": role}}}),
        )
        has_key = "errors" not in given.json()
        is_gone = "errors" not in deleted.json()
        assert has_key != is_gone
        if not has_key:
            assert f"no role {role}" in given.text


@pytest.mark.parametrize("built_in", list(Role))
async def test_built_in_roles_are_fixed(office: Office, built_in: Role) -> None:
    fixed = role_id(built_in)

    changed = await refused(
        office.admin, "update_custom_role_permissions", role_id=fixed, permissions=["read:run"]
    )
    deleted = await refused(office.admin, "delete_custom_role", role_id=fixed)
    named_alike = await refused(
        office.admin, "create_custom_role", name=built_in.value, permissions=["read:run"]
    )

    assert "built-in role" in changed["message"]
    assert changed == deleted
    assert "choose another name" in named_alike["message"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"name": "", "permissions": []}, "name must have"),
        ({"name": "two\nlines", "permissions": []}, "name must be one line"),
        ({"name": "x", "permissions": ["read:everything"]}, "no permission 'read:everything'"),
        ({"name": "twice", "permissions": []}, "has a role 'twice' already"),
    ],
)
async def test_what_makes_no_role_is_refused_with_the_field(
    office: Office, given: dict[str, Any], sentence: str
) -> None:
    await a_role(office.admin, name="twice")

    error = await refused(office.admin, "create_custom_role", **given)

    assert sentence in error["message"]


# Nobody gives more than they hold.


async def test_nobody_reaches_for_more_than_they_hold(
    office: Office, other: Office, as_caller: AsCaller
) -> None:
    """By a role, a key, a membership, an invitation, an account, or by changing what others have."""
    manager = await holder(
        office, as_caller, *EVERY_KEY, "read:run", "create:role", "update:role", "delete:role",
        "create:membership", "update:membership", "create:membership-invitation",
        "create:service-account", "read:user",
    )  # fmt: skip
    more = await a_role(office.admin, "read:run", "delete:flow")
    mine = await a_role(manager, "read:run")
    guest = {"user_id": other.admin_id, "home_tenant_id": other.tenant_id}
    account = await do(office.admin, "create_service_account", name="big", role_id=more)
    admin, user = role_id(Role.TENANT_ADMIN), role_id(Role.USER)

    errors = [
        await refused(manager, mutation, **given)
        for mutation, given in (
            ("create_custom_role", {"name": "x", "permissions": ["read:run", "delete:flow"]}),
            ("update_custom_role_permissions", {"role_id": mine, "permissions": ["delete:flow"]}),
            ("update_custom_role_permissions", {"role_id": more, "permissions": ["read:run"]}),
            ("delete_custom_role", {"role_id": more}),
            ("create_api_key", {"name": "x"}),
            ("create_api_key", {"name": "x", "role": "tenant_admin"}),
            ("create_api_key", {"name": "x", "role": "agent"}),
            ("create_api_key", {"name": "x", "role_id": admin}),
            ("create_api_key", {"name": "x", "role_id": more}),
            ("create_api_key", {"name": "x", "user_id": account["id"]}),
            ("create_membership", guest | {"role": "user"}),
            ("create_membership", guest | {"role_id": more}),
            ("create_membership_invitation", {"email": "a@x.org", "role_id": user}),
            ("create_membership_invitation", {"email": "a@x.org", "role_id": more}),
            ("create_service_account", {"name": "x"}),
            ("create_service_account", {"name": "x", "role_id": user}),
            ("set_membership_role", {"membership_id": office.admin_id, "role_id": mine}),
            ("set_membership_role", {"membership_id": account["id"], "role_id": mine}),
            ("set_membership_role", {"membership_id": account["id"], "role_id": more}),
        )
    ]

    assert {error["code"] for error in errors} == {"FORBIDDEN"}
    assert all(
        "nobody gives, changes or takes away more than they hold" in e["message"] for e in errors
    )
    # What they hold they may give.
    await do(manager, "create_api_key", name="x", role_id=mine)
    await do(manager, "create_membership", **guest, role_id=mine)
    await do(manager, "create_membership_invitation", email="b@x.org", role_id=mine)
    made = await do(manager, "create_service_account", name="small", role_id=mine)
    await do(manager, "set_membership_role", membership_id=made["id"], role_id=mine)
    trail = "query($m: String) { audit_log(where: {message: {_eq: $m}}) { info } }"
    assert (await office.admin(trail, m="create_custom_role refused"))["audit_log"]


async def test_keys_of_others_take_more_than_ones_own(office: Office, as_caller: AsCaller) -> None:
    clerk = await holder(office, as_caller, "create:api-key", "read:api-key", "delete:api-key")
    account = (await do(office.admin, "create_service_account", name="ci"))["id"]
    theirs = await a_key(office.admin, user_id=account, role="user")
    nothing = await a_role(office.admin)

    as_program = await refused(clerk, "create_api_key", name="x", user_id=account, role_id=nothing)
    as_person = await refused(
        clerk, "create_api_key", name="x", user_id=office.admin_id, role_id=nothing
    )
    revoked = [
        await refused(clerk, "delete_api_key", key_id=key_id)
        for key_id in (theirs["id"], office.key_id)
    ]
    own = await do(clerk, "create_api_key", name="second", role_id=nothing)

    assert "create:service-api-key" in as_program["message"]
    assert "create:user" in as_person["message"]
    assert "delete:service-api-key" in revoked[0]["message"]
    assert "delete:user" in revoked[1]["message"]
    listed = (await clerk("{ auth_api_key { name } }"))["auth_api_key"]
    assert sorted(key["name"] for key in listed) == ["second", "somebody"]
    assert (await do(clerk, "delete_api_key", key_id=own["id"]))["success"]


async def test_a_role_of_another_tenant_is_answered_like_none(
    office: Office, other: Office
) -> None:
    theirs = await a_role(other.admin, "read:run")
    nothing = str(new_id())

    for mutation, given in (
        ("create_api_key", {"name": "x"}),
        ("create_membership_invitation", {"email": "a@x.org"}),
        ("create_service_account", {"name": "x"}),
        ("set_membership_role", {"membership_id": office.admin_id}),
    ):
        errors = [
            (await refused(office.admin, mutation, **given, role_id=role))["message"].replace(
                role, "ID"
            )
            for role in (theirs, nothing)
        ]
        assert errors[0] == errors[1]
        assert "this tenant has no role ID" in errors[0]
    gone = [
        (await do(office.admin, "delete_custom_role", role_id=role))["error"].replace(role, "ID")
        for role in (theirs, nothing)
    ]
    assert gone[0] == gone[1]
    assert theirs in str(await other.admin(ROLES))
    assert theirs not in str(await office.admin(ROLES))


# Members.


async def test_the_role_of_a_member_is_the_most_that_any_of_their_keys_may_do(
    office: Office, as_caller: AsCaller
) -> None:
    bob = new_id()
    keys = [await a_key(office.admin, user_id=bob, name="Bob", role=r) for r in ("user", "agent")]
    callers = [await as_caller(key["key"]) for key in keys]
    before = named((await office.admin(MEMBERS))["user_view_same_tenant"], "Bob")
    watcher = await a_role(office.admin, "read:run", "update:flow", name="watcher")

    done = await do(
        office.admin, "set_membership_role",
        membership_id=before["memberships"][0]["id"], role_id=watcher,
    )  # fmt: skip

    after = named((await office.admin(MEMBERS))["user_view_same_tenant"], "Bob")
    held = [
        (await caller("{ auth_info { permissions } }"))["auth_info"]["permissions"]
        for caller in callers
    ]
    assert done["id"] == before["memberships"][0]["id"] == after["memberships"][0]["id"]
    assert before["memberships"][0]["role_detail"]["name"] == "USER"
    assert after["memberships"][0]["role_detail"] == {"id": watcher, "name": "watcher"}
    assert after["memberships"][0]["tenant_id"] == str(office.tenant_id)
    assert held == [["read:run", "update:flow"], ["read:run"]]


async def test_terraform_names_a_role_and_the_web_ui_its_id(office: Office) -> None:
    bob = str(new_id())
    await a_key(office.admin, user_id=bob, name="Bob", role="user")

    await office.admin(
        "mutation($m: UUID!, $r: membership_role!) {"
        " set_membership_role(input: {membership_id: $m, role: $r}) { id } }",
        m=bob, r="READ_ONLY_USER",
    )  # fmt: skip
    by_name = named((await office.admin(MEMBERS))["user_view_same_tenant"], "Bob")
    await do(office.admin, "set_membership_role", membership_id=bob, role_id=role_id(Role.USER))
    by_id = named((await office.admin(MEMBERS))["user_view_same_tenant"], "Bob")
    neither = await refused(office.admin, "set_membership_role", membership_id=bob)
    nobody = await refused(
        office.admin, "set_membership_role", membership_id=new_id(), role_id=role_id(Role.USER)
    )

    assert by_name["memberships"][0]["role_detail"]["name"] == "READ_ONLY_USER"
    assert by_id["memberships"][0]["role_detail"]["name"] == "USER"
    assert "give either role_id or role" in neither["message"]
    assert "no membership" in nobody["message"]


async def test_a_guest_is_known_by_the_membership_and_loses_keys_that_may_do_more(
    office: Office, other: Office, as_caller: AsCaller
) -> None:
    guest = {"user_id": other.admin_id, "home_tenant_id": other.tenant_id}
    membership = (await do(office.admin, "create_membership", **guest, role="tenant_admin"))["id"]
    entered = await do(other.admin, "switch_tenant", tenant_id=office.tenant_id)
    as_guest = await as_caller(entered["access_token"])
    great = await as_caller((await a_key(as_guest, role="user"))["key"])
    watcher = await a_role(office.admin, "read:run")
    small = await as_caller((await a_key(as_guest, role_id=watcher))["key"])

    await do(office.admin, "set_membership_role", membership_id=membership, role_id=watcher)

    assert (await as_guest("{ auth_info { permissions } }"))["auth_info"]["permissions"] == [
        "read:run"
    ]
    assert (await small("{ auth_info { permissions } }"))["auth_info"]["permissions"] == [
        "read:run"
    ]
    assert "revoked" in (await great.errors("{ hello }"))[0]["message"]
    members = (await office.admin(MEMBERS))["user_view_same_tenant"]
    [shown] = [each for each in members if each["id"] == str(other.admin_id)]
    assert [m["id"] for m in shown["memberships"]] == [membership]
    home = (
        await other.admin("{ user { memberships { id tenant { id } role_detail { name } } } }")
    )["user"]
    by_tenant = {m["tenant"]["id"]: m for m in home[0]["memberships"]}
    assert by_tenant[str(office.tenant_id)]["id"] == membership


async def test_the_last_administrator_stays_one(office: Office, as_caller: AsCaller) -> None:
    user = role_id(Role.USER)
    bob = str(new_id())
    key = await a_key(office.admin, user_id=bob, name="Bob", role="tenant_admin")
    as_bob = await as_caller(key["key"])

    await do(office.admin, "set_membership_role", membership_id=bob, role_id=user)
    alone = await refused(
        office.admin, "set_membership_role", membership_id=office.admin_id, role_id=user
    )
    revoked = await refused(office.admin, "delete_api_key", key_id=office.key_id)
    await do(
        office.admin, "set_membership_role", membership_id=bob, role_id=role_id(Role.TENANT_ADMIN)
    )
    await do(as_bob, "set_membership_role", membership_id=office.admin_id, role_id=user)

    assert "last administrator" in alone["message"]
    assert "last key of an administrator" in revoked["message"]
    assert (await as_bob("{ auth_info { role } }"))["auth_info"]["role"] == "tenant_admin"


async def test_two_administrators_who_lower_each_other_at_once_are_not_both_lowered(
    office: Office, as_caller: AsCaller
) -> None:
    user = str(role_id(Role.USER))
    text = "mutation($i: set_membership_role_input!) { set_membership_role(input: $i) { id } }"
    for _ in range(10):
        bob = str(new_id())
        as_bob = await as_caller(
            (await a_key(office.admin, user_id=bob, role="tenant_admin"))["key"]
        )
        first, second = await asyncio.gather(
            office.admin.post(
                {"query": text, "variables": {"i": {"membership_id": bob, "role_id": user}}}
            ),
            as_bob.post(
                {
                    "query": text,
                    "variables": {"i": {"membership_id": str(office.admin_id), "role_id": user}},
                }
            ),
        )
        done = ["errors" not in answer.json() for answer in (first, second)]
        assert done in ([True, False], [False, True])
        if done == [False, True]:
            back = str(role_id(Role.TENANT_ADMIN))
            await do(as_bob, "set_membership_role", membership_id=office.admin_id, role_id=back)
            await do(office.admin, "set_membership_role", membership_id=bob, role_id=user)


async def test_a_service_account_without_a_role_is_an_administrators_and_its_keys_are_as_the_account(
    office: Office, as_caller: AsCaller
) -> None:
    watcher = await a_role(office.admin, "read:run", name="watcher")
    program = (await do(office.admin, "create_service_account", name="ci", role_id=watcher))["id"]
    great = (await do(office.admin, "create_service_account", name="terraform"))["id"]

    like_it = await as_caller((await a_key(office.admin, user_id=program))["key"])
    above = await as_caller((await a_key(office.admin, user_id=program, role="user"))["key"])
    admin = await as_caller((await a_key(office.admin, user_id=great))["key"])

    who = "{ auth_info { permissions } }"
    assert (await like_it(who))["auth_info"]["permissions"] == ["read:run"]
    assert (await above(who))["auth_info"]["permissions"] == ["read:run"]
    assert set((await admin(who))["auth_info"]["permissions"]) == PERMISSIONS[Role.TENANT_ADMIN]
    shown = named((await office.admin(MEMBERS))["user_view_same_tenant"], "ci")
    assert shown["memberships"][0]["role_detail"]["name"] == "watcher"
    assert shown["account_type"] == "SERVICE"


async def test_who_may_what_is_told_as_the_role_editor_asks(
    office: Office, as_caller: AsCaller
) -> None:
    asked = (
        "{ permissions_info { user_permissions_filtered_by_license_features"
        " all_permissions_filtered_by_license_features } }"
    )
    api = await holder(office, as_caller, "read:run")

    own = (await api(asked))["permissions_info"]
    admins = (await office.admin(asked))["permissions_info"]
    roles = (await api(ROLES))["auth_role"]

    assert own["user_permissions_filtered_by_license_features"] == ["read:run"]
    assert own["all_permissions_filtered_by_license_features"] == sorted(ALL)
    assert admins["user_permissions_filtered_by_license_features"] == sorted(ALL)
    # Without `read:role` no other tenant's member learns what roles there are.
    assert [role["name"] for role in roles] == ["TENANT_ADMIN", "USER", "READ_ONLY_USER", "RUNNER"]


async def test_license_users_are_those_of_the_tenant(office: Office, as_caller: AsCaller) -> None:
    asked = (
        "{ license_users { id username email memberships { tenant_id membership_id role_id } } }"
    )
    counter = await holder(office, as_caller, "license:admin")
    user = await as_caller((await a_key(office.admin, name="Bob", role="user"))["key"])

    shown = (await counter(asked))["license_users"]

    alice = named(shown, "Alice")
    assert alice["memberships"] == [
        {
            "tenant_id": str(office.tenant_id),
            "membership_id": str(office.admin_id),
            "role_id": str(role_id(Role.TENANT_ADMIN)),
        }
    ]
    assert {m["tenant_id"] for each in shown for m in each["memberships"]} == {
        str(office.tenant_id)
    }
    assert (await user.errors(asked))[0]["message"] == UNAUTHORIZED
