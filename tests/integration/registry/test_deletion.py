"""Deletion: every dependent row goes, in transactions of a bounded size, and the ledger is told of every flow."""

import asyncio
from typing import Any
from uuid import UUID

from libs.contracts import registry as contracts
from libs.contracts.base import Applied, Refused
from libs.runtime import faults
from libs.runtime.ids import new_id
from tests.integration.registry.office import Office
from tests.support.serialized_flows import a_flow


async def delete_project(office: Office, project_id: UUID) -> Applied | Refused:
    """Delete a project."""
    return await office.ask(
        contracts.DELETE_PROJECT,
        contracts.DeleteProject(tenant_id=office.tenant_id, project_id=project_id),
    )


async def delete_group(office: Office, flow_group_id: UUID) -> Applied | Refused:
    """Delete a group."""
    return await office.ask(
        contracts.DELETE_FLOW_GROUP,
        contracts.DeleteFlowGroup(tenant_id=office.tenant_id, flow_group_id=flow_group_id),
    )


async def test_a_flow_goes_with_its_tasks_and_edges_but_its_group_stays(office: Office) -> None:
    made = await office.register(a_flow())

    answer = await office.on_flow(contracts.DELETE_FLOW, made.id)
    again = await office.on_flow(contracts.DELETE_FLOW, made.id)

    assert (answer, again) == (Applied(id=made.id), Applied(success=False))
    assert await office.everything() == {
        "project": 1, "flow_group": 1, "flow": 0, "task": 0, "edge": 0,
    }  # fmt: skip
    assert (await office.told(made.id))["deleted"] == 1


async def test_a_project_goes_with_all_its_flows(office: Office) -> None:
    made = [await office.register(a_flow(f"flow {n}")) for n in range(3)]

    answer = await delete_project(office, office.project_id)

    left = await office.everything()
    assert answer == Applied(id=office.project_id)
    assert left == {"project": 0, "flow_group": 3, "flow": 0, "task": 0, "edge": 0}
    for flow in made:
        assert (await office.told(flow.id))["deleted"] == 1
    assert (await office.told(office.project_id, "project"))["deleted"] == 1


async def test_a_group_goes_with_all_its_versions_and_no_other(office: Office) -> None:
    first = await office.register(a_flow("a"))
    second = await office.register(a_flow("a"))
    await office.register(a_flow("b"))

    answer = await delete_group(office, first.flow_group_id)

    left = await office.everything()
    assert answer == Applied(id=first.flow_group_id)
    assert left == {"project": 1, "flow_group": 1, "flow": 1, "task": 2, "edge": 1}
    for flow in (first, second):
        assert (await office.told(flow.id))["deleted"] == 1
    assert await office.told(first.flow_group_id, "flow_group") == {"deleted": 1}


async def test_what_another_tenant_has_is_not_there(office: Office) -> None:
    stranger = await Office.open(office.stack, office.service)
    theirs = await stranger.register(a_flow())
    before = await stranger.everything()
    not_found = Applied(success=False)

    assert await office.on_flow(contracts.DELETE_FLOW, theirs.id) == not_found
    assert await delete_project(office, stranger.project_id) == not_found
    assert await delete_group(office, theirs.flow_group_id) == not_found
    assert await delete_project(office, new_id()) == not_found
    assert await delete_group(office, new_id()) == not_found
    assert await stranger.everything() == before


async def test_a_group_of_many_versions_goes_in_batches(office: Office) -> None:
    for _ in range(120):
        made = await office.register(a_flow())
    batches: list[None] = []

    async def count() -> None:
        batches.append(None)

    faults.arm(faults.Point.REGISTRY_BEFORE_COMMIT, count)
    try:
        await delete_group(office, made.flow_group_id)
    finally:
        faults.disarm()

    assert (await office.everything())["flow"] == 0
    assert len(batches) == 1 + 3 + 1  # it is there; 50, 50 and 20 flows; the group


async def test_a_large_flow_is_a_batch_of_its_own(office: Office) -> None:
    for name in ("a", "b", "c"):
        tasks = [f"t-{n}" for n in range(3000)]
        await office.register(a_flow(name, tasks=tasks, edges=[]))
    batches: list[None] = []

    async def count() -> None:
        batches.append(None)

    faults.arm(faults.Point.REGISTRY_BEFORE_COMMIT, count)
    try:
        await delete_project(office, office.project_id)
    finally:
        faults.disarm()

    assert (await office.everything())["task"] == 0
    assert len(batches) == 1 + 2 + 1  # it is there; two flows, one flow; the project


async def test_other_work_goes_on_in_the_midst_of_a_deletion(office: Office) -> None:
    """A batch of a deletion is held up before it commits, with all its locks; nobody else waits for it."""
    for n in range(60):
        await office.register(a_flow(f"doomed {n}"))
    elsewhere = await office.do(
        contracts.CREATE_PROJECT,
        contracts.CreateProject(tenant_id=office.tenant_id, name="elsewhere"),
    )
    kept = await office.register(a_flow("kept"), project_id=elsewhere.id)
    rounds: list[None] = []
    in_the_midst, go_on = asyncio.Event(), asyncio.Event()

    async def hold_the_first_batch() -> None:
        rounds.append(None)
        if len(rounds) == 2:
            in_the_midst.set()
            await go_on.wait()

    faults.arm(faults.Point.REGISTRY_BEFORE_COMMIT, hold_the_first_batch)
    try:
        deletion = asyncio.create_task(delete_project(office, office.project_id))
        await in_the_midst.wait()
        again = await office.register(a_flow("kept"), project_id=elsewhere.id)
        archived = await office.on_flow(contracts.ARCHIVE_FLOW, again.id)
        still_there = await office.everything()
        go_on.set()
        deleted = await deletion
    finally:
        go_on.set()
        faults.disarm()

    assert (kept.version, again.version) == (1, 2)
    assert archived.success
    assert still_there["flow"] == 62
    assert deleted == Applied(id=office.project_id)
    assert (await office.everything())["flow"] == 2


async def test_a_deletion_that_was_cut_short_is_finished_by_asking_again(office: Office) -> None:
    for _ in range(60):
        made = await office.register(a_flow())
    rounds: list[None] = []

    async def fail_later() -> None:
        rounds.append(None)
        if len(rounds) == 3:
            await faults.fail()

    faults.arm(faults.Point.REGISTRY_BEFORE_COMMIT, fail_later)
    try:
        cut_short = await delete_group(office, made.flow_group_id)
    finally:
        faults.disarm()
    between = await office.everything()
    finished = await delete_group(office, made.flow_group_id)

    assert isinstance(cut_short, Refused)
    assert between == {"project": 1, "flow_group": 1, "flow": 10, "task": 20, "edge": 10}
    assert finished == Applied(id=made.flow_group_id)
    assert (await office.everything())["flow"] == 0


async def test_registrations_into_a_project_that_is_deleted_find_it_or_are_refused(
    office: Office,
) -> None:
    for n in range(5):
        await office.register(a_flow(f"before {n}"))

    async def register(n: int) -> Any:
        return await office.ask(contracts.REGISTER_FLOW, office.registration(a_flow(f"during {n}")))

    answers = await asyncio.gather(
        delete_project(office, office.project_id),
        *(register(n) for n in range(30)),
        delete_project(office, office.project_id),
    )

    left = await office.everything()
    assert (left["project"], left["flow"], left["task"], left["edge"]) == (0, 0, 0, 0)
    for answer in answers[1:-1]:
        if not isinstance(answer, Refused):
            assert (await office.told(answer.id))["deleted"] == 1
