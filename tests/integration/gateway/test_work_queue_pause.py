"""The work queue's pause over GraphQL, in the documents of the old web UI."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.gateway.app import Gateway
from tests.support.callers import AsCaller, callers_of
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow
from tests.support.services import all_services

FIRST = "hw_first-key-of-the-paused"
# As the web UI writes them, in Server mode too.
RESUME = """mutation ResumeWorkQueue($tenantId: UUID!) {
    tenant_work_queue_result: resume_tenant_work_queue(input: {tenant_id: $tenantId}) { success }
}"""
PAUSE = RESUME.replace("resume", "pause").replace("Resume", "Pause")
BANNER = "{ tenant { id settings } }"
QUEUE = "mutation { get_runs_in_queue(input: {labels: []}) { flow_run_ids } }"
SET_SETTINGS = "mutation($s: JSON!) { update_tenant_settings(input: {settings: $s}) { id } }"


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


async def settings_of(admin: Gql) -> dict[str, Any]:
    settings: dict[str, Any] = (await admin(BANNER))["tenant"][0]["settings"]
    return settings


async def own(admin: Gql) -> str:
    tenant_id: str = (await admin("{ auth_info { tenant_id } }"))["auth_info"]["tenant_id"]
    return tenant_id


async def test_the_banner_of_the_web_ui_comes_with_a_pause_and_its_button_ends_it(
    admin: Gql,
) -> None:
    tenant_id = await own(admin)
    project = await admin('mutation { create_project(input: {name: "paused"}) { id } }')
    flow = await admin(
        "mutation($f: JSON!, $p: UUID) { create_flow(input: {serialized_flow: $f, project_id: $p}) { id } }",
        f=a_flow("paused"),
        p=project["create_project"]["id"],
    )
    run = await admin(
        f'mutation {{ create_flow_run(input: {{flow_id: "{flow["create_flow"]["id"]}"}}) {{ id }} }}'
    )

    twice = [await admin(PAUSE, tenantId=tenant_id) for _ in range(2)]
    paused = (await settings_of(admin), await admin(QUEUE))
    again = [await admin(RESUME, tenantId=tenant_id) for _ in range(2)]

    assert [*twice, *again] == [{"tenant_work_queue_result": {"success": True}}] * 4
    assert paused[0]["work_queue_paused"] is True
    assert paused[1] == {"get_runs_in_queue": {"flow_run_ids": []}}
    assert (await settings_of(admin))["work_queue_paused"] is False
    assert await admin(QUEUE) == {
        "get_runs_in_queue": {"flow_run_ids": [run["create_flow_run"]["id"]]}
    }


async def test_a_stock_agent_that_submits_during_a_pause_reads_the_words_at_which_it_drops_the_run(
    admin: Gql,
) -> None:
    project = await admin('mutation { create_project(input: {name: "dropped"}) { id } }')
    flow = await admin(
        "mutation($f: JSON!, $p: UUID) { create_flow(input: {serialized_flow: $f, project_id: $p}) { id } }",
        f=a_flow("dropped"),
        p=project["create_project"]["id"],
    )
    made = await admin(
        f'mutation {{ create_flow_run(input: {{flow_id: "{flow["create_flow"]["id"]}"}}) {{ id }} }}'
    )
    run_id = made["create_flow_run"]["id"]
    await admin(PAUSE, tenantId=await own(admin))

    [error] = await admin.errors(
        "mutation($i: set_flow_run_states_input!) { set_flow_run_states(input: $i) { states { id status } } }",
        i={"states": [{"flow_run_id": run_id, "version": 1, "state": {"type": "Submitted"}}]},
    )

    await admin(RESUME, tenantId=await own(admin))
    assert error["message"] == (
        f"State update failed for run ID {run_id}: the tenant's work queue is paused, and no run is given to agents"
        " until it is resumed."
    )


async def test_a_pause_stands_in_the_audit_trail(admin: Gql) -> None:
    tenant_id = await own(admin)
    await admin(PAUSE, tenantId=tenant_id)
    await admin(RESUME, tenantId=tenant_id)

    found = await admin(
        '{ audit_log(where: {message: {_in: ["pause_tenant_work_queue", "resume_tenant_work_queue"]}},'
        " order_by: {timestamp: desc}, limit: 2) { message info } }"
    )

    assert found["audit_log"] == [
        {"message": "resume_tenant_work_queue", "info": {"tenant_id": tenant_id}},
        {"message": "pause_tenant_work_queue", "info": {"tenant_id": tenant_id}},
    ]


async def test_settings_that_are_sent_back_as_they_were_read_pause_and_resume_nothing(
    admin: Gql,
) -> None:
    await admin(PAUSE, tenantId=await own(admin))
    read = await settings_of(admin)

    await admin(SET_SETTINGS, s={**read, "teamNamed": True})
    [error] = await admin.errors(SET_SETTINGS, s={"work_queue_paused": False})

    kept = await settings_of(admin)
    await admin(RESUME, tenantId=await own(admin))
    assert (kept["work_queue_paused"], kept["teamNamed"]) == (True, True)
    assert error["message"] == (
        "settings.work_queue_paused is changed by pause_tenant_work_queue and resume_tenant_work_queue; leave it out"
        " here"
    )


@pytest.mark.parametrize("role", ["user", "read_only", "agent"])
async def test_only_administrators_pause(admin: Gql, as_caller: AsCaller, role: str) -> None:
    made = await admin(
        "mutation($i: create_api_key_input!) { create_api_key(input: $i) { key } }",
        i={"name": f"a {role}", "role": role},
    )
    other = await as_caller(made["create_api_key"]["key"])

    [error] = await other.errors(PAUSE, tenantId=await own(admin))

    assert error["extensions"]["code"] == "FORBIDDEN"
    assert not (await settings_of(admin)).get("work_queue_paused")
