"""Every example of the founding document, verbatim but for the ids, against all services on real engines."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow, a_schedule, an_interval
from tests.support.services import all_services

CREATE_FLOW = """
mutation($flow: JSON!) {
  createFlow(input: { serializedFlow: $flow, projectId: "<project id>" }) {
    id
  }
}
"""
ARCHIVE = """
mutation {
  archiveFlow(input: { flowId: "your-flow-id-here" }) {
    id
  }
}
"""
UNARCHIVE = ARCHIVE.replace("archiveFlow", "unarchiveFlow")
DISABLE_HEARTBEAT = """
mutation {
  disableFlowHeartbeat(input: { flowId: "your-flow-id-here", value: true }) {
    success
  }
}
"""
DISABLE_LAZARUS = DISABLE_HEARTBEAT.replace("disableFlowHeartbeat", "disableLazarusForFlow")
LOCK_VERSIONS = """
mutation {
  enableFlowVersionLocking(
    input: { flowId: "your-flow-id-here", value: true }
  ) {
    success
  }
}
"""


@pytest.fixture(scope="module")
async def api(stack: Stack) -> AsyncIterator[Gql]:
    async with all_services(stack) as gateway, Gql(f"http://127.0.0.1:{gateway.port}") as gql:
        yield gql


@pytest.fixture(scope="module")
async def project_id(api: Gql) -> str:
    made = await api('mutation { createProject(input: { name: "founding" }) { id } }')
    found: str = made["createProject"]["id"]
    return found


async def register(api: Gql, project_id: str, flow: dict[str, Any]) -> str:
    made = await api(CREATE_FLOW.replace("<project id>", project_id), flow=flow)
    flow_id: str = made["createFlow"]["id"]
    return str(UUID(flow_id))


def about(document: str, flow_id: str) -> str:
    return document.replace("your-flow-id-here", flow_id)


async def flow_row(api: Gql, flow_id: str) -> dict[str, Any]:
    data = await api(
        "query($id: uuid!) { flow_by_pk(id: $id)"
        " { name version archived is_schedule_active version_group_id settings"
        " flow_group { id settings } tasks { slug } } }",
        id=flow_id,
    )
    row: dict[str, Any] = data["flow_by_pk"]
    return row


async def test_a_serialized_flow_is_registered_with_its_tasks(api: Gql, project_id: str) -> None:
    flow_id = await register(api, project_id, a_flow("registered"))

    row = await flow_row(api, flow_id)
    assert row["name"] == "registered"
    assert row["version"] == 1
    assert row["archived"] is False
    assert row["tasks"]


@pytest.mark.parametrize("times", [1, 2], ids=["read", "from its plan"])
async def test_the_variables_are_named_as_the_document_lists_them(
    api: Gql, project_id: str, times: int
) -> None:
    """It declares `$flow` and lists `serializedFlow` under "graphql variables"."""
    document = CREATE_FLOW.replace("<project id>", project_id)

    for _ in range(times):
        made = await api(document, serializedFlow=a_flow(f"listed {times}"))

    row = await flow_row(api, made["createFlow"]["id"])
    assert (row["name"], row["version"]) == (f"listed {times}", times)


async def test_a_second_registration_is_a_version_of_the_first_and_archives_it(
    api: Gql, project_id: str
) -> None:
    first = await register(api, project_id, a_flow("versions"))
    second = await register(api, project_id, a_flow("versions"))

    old, new = await flow_row(api, first), await flow_row(api, second)
    assert (old["version"], new["version"]) == (1, 2)
    assert old["version_group_id"] == new["version_group_id"]
    assert (old["archived"], new["archived"]) == (True, False)


async def test_a_version_group_id_makes_flows_of_other_names_versions_of_each_other(
    api: Gql, project_id: str
) -> None:
    document = CREATE_FLOW.replace(
        'projectId: "<project id>"', f'projectId: "{project_id}", versionGroupId: "my-group"'
    )
    first = await api(document, flow=a_flow("one name"))
    second = await api(document, flow=a_flow("another name"))

    new = await flow_row(api, second["createFlow"]["id"])
    old = await flow_row(api, first["createFlow"]["id"])
    assert new["version"] == 2
    assert new["version_group_id"] == old["version_group_id"] == "my-group"


async def test_no_run_can_be_created_for_an_archived_flow_until_it_is_unarchived(
    api: Gql, project_id: str
) -> None:
    flow_id = await register(api, project_id, a_flow("archived"))
    create = f'mutation {{ create_flow_run(input: {{ flow_id: "{flow_id}" }}) {{ id }} }}'

    archived = await api(about(ARCHIVE, flow_id))
    errors = await api.errors(create)
    unarchived = await api(about(UNARCHIVE, flow_id))
    run = await api(create)

    assert archived == {"archiveFlow": {"id": flow_id}}
    assert errors[0]["message"] == f"Flow {flow_id} is archived."
    assert unarchived == {"unarchiveFlow": {"id": flow_id}}
    assert UUID(run["create_flow_run"]["id"])


async def test_archiving_pauses_the_schedule_and_unarchiving_restores_it(
    api: Gql, project_id: str
) -> None:
    flow_id = await register(
        api, project_id, a_flow("scheduled", schedule=a_schedule(an_interval()))
    )

    async def has_runs_ahead() -> bool:
        data = await api(
            "query($id: uuid!) { flow_run_aggregate(where: {flow_id: {_eq: $id}}) { aggregate { count } } }",
            id=flow_id,
        )
        return bool(data["flow_run_aggregate"]["aggregate"]["count"])

    async def has_none() -> bool:
        return not await has_runs_ahead()

    await eventually(has_runs_ahead, timeout=30)
    await api(about(ARCHIVE, flow_id))
    paused = await flow_row(api, flow_id)
    await eventually(has_none, timeout=30)
    await api(about(UNARCHIVE, flow_id))
    restored = await flow_row(api, flow_id)
    await eventually(has_runs_ahead, timeout=30)

    assert (paused["archived"], paused["is_schedule_active"]) == (True, False)
    assert (restored["archived"], restored["is_schedule_active"]) == (False, True)


async def test_archiving_cancels_the_runs_that_wait_and_says_why(api: Gql, project_id: str) -> None:
    flow_id = await register(api, project_id, a_flow("waiting"))
    made = await api(
        f'mutation {{ createFlowRun(input: {{ flowId: "{flow_id}" }}) {{ flow_run {{ id state }} }} }}'
    )
    run = made["createFlowRun"]["flow_run"]

    await api(about(ARCHIVE, flow_id))

    async def cancelled() -> bool:
        row = (
            await api(
                "query($id: uuid!) { flow_run_by_pk(id: $id) { state state_message } }",
                id=run["id"],
            )
        )["flow_run_by_pk"]
        return bool(row == {"state": "Cancelled", "state_message": f"Flow {flow_id} was archived."})

    assert run["state"] == "Scheduled"
    await eventually(cancelled, timeout=30)


@pytest.mark.parametrize(
    ("document", "setting", "when_true"),
    [
        (DISABLE_HEARTBEAT, "heartbeat_enabled", False),
        (DISABLE_LAZARUS, "lazarus_enabled", False),
        (LOCK_VERSIONS, "version_locking_enabled", True),
    ],
    ids=["heartbeat", "lazarus", "version locking"],
)
async def test_a_safeguard_is_toggled_and_toggled_back_where_clients_read_it(
    api: Gql,
    project_id: str,
    document: str,
    setting: str,
    when_true: bool,
) -> None:
    flow_id = await register(api, project_id, a_flow(f"safeguard {setting}"))

    on = await api(about(document, flow_id))
    after_true = await flow_row(api, flow_id)
    await api(about(document.replace("value: true", "value: false"), flow_id))
    after_false = await flow_row(api, flow_id)

    assert list(on.values()) == [{"success": True}]
    assert after_true["settings"][setting] is when_true
    assert after_true["flow_group"]["settings"][setting] is when_true
    assert after_false["settings"][setting] is not when_true
    assert after_false["flow_group"]["settings"][setting] is not when_true
