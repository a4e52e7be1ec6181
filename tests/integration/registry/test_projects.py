"""Projects: made, renamed, and flows that move between them."""

import asyncio
from uuid import UUID

import pytest

from libs.contracts import registry as contracts
from libs.contracts.base import Applied, Refused
from libs.contracts.errors import Code
from libs.runtime.ids import new_id
from tests.integration.registry.office import Office
from tests.support.serialized_flows import a_flow


async def create(office: Office, name: str, **fields: str) -> Applied | Refused:
    """Make a project."""
    return await office.ask(
        contracts.CREATE_PROJECT,
        contracts.CreateProject(tenant_id=office.tenant_id, name=name, **fields),
    )


async def made(office: Office, name: str) -> UUID:
    """Make a project that must be made."""
    answer = await create(office, name)
    assert isinstance(answer, Applied)
    assert answer.id is not None
    return answer.id


async def test_a_project_is_made_once_in_a_tenant(office: Office) -> None:
    answers = await asyncio.gather(*(create(office, "once") for _ in range(20)))

    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert len(refused) == 19
    assert {answer.code for answer in refused} == {Code.UNIQUENESS_VIOLATION}


async def test_flows_of_clients_without_projects_share_the_default_project(office: Office) -> None:
    flows = await asyncio.gather(
        *(
            office.register(a_flow(name=f"homeless {n % 2}"), project_id=None, default_project=True)
            for n in range(8)
        )
    )

    rows = await office.stack.admin_pool.fetch(
        "SELECT p.name AS project, f.name, f.version FROM registry.flow f"
        " JOIN registry.project p ON p.id = f.project_id WHERE f.id = ANY($1) ORDER BY 2, 3",
        [flow.id for flow in flows],
    )
    assert [tuple(row) for row in rows] == [
        ("default", name, version)
        for name in ("homeless 0", "homeless 1")
        for version in (1, 2, 3, 4)
    ]


async def test_a_default_project_does_not_stand_in_for_a_wrong_one(office: Office) -> None:
    refused = await office.refusal(
        contracts.REGISTER_FLOW,
        office.registration(a_flow(), project_id=new_id(), default_project=True),
    )

    assert refused.code is Code.PROJECT_NOT_FOUND


async def test_two_tenants_may_use_one_name(office: Office) -> None:
    stranger = await Office.open(office.stack, office.service)

    assert await made(office, "same") != await made(stranger, "same")


async def test_a_project_of_an_unknown_tenant_is_refused(office: Office) -> None:
    refused = await office.refusal(
        contracts.CREATE_PROJECT, contracts.CreateProject(tenant_id=new_id(), name="lost")
    )

    assert refused.code is Code.TENANT_NOT_FOUND


@pytest.mark.parametrize("name", ["", " ", "a\0b", "x" * 501])
async def test_a_bad_name_is_refused(office: Office, name: str) -> None:
    answer = await create(office, name)

    assert isinstance(answer, Refused)
    assert answer.code is Code.INVALID
    assert answer.fields["reason"].startswith("name: ")


async def test_a_project_is_renamed_and_described(office: Office) -> None:
    answer = await office.do(
        contracts.UPDATE_PROJECT,
        contracts.UpdateProject(
            tenant_id=office.tenant_id,
            project_id=office.project_id,
            changes={"name": "renamed", "description": "d"},
        ),
    )
    cleared = await office.do(
        contracts.UPDATE_PROJECT,
        contracts.UpdateProject(
            tenant_id=office.tenant_id, project_id=office.project_id, changes={"description": None}
        ),
    )

    row = await office.row("SELECT * FROM registry.project WHERE id = $1", office.project_id)
    assert answer == cleared == Applied(id=office.project_id)
    assert (row["name"], row["description"]) == ("renamed", None)
    assert await office.told(office.project_id, "project") == {"created": 1, "changed": 2}


async def test_a_name_that_is_taken_is_refused(office: Office) -> None:
    await made(office, "taken")

    refused = await office.refusal(
        contracts.UPDATE_PROJECT,
        contracts.UpdateProject(
            tenant_id=office.tenant_id, project_id=office.project_id, changes={"name": "taken"}
        ),
    )

    assert refused == Refused(code=Code.PROJECT_NAME_TAKEN, fields={"name": "taken"})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": None}, Code.INVALID),
        ({"name": ""}, Code.INVALID),
        ({"tenant_id": "x"}, Code.INVALID),
        ({"description": "\0"}, Code.INVALID),
    ],
)
async def test_a_bad_change_is_refused(
    office: Office, changes: dict[str, str | None], code: Code
) -> None:
    refused = await office.refusal(
        contracts.UPDATE_PROJECT,
        contracts.UpdateProject(
            tenant_id=office.tenant_id, project_id=office.project_id, changes=changes
        ),
    )

    assert refused.code is code


async def test_an_unknown_project_cannot_be_changed(office: Office) -> None:
    stranger = await Office.open(office.stack, office.service)

    for project_id in (new_id(), stranger.project_id):
        refused = await office.refusal(
            contracts.UPDATE_PROJECT,
            contracts.UpdateProject(
                tenant_id=office.tenant_id, project_id=project_id, changes={"name": "mine"}
            ),
        )
        assert refused == Refused(code=Code.UPDATE_FAILED, fields={"project_id": str(project_id)})


async def test_a_flow_moves_to_another_project_of_its_tenant(office: Office) -> None:
    flow = await office.register(a_flow())
    other = await made(office, "other")

    answer = await office.do(
        contracts.MOVE_FLOW,
        contracts.MoveFlow(tenant_id=office.tenant_id, flow_id=flow.id, project_id=other),
    )

    assert answer == Applied(id=flow.id)
    assert (await office.flow(flow.id))["project_id"] == other
    assert (await office.told(flow.id))["moved"] == 1


async def test_a_flow_does_not_move_to_another_tenant(office: Office) -> None:
    stranger = await Office.open(office.stack, office.service)
    ours = await office.register(a_flow())
    theirs = await stranger.register(a_flow())

    for flow_id, project_id in (
        (ours.id, stranger.project_id),
        (theirs.id, office.project_id),
        (new_id(), office.project_id),
        (ours.id, new_id()),
    ):
        refused = await office.refusal(
            contracts.MOVE_FLOW,
            contracts.MoveFlow(tenant_id=office.tenant_id, flow_id=flow_id, project_id=project_id),
        )
        assert refused.code is Code.FLOW_OR_PROJECT_INVALID
    assert (await office.flow(ours.id))["project_id"] == office.project_id
