"""Tenants over GraphQL, with keys off: made, changed, chosen by the header, deleted with all they hold."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from services.gateway.app import Gateway
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow
from tests.support.services import all_services

TABLES = (
    "registry.project", "registry.flow_group", "registry.flow", "registry.task", "runs.flow_run",
    "runs.task_run", "runs.agent", "gateway.key_value", "gateway.tenant",
)  # fmt: skip


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(stack) as gateway:
        yield gateway


@pytest.fixture
async def api(gateway: Gateway) -> AsyncIterator[Gql]:
    async with Gql(f"http://127.0.0.1:{gateway.port}") as gql:
        yield gql


async def make(api: Gql, slug: str) -> str:
    made = await api(
        "mutation($s: String!) { create_tenant(input: {name: $s, slug: $s}) { id } }", s=slug
    )
    tenant_id: str = made["create_tenant"]["id"]
    return tenant_id


async def test_the_header_chooses_the_tenant_and_without_keys_all_are_listed(
    gateway: Gateway, api: Gql
) -> None:
    tenant_id = await make(api, "chosen")

    async with Gql(
        f"http://127.0.0.1:{gateway.port}", headers={"x-prefect-tenant-id": tenant_id}
    ) as there:
        await api('mutation { create_project(input: {name: "of the default tenant"}) { id } }')
        seen = await there("{ tenant { id slug } project { id } }")

    assert seen["project"] == []
    assert {"id": tenant_id, "slug": "chosen"} in seen["tenant"]


async def test_the_callers_tenant_comes_first_whatever_was_changed_last(
    stack: Stack, gateway: Gateway, api: Gql
) -> None:
    """Core takes the first of `tenant { id }` for its own, and registers there."""
    newer = await make(api, "newer")
    oldest = (await api("{ auth_info { tenant_id } }"))["auth_info"]["tenant_id"]
    # PostgreSQL moves a row that is updated behind the others.
    await api('mutation { update_tenant_name(input: {name: "renamed"}) { id } }')

    async with Gql(
        f"http://127.0.0.1:{gateway.port}", headers={"x-prefect-tenant-id": newer}
    ) as there:
        first_here = await api(
            "{ tenant { id } one: tenant(limit: 1) { id } tenant_aggregate { nodes { id } } }"
        )
        first_there = await there("{ tenant { id } one: tenant(limit: 1) { id } }")
    project = await api(
        'mutation($t: UUID) { create_project(input: {name: "of the first", tenant_id: $t}) { id } }',
        t=first_here["tenant"][0]["id"],
    )
    seen = await api('{ project(where: {name: {_eq: "of the first"}}) { id } }')
    by_slug = await api("{ tenant(order_by: {slug: desc}) { slug } }")

    assert first_here["tenant"][0]["id"] == first_here["one"][0]["id"] == oldest
    assert first_here["tenant_aggregate"]["nodes"][0]["id"] == oldest
    assert first_there["tenant"][0]["id"] == first_there["one"][0]["id"] == newer
    assert seen["project"] == [{"id": project["create_project"]["id"]}]
    slugs = [row["slug"] for row in by_slug["tenant"]]
    assert slugs == sorted(slugs, reverse=True)


async def test_a_tenant_that_is_named_is_written_to_and_read_from(api: Gql) -> None:
    named = await make(api, "named")
    made = await api(
        'mutation($t: UUID) { create_project(input: {name: "there", tenant_id: $t}) { id }'
        ' register_agent(input: {type: "LocalAgent", name: "there", tenant_id: $t}) { id } }',
        t=named,
    )

    seen = await api(
        """query($t: uuid!) {
            project(where: {tenant_id: {_eq: $t}}) { id name tenant { slug } }
            agent_aggregate(where: {tenant_id: {_eq: $t}}) { aggregate { count } }
            tenant(where: {id: {_eq: $t}}) { slug projects { name } }
            tenant_by_pk(id: $t) { projects { name } }
            here: project { name }
            nobody: project(where: {tenant_id: {_eq: "0190a0a0-0000-7000-8000-00000000dead"}}) { id }
        }""",
        t=named,
    )
    queue = await api.errors(
        'mutation { get_runs_in_queue(input: {tenant_id: "0190a0a0-0000-7000-8000-00000000dead"}) { flow_run_ids } }'
    )

    project = {"id": made["create_project"]["id"], "name": "there", "tenant": {"slug": "named"}}
    assert seen["project"] == [project]
    assert seen["agent_aggregate"] == {"aggregate": {"count": 1}}
    assert seen["tenant"] == [{"slug": "named", "projects": [{"name": "there"}]}]
    assert seen["tenant_by_pk"] == {"projects": [{"name": "there"}]}
    assert {"name": "there"} not in seen["here"]
    assert seen["nobody"] == []
    assert queue[0]["message"] == (
        "Invalid tenant id: there is no tenant 0190a0a0-0000-7000-8000-00000000dead. The query tenant { id slug } lists"
        " those there are."
    )


@pytest.mark.parametrize(
    "mutation",
    [
        'update_tenant_name(input: {name: "x" TENANT}) { id }',
        'update_tenant_slug(input: {slug: "x" TENANT}) { id }',
        'update_tenant_settings(input: {settings: "{}" TENANT}) { id }',
        'create_project(input: {name: "x" TENANT}) { id }',
        'register_agent(input: {type: "x" TENANT}) { id }',
        "get_runs_in_queue(input: {labels: [] TENANT}) { flow_run_ids }",
        'create_api_key(input: {name: "x" default_TENANT}) { id }',
    ],
)
async def test_a_tenant_that_there_is_not_is_named_in_the_refusal(api: Gql, mutation: str) -> None:
    unknown = "0190a0a0-0000-7000-8000-00000000dead"

    [error] = await api.errors(
        f"mutation {{ {mutation.replace('TENANT', f'tenant_id: {chr(34)}{unknown}{chr(34)}')} }}"
    )

    assert error["message"].startswith(f"Invalid tenant id: there is no tenant {unknown}.")


async def test_the_web_ui_changes_the_tenant_of_its_header(gateway: Gateway, api: Gql) -> None:
    tenant_id = await make(api, "of-the-header")

    async with Gql(
        f"http://127.0.0.1:{gateway.port}", headers={"x-prefect-tenant-id": tenant_id}
    ) as there:
        changed = await there(
            """mutation($settings: JSON!) {
                update_tenant_name(input: {name: "By the UI"}) { id }
                update_tenant_slug(input: {slug: "by-the-ui"}) { id }
                update_tenant_settings(input: {settings: $settings}) { id }
            }""",
            settings={"teamNamed": True},
        )
        seen = await there("{ tenant(limit: 1) { id name slug settings } }")

    assert {each["id"] for each in changed.values()} == {tenant_id}
    assert seen["tenant"] == [
        {"id": tenant_id, "name": "By the UI", "slug": "by-the-ui", "settings": {"teamNamed": True}}
    ]


async def test_a_key_is_made_as_the_command_line_does_where_keys_are_off(api: Gql) -> None:
    """`prefect auth create-key` asks who it is, and makes a key for that user."""
    who = await api("{ auth_info { user_id } user { id memberships { tenant { slug } } } }")
    made = await api(
        "mutation($input: create_api_key_input!) { create_api_key(input: $input) { id key } }",
        input={"user_id": who["auth_info"]["user_id"], "name": "by hand", "expires_at": None},
    )
    keys = await api('{ auth_api_key(where: {name: {_eq: "by hand"}}) { id user_id created_by { id } } }')  # fmt: skip

    assert who["user"][0]["id"] == who["auth_info"]["user_id"] is not None
    assert {"tenant": {"slug": "default"}} in who["user"][0]["memberships"]
    [key] = keys["auth_api_key"]
    assert key["id"] == made["create_api_key"]["id"]
    assert key["created_by"] == {"id": who["auth_info"]["user_id"]}
    # Everybody is one user while keys are off. Whoever holds the key is a user of their own, so it can have a name.
    assert key["user_id"] != who["auth_info"]["user_id"]


async def test_a_tenant_is_renamed_and_its_settings_are_merged(gateway: Gateway, api: Gql) -> None:
    tenant_id = await make(api, "changing")
    change = (
        f'mutation {{ a: update_tenant_name(input: {{tenant_id: "{tenant_id}", name: "New"}}) {{ id }}'
        f' b: update_tenant_slug(input: {{tenant_id: "{tenant_id}", slug: "new"}}) {{ id }}'
        f' c: update_tenant_settings(input: {{tenant_id: "{tenant_id}", settings: "{{\\"x\\": 1}}"}}) {{ id }}'
        f' d: update_tenant_settings(input: {{tenant_id: "{tenant_id}", settings: "{{\\"y\\": 2}}"}}) {{ id }} }}'
    )

    await api(change)

    async with Gql(
        f"http://127.0.0.1:{gateway.port}", headers={"x-prefect-tenant-id": tenant_id}
    ) as there:
        seen = await there(
            f'{{ tenant(where: {{id: {{_eq: "{tenant_id}"}}}}) {{ name slug settings }} }}'
        )
    assert seen == {"tenant": [{"name": "New", "slug": "new", "settings": {"x": 1, "y": 2}}]}


async def test_settings_that_are_merged_at_once_are_all_kept(gateway: Gateway, api: Gql) -> None:
    tenant_id = await make(api, "merging")
    change = (
        "mutation($t: UUID!, $s: JSON) {"
        " update_tenant_settings(input: {tenant_id: $t, settings: $s}) { id } }"
    )

    await asyncio.gather(*(api(change, t=tenant_id, s={f"k{n}": n}) for n in range(20)))

    async with Gql(
        f"http://127.0.0.1:{gateway.port}", headers={"x-prefect-tenant-id": tenant_id}
    ) as there:
        seen = await there(f'{{ tenant(where: {{id: {{_eq: "{tenant_id}"}}}}) {{ settings }} }}')
    assert seen["tenant"] == [{"settings": {f"k{n}": n for n in range(20)}}]


async def test_what_the_peer_fell_over_is_answered(api: Gql) -> None:
    """The web UI and scripts send an absent description, and lists that are null."""
    project = await api('mutation { create_project(input: {name: "nulls"}) { id } }')
    project_id = project["create_project"]["id"]
    flow = await api(
        "mutation($f: JSON!, $p: UUID) { create_flow(input: {serialized_flow: $f, project_id: $p}) { id } }",
        f=a_flow("nulls"),
        p=project_id,
    )
    group = await api(
        "query($id: uuid!) { flow_by_pk(id: $id) { flow_group_id } }", id=flow["create_flow"]["id"]
    )
    group_id = group["flow_by_pk"]["flow_group_id"]

    answered = await api(
        f'mutation {{ a: set_project_description(input: {{project_id: "{project_id}"}}) {{ id }}'
        " b: get_runs_in_queue(input: {labels: null}) { flow_run_ids }"
        f' c: set_flow_group_schedule(input: {{flow_group_id: "{group_id}", cron_clocks: null,'
        ' interval_clocks: [{interval: 3600}], timezone: "UTC"}) { success } }'
    )

    assert answered == {
        "a": {"id": project_id},
        "b": {"flow_run_ids": []},
        "c": {"success": True},
    }


async def test_a_tenant_that_another_gateway_deleted_is_gone_within_a_second(
    gateway: Gateway, api: Gql
) -> None:
    tenant_id = await make(api, "elsewhere")
    url = f"http://127.0.0.1:{gateway.port}"
    async with Gql(url, headers={"x-prefect-tenant-id": tenant_id}) as there:
        assert await there("{ hello }")
        # As another gateway does it: this one is told nothing.
        await gateway._store.delete_tenant(UUID(tenant_id))

        async def is_refused() -> bool:
            return "there is no tenant" in (await there.post({"query": "{ hello }"})).text

        await eventually(is_refused, timeout=10)


async def test_a_slug_is_given_once(api: Gql) -> None:
    await make(api, "once")

    errors = await api.errors('mutation { create_tenant(input: {name: "x", slug: "once"}) { id } }')

    assert errors[0]["message"] == (
        "Uniqueness violation: another tenant has the slug once; choose another one."
    )


async def test_a_tenant_is_deleted_with_everything_in_it_and_only_when_confirmed(
    stack: Stack, gateway: Gateway, api: Gql
) -> None:
    tenant_id = await make(api, "doomed")
    async with Gql(
        f"http://127.0.0.1:{gateway.port}", headers={"x-prefect-tenant-id": tenant_id}
    ) as there:
        project = await there('mutation { create_project(input: {name: "p"}) { id } }')
        flow = await there(
            "mutation($f: JSON!, $p: UUID) { create_flow(input: {serialized_flow: $f, project_id: $p}) { id } }",
            f=a_flow("doomed"),
            p=project["create_project"]["id"],
        )
        await there(
            f'mutation {{ create_flow_run(input: {{flow_id: "{flow["create_flow"]["id"]}"}}) {{ id }} }}'
        )
        await there('mutation { register_agent(input: {type: "LocalAgent"}) { id } }')
        await there('mutation { set_key_value(input: {key: "k", value: "1"}) { id } }')
    delete = f'mutation {{ delete_tenant(input: {{tenant_id: "{tenant_id}", confirm: CONFIRM}}) {{ success }} }}'

    refused = await api.errors(delete.replace("CONFIRM", "false"))
    deleted = await api(delete.replace("CONFIRM", "true"))
    again = await api(delete.replace("CONFIRM", "true"))

    async def nothing_left() -> bool:
        counts = [
            await stack.admin_pool.fetchval(
                f"SELECT count(*) FROM {table} WHERE {'id' if table.endswith('tenant') else 'tenant_id'} = $1",
                tenant_id,
            )
            for table in TABLES
        ]
        return not any(counts)

    assert refused[0]["message"] == "Must pass `confirm=True` to proceed."
    assert deleted == {"delete_tenant": {"success": True}}
    assert again == {"delete_tenant": {"success": False}}
    # Each service looks every five seconds.
    await eventually(nothing_left, timeout=30)
