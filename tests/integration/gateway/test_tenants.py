"""Tenants over GraphQL, with keys off: made, changed, chosen by the header, deleted with all they hold."""

import asyncio
from collections.abc import AsyncIterator

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
    """backend.md section 9, item 21: an absent description, and lists that are null."""
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


async def test_a_slug_is_given_once(api: Gql) -> None:
    await make(api, "once")

    errors = await api.errors('mutation { create_tenant(input: {name: "x", slug: "once"}) { id } }')

    assert errors[0]["message"] == "Uniqueness violation."


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
    await eventually(nothing_left)
