"""What clients put on the wire beside their documents: headers, sizes, nulls, single objects."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import nats
import pytest
from nats.aio.msg import Msg

from libs.runtime.clock import utc_now
from libs.runtime.database import Database
from libs.runtime.ids import new_id
from services.gateway.lease_checks import LeaseClaim
from services.gateway.store import Store, runs
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow
from tests.support.services import all_services


@pytest.fixture(scope="module")
async def api(stack: Stack) -> AsyncIterator[Gql]:
    async with all_services(stack) as gateway, Gql(f"http://127.0.0.1:{gateway.port}") as gql:
        yield gql


@pytest.fixture(scope="module")
async def run_id(api: Gql) -> str:
    """A run of a flow of two tasks."""
    project = await api('mutation { create_project(input: {name: "wire"}) { id } }')
    flow = await api(
        "mutation($input: create_flow_input!) { create_flow(input: $input) { id } }",
        input={"project_id": project["create_project"]["id"], "serialized_flow": a_flow()},
    )
    run = await api(
        "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }",
        input={"flow_id": flow["create_flow"]["id"]},
    )
    found: str = run["create_flow_run"]["id"]
    return found


@pytest.mark.parametrize(
    "headers",
    [
        {"x-prefect-core-version": "1.4.1", "x-prefect-nebula": "no such thing"},
        {"x-prefect-core-version": "not a version", "x-prefect-agent-id": "null"},
        {"x-prefect-heartbeat-id": "x", "authorization": "Bearer any"},
    ],
)
async def test_unknown_headers_change_nothing(api: Gql, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        answer = await client.post("/", json={"query": "query { hello }"}, headers=headers)

    assert answer.json() == {"data": {"hello": "👋"}}


async def test_a_request_of_ten_megabytes_is_taken(api: Gql, run_id: str) -> None:
    line = {"flow_run_id": run_id, "message": "x" * 999_000, "level": "INFO", "name": "large"}

    written = await api(
        "mutation($input: write_run_logs_input!) { write_run_logs(input: $input) { success } }",
        input={"logs": [line | {"name": f"large {n}"} for n in range(11)]},
    )

    assert written["write_run_logs"]["success"] is True

    async def kept() -> bool:
        found = await api(
            'query($id: uuid!) { log_aggregate(where: {flow_run_id: {_eq: $id}, name: {_like: "large%"}})'
            " { aggregate { count } } }",
            id=run_id,
        )
        return bool(found["log_aggregate"]["aggregate"]["count"] == 11)

    await eventually(kept, timeout=30)


async def test_a_line_without_a_moment_gets_ours_and_one_object_is_a_batch(
    api: Gql, run_id: str
) -> None:
    """What `prefect execute flow-run` sends when it cannot load the flow."""
    before = utc_now()

    await api(
        "mutation($input: write_run_logs_input!) { write_run_logs(input: $input) { success } }",
        input={
            "logs": {
                "flow_run_id": run_id,
                "name": "execute",
                "message": "it broke",
                "level": "ERROR",
            }
        },
    )

    async def kept() -> dict[str, Any]:
        found = await api(
            'query($id: uuid!) { log(where: {flow_run_id: {_eq: $id}, name: {_eq: "execute"}})'
            " { message level timestamp task_run_id } }",
            id=run_id,
        )
        (line,) = found["log"]
        answer: dict[str, Any] = line
        return answer

    line = await eventually(kept, timeout=30)
    assert (line["message"], line["level"], line["task_run_id"]) == ("it broke", "ERROR", None)
    timestamp = datetime.fromisoformat(line["timestamp"])
    assert abs(timestamp - before) < timedelta(minutes=1)


async def test_a_line_keeps_the_task_run_of_its_own_flow_run_only(api: Gql, run_id: str) -> None:
    """Any id was taken: lines showed below task runs of other runs, and of nobody's."""
    shown = "query($id: uuid!) { flow_run_by_pk(id: $id) { flow_id flow { tasks { id } } } }"
    run = (await api(shown, id=run_id))["flow_run_by_pk"]
    task = run["flow"]["tasks"][0]["id"]
    make = "mutation($f: UUID!) { create_flow_run(input: {flow_id: $f}) { id } }"
    other_run = (await api(make, f=run["flow_id"]))["create_flow_run"]["id"]
    get = (
        "mutation($r: UUID!, $t: UUID!) {"
        " get_or_create_task_run(input: {flow_run_id: $r, task_id: $t}) { id } }"
    )
    own, other = [
        (await api(get, r=run, t=task))["get_or_create_task_run"]["id"]
        for run in (run_id, other_run)
    ]
    nobody = str(new_id())
    write = "mutation($input: write_run_logs_input!) { write_run_logs(input: $input) { success } }"

    # Twice: what was found to belong together is remembered.
    for turn in ("first", "second"):
        await api(
            write,
            input={
                "logs": [
                    {"flow_run_id": run_id, "task_run_id": task_run, "message": f"{turn} {word}"}
                    for word, task_run in [("own", own), ("other", other), ("nobody", nobody)]
                ]
            },
        )

    async def all_six() -> dict[str, str | None]:
        found = await api(
            'query($id: uuid!) { log(where: {flow_run_id: {_eq: $id}, message: {_regex: "^(first|second) "}})'
            " { message task_run_id } }",
            id=run_id,
        )
        lines = {line["message"]: line["task_run_id"] for line in found["log"]}
        assert len(lines) == 6
        return lines

    lines = await eventually(all_six, timeout=30)
    assert lines == {
        f"{turn} {word}": own if word == "own" else None
        for turn in ("first", "second")
        for word in ("own", "other", "nobody")
    }


async def test_agents_of_every_year_find_what_they_ask_before_they_start(api: Gql) -> None:
    asked = await api(
        "query { hello auth_info { api_token_scope tenant_id } authInfo { apiTokenScope } tenant { id } }"
    )

    assert asked["auth_info"]["api_token_scope"] == "RUNNER"
    assert asked["authInfo"] == {"apiTokenScope": "RUNNER"}
    # Clients compare the two as strings.
    assert asked["tenant"] == [{"id": str(UUID(asked["auth_info"]["tenant_id"]))}]


async def test_an_agent_registers_with_nothing_but_nulls(api: Gql) -> None:
    made = await api(
        "mutation($input: register_agent_input!) { register_agent(input: $input) { id } }",
        input={
            "type": "LocalAgent",
            "name": None,
            "labels": None,
            "tenant_id": None,
            "agent_config_id": None,
        },
    )

    assert UUID(made["register_agent"]["id"])


async def test_a_ping_of_a_process_that_lost_its_run_vouches_for_nobody(
    stack: Stack, api: Gql, run_id: str
) -> None:
    """It says yes all the same: what an orphaned process pings must stay harmless."""
    mine, other = new_id(), new_id()
    await stack.admin_pool.execute(
        "UPDATE runs.flow_run SET lease_token = $2 WHERE id = $1", UUID(run_id), mine
    )
    ping = f'mutation {{ update_flow_run_heartbeat(input: {{flow_run_id: "{run_id}"}}) {{ success }} }}'
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        heard.append(message.subject.rpartition(".")[2])

    async with await nats.connect(stack.nats_url) as listener:
        await listener.subscribe("hw.beat.>", cb=hear)
        await listener.flush()
        answers = [
            await api.post({"query": ping}, path=path)
            for path in (
                f"/lease/{run_id}/{other}",
                f"/lease/{new_id()}/{other}",
                f"/lease/{run_id}/{mine}",
                "/",
            )
        ]
        await eventually(lambda: len(heard) == 3)

    assert heard == [run_id] * 3
    assert [a.json() for a in answers] == [
        {"data": {"update_flow_run_heartbeat": {"success": True}}}
    ] * 4


async def test_a_ping_waits_briefly_where_every_connection_hangs(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_LEASE_WITHIN", 0.1)
    database = Database(stack.postgres_url("gateway"), pool_size=1, name="test")
    await database.connect()

    async with database.pool.acquire():
        with pytest.raises(TimeoutError):
            await Store(database).held([LeaseClaim(new_id(), new_id(), new_id())])

    await database.close()
