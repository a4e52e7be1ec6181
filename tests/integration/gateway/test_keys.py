"""Keys on, on all services: who gets in, what each role may do, and that tenants never meet."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from graphql import (
    GraphQLList,
    GraphQLObjectType,
    build_client_schema,
    get_introspection_query,
    get_nullable_type,
    is_required_argument,
)

from services.gateway.app import Gateway
from services.gateway.keys import Key, Role, fingerprint
from tests.support.callers import AsCaller, callers_of
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow
from tests.support.services import all_services

SUCCESS = r'"{\"type\": \"Success\"}"'
FIRST = "hw_first-key-for-tests"
READ = "query { project { id name } flow { id } flow_run { id } tenant { id slug } }"


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(stack, auth="required", bootstrap_key=FIRST) as gateway:
        yield gateway


@pytest.fixture
async def as_caller(gateway: Gateway) -> AsyncIterator[AsCaller]:
    async with callers_of(gateway) as caller:
        yield caller


@pytest.fixture
async def admin(as_caller: AsCaller) -> Gql:
    return await as_caller(FIRST)


async def make_key(admin: Gql, role: str, **given: Any) -> tuple[str, str]:
    made = await admin(
        "mutation($input: create_api_key_input!) { create_api_key(input: $input) { id key } }",
        input={"name": role, "role": role} | given,
    )
    return made["create_api_key"]["id"], made["create_api_key"]["key"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer hw_wrong"},
        {"authorization": "hw_first-key-for-tests"},
        {"authorization": "Basic aHc6aHc="},
        {
            "authorization": f"Bearer {FIRST}",
            "x-prefect-tenant-id": "0190a0a0-0000-7000-8000-00000000dead",
        },
    ],
    ids=["no key", "wrong key", "no scheme", "other scheme", "another tenant"],
)
@pytest.mark.parametrize(
    "query", ["query { hello }", READ, 'mutation { create_project(input: {name: "x"}) { id } }']
)
async def test_a_stranger_gets_nothing_and_is_told_so_as_clients_understand(
    gateway: Gateway, headers: dict[str, str], query: str
) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", timeout=30) as client:
        answer = await client.post("/graphql", json={"query": query}, headers=headers)

    body = answer.json()
    said = str(body["errors"])
    assert answer.status_code == 200
    assert body["data"] is None
    assert "UNAUTHENTICATED" in said or "Malformed Authorization header" in said


async def test_the_first_key_administers_the_first_tenant(admin: Gql) -> None:
    data = await admin("{ auth_info { tenant_id role } tenant { id slug } }")

    assert data["auth_info"]["role"] == "tenant_admin"
    assert data["tenant"] == [{"id": data["auth_info"]["tenant_id"], "slug": "default"}]


async def test_a_key_is_shown_once_and_stored_as_a_hash(stack: Stack, admin: Gql) -> None:
    key_id, key = await make_key(admin, "user")

    listed = await admin("{ auth_api_key { id name expires_at } }")
    row = await stack.admin_pool.fetchrow("SELECT * FROM gateway.api_key WHERE id = $1", key_id)

    assert key_id in [k["id"] for k in listed["auth_api_key"]]
    assert key not in str(listed)
    assert row is not None
    assert len(row["hash"]) == 32
    assert key not in str(dict(row))


async def test_a_revoked_key_is_refused_within_a_second(admin: Gql, as_caller: AsCaller) -> None:
    key_id, key = await make_key(admin, "user")
    caller = await as_caller(key)
    assert await caller("{ hello }")

    revoked = await admin(
        f'mutation {{ delete_api_key(input: {{ key_id: "{key_id}" }}) {{ success }} }}'
    )

    async def refused() -> bool:
        return "UNAUTHENTICATED" in str(await caller.errors("{ hello }"))

    assert revoked == {"delete_api_key": {"success": True}}
    await eventually(refused, timeout=1.0)


async def test_an_expired_key_is_refused(admin: Gql, as_caller: AsCaller) -> None:
    _, key = await make_key(admin, "user", expires_at="2020-01-01T00:00:00+00:00")

    errors = await (await as_caller(key)).errors("{ hello }")

    assert "expired" in errors[0]["message"]


@pytest.mark.parametrize("role", ["read_only", "agent", "user"])
async def test_only_administrators_make_keys_and_read_their_list(
    admin: Gql, as_caller: AsCaller, role: str
) -> None:
    _, key = await make_key(admin, role)
    caller = await as_caller(key)

    made = await caller.errors('mutation { create_api_key(input: {name: "x"}) { id key } }')
    listed = await caller.errors("{ auth_api_key { id } }")

    assert made[0]["message"] == listed[0]["message"] == "Unauthorized: permission error."


async def test_a_read_only_key_reads_and_writes_nothing(admin: Gql, as_caller: AsCaller) -> None:
    _, key = await make_key(admin, "read_only")
    caller = await as_caller(key)

    data = await caller(READ)
    refused = [
        await caller.errors('mutation { create_project(input: {name: "ro"}) { id } }'),
        await caller.errors('mutation { set_secret(input: {name: "s", value: "1"}) { success } }'),
        await caller.errors("mutation { get_runs_in_queue(input: {}) { flow_run_ids } }"),
        await caller.errors('{ secret_value(name: "s") }'),
    ]

    assert data["tenant"]
    assert {errors[0]["message"] for errors in refused} == {"Unauthorized: permission error."}


async def test_an_agents_key_serves_runs_and_registers_nothing(
    admin: Gql, as_caller: AsCaller
) -> None:
    _, key = await make_key(admin, "agent")
    caller = await as_caller(key)

    agent = await caller('mutation { register_agent(input: {type: "LocalAgent"}) { id } }')
    queue = await caller("mutation { get_runs_in_queue(input: {}) { flow_run_ids } }")
    errors = await caller.errors('mutation { create_project(input: {name: "by agent"}) { id } }')

    assert agent["register_agent"]["id"]
    assert queue["get_runs_in_queue"]["flow_run_ids"] == []
    assert errors[0]["message"] == "Unauthorized: permission error."


async def test_what_one_tenant_makes_no_key_of_another_sees_or_touches(
    gateway: Gateway, admin: Gql, as_caller: AsCaller
) -> None:
    mine = admin
    other_key = await _key_of_a_new_tenant(gateway)
    theirs = await as_caller(other_key)
    project = (await mine('mutation { create_project(input: {name: "mine"}) { id } }'))[
        "create_project"
    ]["id"]
    flow = (
        await mine(
            "mutation($f: JSON!, $p: UUID) { create_flow(input: {serialized_flow: $f, project_id: $p}) { id } }",
            f=a_flow("mine"),
            p=project,
        )
    )["create_flow"]["id"]
    run = (await mine(f'mutation {{ create_flow_run(input: {{flow_id: "{flow}"}}) {{ id }} }}'))[
        "create_flow_run"
    ]["id"]

    seen = await theirs(READ)
    by_pk = await theirs(
        f'{{ flow_by_pk(id: "{flow}") {{ id }} flow_run_by_pk(id: "{run}") {{ id }}'
        f' project_by_pk(id: "{project}") {{ id }} }}'
    )
    archived = await theirs(
        f'mutation {{ archive_flow(input: {{flow_id: "{flow}"}}) {{ success }} }}'
    )
    refused = [
        await theirs.errors(
            f'mutation {{ create_flow_run(input: {{flow_id: "{flow}"}}) {{ id }} }}'
        ),
        await theirs.errors(
            f'mutation {{ cancel_flow_run(input: {{flow_run_id: "{run}"}}) {{ state }} }}'
        ),
        await theirs.errors(
            f'mutation {{ write_run_logs(input: {{logs: {{flow_run_id: "{run}", message: "x"}}}}) {{ success }} }}'
        ),
        await theirs.errors(
            f'mutation {{ set_flow_run_states(input: {{states: {{flow_run_id: "{run}", state: {SUCCESS}}}}})'
            " { states { id } } }"
        ),
        await theirs.errors(
            f'mutation {{ disable_flow_heartbeat(input: {{flow_id: "{flow}"}}) {{ success }} }}'
        ),
    ]
    after = await mine(
        f'{{ flow_by_pk(id: "{flow}") {{ archived }} flow_run_by_pk(id: "{run}") {{ state logs {{ id }} }} }}'
    )

    assert seen["project"] == seen["flow"] == seen["flow_run"] == []
    assert [t["slug"] for t in seen["tenant"]] == ["other"]
    assert by_pk == {"flow_by_pk": None, "flow_run_by_pk": None, "project_by_pk": None}
    assert archived == {"archive_flow": {"success": False}}
    assert all(refused)
    assert after == {
        "flow_by_pk": {"archived": False},
        "flow_run_by_pk": {"state": "Scheduled", "logs": []},
    }


async def _key_of_a_new_tenant(gateway: Gateway) -> str:
    """A key of a tenant that exists beside the first; made with the store, as the operator's bootstrap would."""
    store = gateway._store
    tenant_id = await store.create_tenant(gateway.ids(), name="other", slug="other")
    key = Key(
        id=gateway.ids(),
        tenant_id=tenant_id,  # type: ignore[arg-type] # the slug is free in a fresh database
        user_id=gateway.ids(),
        name="other",
        role=Role.TENANT_ADMIN,
        expires_at=None,
    )
    await store.create_key(key, fingerprint("hw_other", gateway._settings.pepper), created_by=None)
    return "hw_other"


async def test_what_people_change_is_in_the_audit_trail(admin: Gql) -> None:
    made = await admin('mutation { create_project(input: {name: "audited"}) { id } }')
    project_id = made["create_project"]["id"]

    rows = await admin(
        "query($id: uuid!) { audit_log(where: {object_id: {_eq: $id}}) { message actor } }",
        id=project_id,
    )

    assert rows["audit_log"][0]["message"] == "create_project"
    assert rows["audit_log"][0]["actor"].startswith("key:first:")


async def test_a_secret_is_sealed_and_only_opens_under_its_own_name(
    stack: Stack, admin: Gql
) -> None:
    value = {"password": "open sesame"}

    await admin(
        'mutation($v: JSON!) { set_secret(input: {name: "door", value: $v}) { success } }', v=value
    )
    read = await admin('{ secret_value(name: "door") secret_names }')
    row = await stack.admin_pool.fetchval("SELECT value FROM gateway.secret WHERE name = 'door'")
    await stack.admin_pool.execute("UPDATE gateway.secret SET name = 'window' WHERE name = 'door'")
    moved = await admin.errors('{ secret_value(name: "window") }')
    missing = await admin.errors('{ secret_value(name: "door") }')

    assert read == {"secret_value": value, "secret_names": ["door"]}
    assert b"sesame" not in row
    assert "sealed under another" in moved[0]["message"]
    assert missing[0]["message"] == "No value found for the requested key"


async def test_the_key_value_store_keeps_what_clients_put_there(admin: Gql) -> None:
    put = 'mutation($v: JSON!) { set_key_value(input: {key: "k", value: $v}) { id } }'

    first = await admin(put, v=[1, {"x": None}])
    second = await admin(put, v="text")
    read = await admin('{ key_value(where: {key: {_eq: "k"}}) { id key value } }')
    too_big = await admin.errors(put, v="x" * 10_001)
    deleted = await admin(
        f'mutation {{ delete_key_value(input: {{key_value_id: "{second["set_key_value"]["id"]}"}}) {{ success }} }}'
    )

    assert first == second
    assert read["key_value"] == [{"id": first["set_key_value"]["id"], "key": "k", "value": "text"}]
    assert "at most 10000" in too_big[0]["message"]
    assert deleted == {"delete_key_value": {"success": True}}


async def test_what_recorded_clients_ask_about_themselves_is_answered_in_their_words(
    admin: Gql,
) -> None:
    await admin(
        'mutation($v: JSON!) { set_secret(input: {name: "S", value: $v}) { success } }', v="v"
    )
    [tenant] = (await admin("query { tenant { id slug } }"))["tenant"]
    questions = [
        "query { hello }",
        "query { authInfo { apiTokenScope } }",
        "query { auth_info { api_token_scope } }",
        "query { auth_info { tenant_id } }",
        "query { auth_info { user_id } }",
        "query { user { default_membership { tenant_id } } }",
        "query { user { default_membership { tenant { slug } } } }",
    ]

    hello, old, scope, of, user, member, slug = [await admin(text) for text in questions]
    keys = await admin("query { auth_api_key { id name expires_at } }")
    tokens = await admin("query { api_token { id name } }")
    secret = await admin("query($name: String!) { secret_value(name: $name) }", name="S")
    old_secret = await admin("query($name: String!) { secretValue(name: $name) }", name="S")

    assert hello == {"hello": "👋"}
    assert old == {"authInfo": {"apiTokenScope": "RUNNER"}}
    assert scope == {"auth_info": {"api_token_scope": "RUNNER"}}
    assert of == {"auth_info": {"tenant_id": tenant["id"]}}
    assert user["auth_info"]["user_id"] is not None
    assert member == {"user": [{"default_membership": {"tenant_id": tenant["id"]}}]}
    assert slug == {"user": [{"default_membership": {"tenant": {"slug": tenant["slug"]}}}]}
    assert {"first"} <= {key["name"] for key in keys["auth_api_key"]}
    assert {"first"} <= {token["name"] for token in tokens["api_token"]}
    assert (secret, old_secret) == ({"secret_value": "v"}, {"secretValue": "v"})


async def test_reference_data_and_api_say_what_the_web_ui_and_clients_expect(admin: Gql) -> None:
    data = (await admin("query { reference_data { state_hierarchy state_info } }"))[
        "reference_data"
    ]
    api = (await admin("query { api { backend mode version core_version release_timestamp } }"))[
        "api"
    ]

    assert data["state_info"]["Running"] == {"color": "#3d67ff"}
    assert data["state_info"]["Scheduled"] == {"color": "#ffab00"}
    assert set(data["state_hierarchy"]["Running"]) >= {"Running", "Cancelling"}
    assert set(data["state_hierarchy"]["_MetaState"]) >= {"Submitted", "Queued", "ClientFailed"}
    assert (api["backend"], api["mode"], api["core_version"]) == ("SERVER", "normal", "1.4.1")
    assert datetime.fromisoformat(api["release_timestamp"]).tzinfo is not None


async def test_every_list_takes_the_arguments_that_hasuras_lists_take(admin: Gql) -> None:
    """The web UI's interactive page adds `limit: 100` to every list, and to what it takes for one."""
    await admin('mutation { update_flow_concurrency_limit(input: {label: "l", limit: 1}) { id } }')
    schema = build_client_schema(
        (await admin.post({"query": get_introspection_query()})).json()["data"]
    )
    assert schema.query_type is not None
    lists = {
        name: get_nullable_type(get_nullable_type(field.type).of_type)
        for name, field in schema.query_type.fields.items()
        if isinstance(get_nullable_type(field.type), GraphQLList)
        and not any(is_required_argument(argument) for argument in field.args.values())
    }
    rows = {name for name, kind in lists.items() if isinstance(kind, GraphQLObjectType)}

    for name in lists:
        below = " { __typename }" if name in rows else ""
        of_rows = "where: {}, order_by: []," if name in rows else ""
        nulls = "where: null, order_by: null," if name in rows else ""
        data = await admin(
            f"{{ some: {name}(limit: 100){below} all: {name}({of_rows} limit: 100, offset: 0){below}"
            f" none: {name}({nulls} limit: 0, offset: null){below} }}"
        )
        assert data["some"] == data["all"]
        assert data["none"] == []
    assert {
        "flow_concurrency",
        "task_concurrency",
        "user",
        "membership",
        "secret_names",
    } <= lists.keys()
    missing = await admin.errors(
        '{ get_task_run_info(task_run_id: "0190a0a0-0000-7000-8000-00000000dead", limit: 100) { id } }'
    )
    assert missing[0]["message"] == "Invalid task run ID"


async def test_a_caller_is_told_who_it_is_as_widely_as_cloud_did(
    admin: Gql, as_caller: AsCaller
) -> None:
    key_id, text = await make_key(admin, "read_only")
    reader = await as_caller(text)

    me = await reader(
        """{
            auth_info {
                tenant_id user_id license permissions role role_id token_type token_id token_expires token_jti
                api_token_scope
            }
            user {
                id username email settings default_membership_id first_name last_name account_type
                memberships { id tenant { id name slug settings } role_detail { id name } }
                default_membership { id tenant_id }
            }
            auth_role(where: {name: {_eq: "READ_ONLY_USER"}}) { id name permissions created tenant_id }
        }"""
    )
    listed = await admin(
        """query($id: uuid!) {
            auth_api_key(where: {id: {_eq: $id}}) {
                id name created updated expires_at default_tenant_id user_id created_by { id username } key_hash
            }
            api_token(order_by: {created: desc}, limit: 1) { id name created expires_at api_token_scope }
        }""",
        id=key_id,
    )

    [user], [role] = me["user"], me["auth_role"]
    assert me["auth_info"]["license"]["terms"]["plan"]
    assert me["auth_info"]["permissions"] == role["permissions"]
    assert "read:flow" in role["permissions"]
    assert "read:audit-trail" not in role["permissions"]
    assert me["auth_info"]["role_id"] == role["id"]
    assert me["auth_info"]["token_id"] == me["auth_info"]["token_jti"] == key_id
    assert user["id"] == me["auth_info"]["user_id"]
    assert user["default_membership_id"] == user["default_membership"]["id"]
    [membership] = user["memberships"]
    assert membership["role_detail"] == {"id": role["id"], "name": "READ_ONLY_USER"}
    assert membership["tenant"]["id"] == me["auth_info"]["tenant_id"]
    [key], [token] = listed["auth_api_key"], listed["api_token"]
    assert (key["id"], key["key_hash"]) == (key_id, None)
    assert key["created_by"]["id"] == (await admin("{ auth_info { user_id } }"))["auth_info"]["user_id"]  # fmt: skip
    assert token["id"] == key_id


@pytest.mark.parametrize("name", ["x" * 100_000, "a\nb", "\x1b[31mroot", "admin\u202enimda", "  "])
@pytest.mark.parametrize("mutation", ["create_api_key", "create_api_token", "update_tenant_name"])
async def test_a_name_is_one_line_of_text(admin: Gql, mutation: str, name: str) -> None:
    errors = await admin.errors(
        f"mutation($input: {mutation}_input!) {{ {mutation}(input: $input) {{ id }} }}",
        input={"name": name},
    )

    assert errors[0]["message"].startswith("name must")
    assert len(errors[0]["message"]) < 200


async def test_an_old_keys_name_enters_the_trail_as_one_short_line(
    gateway: Gateway, admin: Gql, as_caller: AsCaller
) -> None:
    key = Key(
        id=gateway.ids(),
        tenant_id=(await gateway._store.tenant_ids())[0],
        user_id=gateway.ids(),
        name="old\nname" + "x" * 100_000,
        role=Role.TENANT_ADMIN,
        expires_at=None,
    )
    await gateway._store.create_key(
        key, fingerprint("hw_old", gateway._settings.pepper), created_by=None
    )

    await (await as_caller("hw_old"))(
        'mutation { update_task_tag_limit(input: {tag: "old", limit: 1}) { id } }'
    )
    [line] = (
        await admin(f'{{ audit_log(where: {{actor: {{_like: "%{key.id}"}}}}) {{ actor }} }}')
    )["audit_log"]

    assert line["actor"].startswith("key:old\ufffdname")
    assert len(line["actor"]) < 400


async def test_a_membership_says_the_same_of_strangers_and_of_nobody(
    gateway: Gateway, admin: Gql
) -> None:
    """Else the ids of all tenants could be told from others."""
    other = await gateway._store.create_tenant(gateway.ids(), name="x", slug="not-told")
    make = "mutation($i: create_membership_input!) { create_membership(input: $i) { id } }"

    real, unknown = [
        await admin.errors(make, i={"user_id": str(gateway.ids()), "home_tenant_id": str(home)})
        for home in (other, gateway.ids())
    ]

    # The first answer to a text has a place in it, as graphql-core gives it.
    assert [{**error, "locations": None} for error in real] == [
        {**error, "locations": None} for error in unknown
    ]
    assert "auth_info" in real[0]["message"]


async def test_a_key_that_cannot_be_looked_up_gets_an_answer_with_an_id(
    stack: Stack, as_caller: AsCaller
) -> None:
    stranger = await as_caller("hw_nobody-has-seen-this-one")
    await stack.admin_pool.execute("ALTER TABLE gateway.api_key RENAME TO mislaid")

    try:
        response = await stranger.post({"query": "{ hello }"})
    finally:
        await stack.admin_pool.execute("ALTER TABLE gateway.mislaid RENAME TO api_key")

    [error] = response.json()["errors"]
    assert response.status_code == 200
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert error["extensions"]["error_id"] in error["message"]
    assert "mislaid" not in response.text
    assert "api_key" not in response.text
