"""Concurrency limits as clients set, read and meet them: documents of both dialects and of the web UI, verbatim."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow, a_task
from tests.support.services import all_services

UPDATE = """
mutation($input: update_task_tag_limit_input!) {
    update_task_tag_limit(input: $input) {
        id
    }
}
"""
UPDATE_CAMEL = """
mutation($input: updateTaskTagLimitInput!) {
    updateTaskTagLimit(input: $input) {
        id
    }
}
"""
DELETE = """
mutation($input: delete_task_tag_limit_input!) {
    delete_task_tag_limit(input: $input) {
        success
    }
}
"""
DELETE_CAMEL = """
mutation($input: deleteTaskTagLimitInput!) {
    deleteTaskTagLimit(input: $input) {
        success
    }
}
"""
READ = """
query {
    task_tag_limit(where: { tag: { _eq: "%s" } }) {
        limit
    }
}
"""
SET_STATE = """
mutation($input: set_task_run_states_input!) {
    set_task_run_states(input: $input) {
        states { status message id }
    }
}
"""
SET_STATE_CAMEL = """
mutation($input: setTaskRunStatesInput!) {
    setTaskRunStates(input: $input) {
        states { status message id }
    }
}
"""
LABEL = """
mutation($label: String!, $limit: Int!) {
    update_flow_concurrency_limit(input: { label: $label, limit: $limit }) { id }
}
"""
RUN = """
mutation($flow: UUID!, $labels: [String!]) {
    create_flow_run(input: { flow_id: $flow, labels: $labels }) { id }
}
"""
SET_FLOW_STATE = """
mutation($input: set_flow_run_states_input!) {
    set_flow_run_states(input: $input) { states { id status message } }
}
"""


@pytest.fixture(scope="module")
async def api(stack: Stack) -> AsyncIterator[Gql]:
    async with all_services(stack) as gateway, Gql(f"http://127.0.0.1:{gateway.port}") as gql:
        yield gql


@pytest.fixture(scope="module")
async def flow_id(api: Gql) -> str:
    project = await api('mutation { create_project(input: { name: "limits" }) { id } }')
    made = await api(
        "mutation($flow: JSON!, $project: UUID!) {"
        " create_flow(input: { serialized_flow: $flow, project_id: $project }) { id } }",
        flow=a_flow("limited", tasks=[]) | {"tasks": [a_task("load-1", tags=["database"])]},
        project=project["create_project"]["id"],
    )
    found: str = made["create_flow"]["id"]
    return found


async def set_flow_state(api: Gql, run_id: str, state: str) -> dict[str, Any]:
    given = {"states": [{"flow_run_id": run_id, "state": {"type": state}}]}
    answer: dict[str, Any] = (await api(SET_FLOW_STATE, input=given))["set_flow_run_states"]
    return dict(answer["states"][0])


async def test_a_tag_limit_in_the_dialect_of_core_0_10_to_1_4(api: Gql) -> None:
    made = (await api(UPDATE, input={"tag": "snake", "limit": 3}))["update_task_tag_limit"]["id"]
    again = (await api(UPDATE, input={"tag": "snake", "limit": 0}))["update_task_tag_limit"]["id"]
    assert again == made
    assert (await api(READ % "snake"))["task_tag_limit"] == [{"limit": 0}]

    for success in (True, False):
        done = await api(DELETE, input={"limit_id": made})
        assert done == {"delete_task_tag_limit": {"success": success}}
    assert (await api(READ % "snake"))["task_tag_limit"] == []


async def test_a_tag_limit_in_the_dialect_of_core_0_8_and_0_9(api: Gql) -> None:
    made = (await api(UPDATE_CAMEL, input={"tag": "camel", "limit": 3}))["updateTaskTagLimit"]
    assert (await api(READ % "camel"))["task_tag_limit"] == [{"limit": 3}]

    done = await api(DELETE_CAMEL, input={"limitId": made["id"]})

    assert done == {"deleteTaskTagLimit": {"success": True}}
    assert (await api(READ % "camel"))["task_tag_limit"] == []


async def test_both_kinds_of_limits_as_the_web_ui_names_them(api: Gql) -> None:
    made = await api(
        'mutation { flow: update_flow_concurrency_limit(input: { label: "ui", limit: 2 }) { id }'
        ' task: update_task_concurrency_limit(input: { name: "ui", limit: 4 }) { id } }'
    )
    shown = await api(
        'query { flow_concurrency_limit(where: { name: { _eq: "ui" } }) { id limit name }'
        ' task_concurrency_limit(where: { name: { _eq: "ui" } }) { id limit name }'
        ' flow_concurrency(labels: ["ui", "unknown"]) { label usage }'
        ' task_concurrency(names: ["ui"]) { name usage } }'
    )
    assert shown == {
        "flow_concurrency_limit": [{"id": made["flow"]["id"], "limit": 2, "name": "ui"}],
        "task_concurrency_limit": [{"id": made["task"]["id"], "limit": 4, "name": "ui"}],
        "flow_concurrency": [{"label": "ui", "usage": 0}, {"label": "unknown", "usage": 0}],
        "task_concurrency": [{"name": "ui", "usage": 0}],
    }

    done = await api(
        "mutation($flow: UUID!, $task: UUID!) {"
        " delete_flow_concurrency_limit(input: { limit_id: $flow }) { success }"
        " delete_task_concurrency_limit(input: { limit_id: $task }) { success } }",
        flow=made["flow"]["id"],
        task=made["task"]["id"],
    )
    assert done == {
        "delete_flow_concurrency_limit": {"success": True},
        "delete_task_concurrency_limit": {"success": True},
    }


async def test_a_limit_below_zero_is_refused_in_a_sentence(api: Gql) -> None:
    [error] = await api.errors(UPDATE, input={"tag": "x", "limit": -1})

    assert error["message"] == "limit: Concurrency limits must be >= 0"
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_changes_of_limits_are_in_the_audit_trail(api: Gql) -> None:
    made = (await api(LABEL, label="audited", limit=1))["update_flow_concurrency_limit"]["id"]
    await api(
        "mutation($id: UUID!) { delete_flow_concurrency_limit(input: { limit_id: $id }) { success } }",
        id=made,
    )

    trail = await api(
        "query { audit_log(order_by: { timestamp: asc }) { message object_id info } }"
    )
    lines = [
        line
        for line in trail["audit_log"]
        if made in (line["object_id"], (line["info"] or {}).get("limit_id"))
    ]
    assert [line["message"] for line in lines] == [
        "update_flow_concurrency_limit",
        "delete_flow_concurrency_limit",
    ]


async def test_a_full_tag_limit_answers_queued_in_both_dialects(api: Gql, flow_id: str) -> None:
    await api(UPDATE, input={"tag": "database", "limit": 1})
    run_id = (await api(RUN, flow=flow_id, labels=[]))["create_flow_run"]["id"]
    task_id = (await api(f'{{ task(where: {{ flow_id: {{ _eq: "{flow_id}" }} }}) {{ id }} }}'))[
        "task"
    ][0]["id"]
    await set_flow_state(api, run_id, "Running")
    ids = [
        (
            await api(
                "mutation($r: UUID!, $t: UUID!, $m: Int) { get_or_create_task_run_info("
                "input: { flow_run_id: $r, task_id: $t, map_index: $m }) { id } }",
                r=run_id, t=task_id, m=index,
            )
        )["get_or_create_task_run_info"]["id"]
        for index in range(3)
    ]  # fmt: skip
    running = {"type": "Running", "context": {"tags": ["database"]}}

    first, second = [
        (await api(SET_STATE, input={"states": [{"task_run_id": id_, "state": running}]}))[
            "set_task_run_states"
        ]["states"][0]
        for id_ in ids[:2]
    ]
    third = (
        await api(SET_STATE_CAMEL, input={"states": [{"taskRunId": ids[2], "state": running}]})
    )["setTaskRunStates"]["states"][0]

    message = "Waiting for a slot: 1 task runs with the tag 'database' may run at once."
    assert first == {"id": ids[0], "status": "SUCCESS", "message": None}
    assert second == {"id": ids[1], "status": "QUEUED", "message": message}
    assert third == {"id": ids[2], "status": "QUEUED", "message": message}
    usage = await api(
        'query { task_concurrency(names: ["database"]) { name usage limit waiting } }'
    )
    assert usage["task_concurrency"] == [{"name": "database", "usage": 1, "limit": 1, "waiting": 2}]


async def test_a_full_label_limit_is_seen_by_agents_runners_and_people(
    api: Gql, flow_id: str
) -> None:
    await api(LABEL, label="gpu", limit=1)
    ids = [
        (await api(RUN, flow=flow_id, labels=["gpu"]))["create_flow_run"]["id"] for _ in range(3)
    ]
    queue = "mutation($input: get_runs_in_queue_input!) { get_runs_in_queue(input: $input) { flow_run_ids } }"
    asked = {"tenant_id": None, "labels": ["gpu"]}

    assert (await api(queue, input=asked))["get_runs_in_queue"]["flow_run_ids"] == ids[:1]
    assert (await set_flow_state(api, ids[0], "Submitted"))["status"] == "SUCCESS"
    assert (await api(queue, input=asked))["get_runs_in_queue"]["flow_run_ids"] == []
    given = {"states": [{"flow_run_id": ids[1], "state": {"type": "Submitted"}}]}
    [error] = await api.errors(SET_FLOW_STATE, input=given)
    assert error["message"].startswith(f"State update failed for run ID {ids[1]}: no slot is free.")
    assert (await set_flow_state(api, ids[2], "Running"))["status"] == "QUEUED"
    usage = await api("query { flow_concurrency { label usage limit waiting } }")
    assert {"label": "gpu", "usage": 1, "limit": 1, "waiting": 2} in usage["flow_concurrency"]
