"""What running code reports over GraphQL is kept, whatever text it holds; and what it says of a run that has ended."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow
from tests.support.services import all_services

LOGS = "mutation($input: write_run_logs_input!) { write_run_logs(input: $input) { success error } }"
STATES = "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { status } } }"
FAILED = {"type": "Failed", "message": "m"}


@pytest.fixture(scope="module")
async def api(stack: Stack) -> AsyncIterator[Gql]:
    async with (
        all_services(stack) as gateway,
        Gql(f"http://127.0.0.1:{gateway.port}") as gql,
    ):
        yield gql


@pytest.fixture(scope="module")
async def flow_id(api: Gql) -> str:
    project = await api('mutation { create_project(input: {name: "reports"}) { id } }')
    made = await api(
        "mutation($input: create_flow_input!) { create_flow(input: $input) { id } }",
        input={"serialized_flow": a_flow(), "project_id": project["create_project"]["id"]},
    )
    found: str = made["create_flow"]["id"]
    return found


@pytest.fixture
async def run(api: Gql, flow_id: str) -> dict[str, str]:
    """A flow run that is Running, and one of its task runs."""
    made = await api(
        "mutation($id: UUID!) { create_flow_run(input: {flow_id: $id}) { id } }", id=flow_id
    )
    run_id: str = made["create_flow_run"]["id"]
    await api(STATES, input={"states": [{"flow_run_id": run_id, "state": {"type": "Running"}}]})
    found = await api(
        "query($id: uuid!) { flow_run_by_pk(id: $id) { task_runs(limit: 1) { id } } }", id=run_id
    )
    return {"id": run_id, "task_run_id": found["flow_run_by_pk"]["task_runs"][0]["id"]}


async def send(api: Gql, query: str, *, inner: bool, **variables: Any) -> dict[str, Any]:
    """Post as Python's json writes: ASCII with escapes, NaN as such; `inner` as Core does, variables as text."""
    given: Any = json.dumps(variables) if inner else variables
    async with httpx.AsyncClient(base_url=api.url, timeout=30) as http:
        answer = await http.post(
            "/graphql",
            content=json.dumps({"query": query, "variables": given}),
            headers={"content-type": "application/json"},
        )
    body: dict[str, Any] = answer.json()
    assert "errors" not in body, body
    return body["data"]  # type: ignore[no-any-return]


async def lines_of(api: Gql, run_id: str, count: int) -> list[dict[str, Any]]:
    async def kept() -> list[dict[str, Any]]:
        found = await api(
            "query($id: uuid!) { log(where: {flow_run_id: {_eq: $id}}, order_by: {timestamp: asc})"
            " { message level name info task_run_id } }",
            id=run_id,
        )
        return found["log"] if len(found["log"]) == count else []

    return await eventually(kept, timeout=30)


@pytest.mark.parametrize("inner", [True, False])
async def test_a_latin_1_file_name_costs_no_line_of_its_batch(
    api: Gql, run: dict[str, str], *, inner: bool
) -> None:
    lines: list[dict[str, Any]] = [
        {"message": "caf\udce9.txt\0", "name": "a\ud800", "level": "SUCCESS"},
        {"message": "x", "info": {"rate\udcff": [float("nan"), float("-inf")]}, "level": "ERROR"},
    ]

    await send(
        api,
        LOGS,
        inner=inner,
        input={"logs": [line | {"flow_run_id": run["id"]} for line in lines]},
    )

    first, second = sorted(await lines_of(api, run["id"], 2), key=lambda line: line["name"] or "")[
        ::-1
    ]
    assert (first["message"], first["name"], first["level"]) == ("caf�.txt�", "a�", "INFO")
    assert second["info"] == {"rate�": ["NaN", "-Infinity"]}


async def test_a_line_of_a_task_run_alone_is_its_flow_runs_and_one_of_a_run_that_is_gone_is_told(
    api: Gql, run: dict[str, str]
) -> None:
    gone = "0190a0a0-0000-7000-8000-00000000dead"
    lines: list[dict[str, Any]] = [
        {"flow_run_id": None, "task_run_id": run["task_run_id"], "message": "of a task"},
        {"flow_run_id": gone, "message": "of nobody"},
        {"flow_run_id": run["id"], "message": "of the run"},
    ]

    said = (await api(LOGS, input={"logs": lines}))["write_run_logs"]

    assert said == {
        "success": True,
        "error": "1 of 3 lines name a flow run that is not there; the others were taken.",
    }
    kept = await lines_of(api, run["id"], 2)
    assert {line["message"] for line in kept} == {"of a task", "of the run"}
    assert {line["task_run_id"] for line in kept} == {run["task_run_id"], None}


async def test_a_line_of_no_run_is_the_tenants(api: Gql) -> None:
    await api(LOGS, input={"logs": [{"flow_run_id": None, "message": "of no run"}]})

    async def kept() -> list[Any]:
        found: list[Any] = (
            await api('{ log(where: {message: {_eq: "of no run"}}) { flow_run_id } }')
        )["log"]
        return found

    assert await eventually(kept, timeout=30) == [{"flow_run_id": None}]


@pytest.mark.parametrize("inner", [True, False])
async def test_a_state_is_applied_whatever_its_message_holds(
    api: Gql, run: dict[str, str], *, inner: bool
) -> None:
    message = "row 7: a\0b \udce9 " + "x" * 3_000_000

    await send(
        api, STATES, inner=inner,
        input={"states": {"flow_run_id": run["id"], "state": FAILED | {"message": message}, "version": None}},
    )  # fmt: skip

    found = await api(
        "query($id: uuid!) { flow_run_by_pk(id: $id) { state state_message } }", id=run["id"]
    )
    assert found["flow_run_by_pk"]["state"] == "Failed"
    assert found["flow_run_by_pk"]["state_message"].startswith("row 7: a�b � xxx")
    assert "characters were cut here" in found["flow_run_by_pk"]["state_message"]


async def test_names_and_artifacts_take_what_code_gives_them(api: Gql, run: dict[str, str]) -> None:
    await send(
        api,
        "mutation($n: String!, $f: UUID!, $t: UUID!, $d: JSON!) {"
        " set_flow_run_name(input: {flow_run_id: $f, name: $n}) { success }"
        " set_task_run_name(input: {task_run_id: $t, name: $n}) { success }"
        " create_task_run_artifact(input: {task_run_id: $t, kind: $n, data: $d}) { id } }",
        inner=True, n="a\ud800\0", f=run["id"], t=run["task_run_id"], d={"markdown": "\udcff\0"},
    )  # fmt: skip

    found = await api(
        "query($id: uuid!, $t: uuid!) { flow_run_by_pk(id: $id) { name } task_run_by_pk(id: $t) { name } "
        " task_run_artifact(where: {task_run_id: {_eq: $t}}) { kind data } }",
        id=run["id"],
        t=run["task_run_id"],
    )
    assert found == {
        "flow_run_by_pk": {"name": "a��"},
        "task_run_by_pk": {"name": "a��"},
        "task_run_artifact": [{"kind": "a��", "data": {"markdown": "��"}}],
    }


async def test_a_write_without_a_version_is_a_persons_and_is_recorded_with_who_it_was(
    stack: Stack, api: Gql, run: dict[str, str]
) -> None:
    """Core sends `version` with every state, as null where it does not care; people leave it out."""
    literal = (
        f'mutation {{ set_flow_run_states(input: {{states: [{{flow_run_id: "{run["id"]}",'
        r' state: "{\"type\": \"Cancelled\"}"}]}) { states { status } } }'
    )
    await api(STATES, input={"states": [{"flow_run_id": run["id"], "state": FAILED}]})
    success = {"flow_run_id": run["id"], "state": {"type": "Success"}}

    refused = await api.errors(STATES, input={"states": [success | {"version": None}]})
    for _ in range(2):  # by graphql-core, then by the compiled plan
        await api(STATES, input={"states": [success]})
        await api(literal)

    assert refused[0]["message"].startswith("State update failed for run ID")
    assert refused[0]["message"].endswith(
        "has already finished as Failed. Who means to change that names its version, 3, or leaves `version` out;"
        " a restart is the state Scheduled."
    )
    rows = await stack.admin_pool.fetch(
        "SELECT actor, info FROM gateway.audit_log WHERE message = 'set_flow_run_states' AND object_id = $1"
        " ORDER BY timestamp, id",
        run["id"],
    )
    assert [row["info"]["state"] for row in rows] == ["Success", "Cancelled"] * 2
    assert all(row["actor"] for row in rows)
