"""Versions: who is a version of whom, how they are numbered, and what happens when many register at once."""

import asyncio

import pytest

from libs.contracts import registry as contracts
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime import faults
from services.registry.app import Registry
from services.registry.settings import RegistrySettings
from tests.integration.registry.office import Office
from tests.support.eventually import eventually
from tests.support.serialized_flows import a_flow, a_task


async def test_flows_of_the_same_name_and_project_are_versions_of_each_other(
    office: Office,
) -> None:
    first = await office.register(a_flow())
    second = await office.register(a_flow())

    assert second.flow_group_id == first.flow_group_id
    assert await office.versions(first.flow_group_id) == [(1, True), (2, False)]
    flow = await office.flow(second.id)
    group = await office.row("SELECT * FROM registry.flow_group WHERE id = $1", first.flow_group_id)
    assert flow["version_group_id"] == group["name"]
    assert await office.told(first.id) == {"registered": 1, "archived": 1}
    assert await office.told(second.id) == {"registered": 1}


async def test_flows_of_other_names_or_projects_are_not(office: Office) -> None:
    made = await office.do(
        contracts.CREATE_PROJECT,
        contracts.CreateProject(tenant_id=office.tenant_id, name="another"),
    )

    groups = {
        (await office.register(a_flow("a"))).flow_group_id,
        (await office.register(a_flow("b"))).flow_group_id,
        (await office.register(a_flow("a"), project_id=made.id)).flow_group_id,
    }

    assert len(groups) == 3


async def test_an_archived_flow_still_gives_its_group_to_the_next(office: Office) -> None:
    first = await office.register(a_flow())
    await office.on_flow(contracts.ARCHIVE_FLOW, first.id)

    second = await office.register(a_flow())

    assert (second.flow_group_id, second.version) == (first.flow_group_id, 2)


async def test_an_explicit_group_wins_over_the_name(office: Office) -> None:
    first = await office.register(a_flow("a"), version_group_id="shared")
    second = await office.register(a_flow("b"), version_group_id="shared")
    third = await office.register(a_flow("b"))

    assert second.flow_group_id == first.flow_group_id
    assert (third.flow_group_id, third.version) == (first.flow_group_id, 3)


async def test_an_empty_group_is_none(office: Office) -> None:
    first = await office.register(a_flow("a"), version_group_id="")
    second = await office.register(a_flow("b"), version_group_id="")

    assert first.flow_group_id != second.flow_group_id


async def test_tenants_never_meet_in_a_group(office: Office) -> None:
    stranger = await Office.open(office.stack, office.service)

    ours = await office.register(a_flow(), version_group_id="shared")
    theirs = await stranger.register(a_flow(), version_group_id="shared")

    assert theirs.flow_group_id != ours.flow_group_id
    assert theirs.version == 1
    assert (await office.flow(ours.id))["archived"] is False


async def test_a_project_of_another_tenant_is_no_project(office: Office) -> None:
    stranger = await Office.open(office.stack, office.service)

    refused = await office.refusal(
        contracts.REGISTER_FLOW, office.registration(a_flow(), project_id=stranger.project_id)
    )

    assert refused.code is Code.PROJECT_NOT_FOUND


async def test_a_deleted_version_does_not_free_its_number(office: Office) -> None:
    await office.register(a_flow())
    second = await office.register(a_flow())
    await office.on_flow(contracts.DELETE_FLOW, second.id)

    third = await office.register(a_flow())

    assert third.version == 3


@pytest.mark.parametrize(
    ("keys", "versions"),
    [
        (["k", "k"], [1, 1]),
        (["k", "other", "k"], [1, 2, 3]),
        (["k", None, "k"], [1, 2, 3]),
        ([None, None], [1, 2]),
        (["k", "other", "other"], [1, 2, 2]),
    ],
)
async def test_a_key_makes_one_version_as_long_as_it_is_the_last(
    office: Office, keys: list[str | None], versions: list[int]
) -> None:
    made = [await office.register(a_flow(), idempotency_key=key) for key in keys]

    assert [reply.version for reply in made] == versions
    assert [reply.existing for reply in made] == [
        version in versions[:index] for index, version in enumerate(versions)
    ]


async def test_a_key_makes_a_new_version_when_the_old_one_is_archived(office: Office) -> None:
    first = await office.register(a_flow(), idempotency_key="k")
    await office.on_flow(contracts.ARCHIVE_FLOW, first.id)

    second = await office.register(a_flow(), idempotency_key="k")

    assert (second.version, second.existing) == (2, False)


async def test_a_hundred_registrations_at_once_are_numbered_without_a_gap(office: Office) -> None:
    made = await asyncio.gather(*(office.register(a_flow()) for _ in range(100)))

    groups = await office.rows(
        "SELECT id FROM registry.flow_group WHERE tenant_id = $1", office.tenant_id
    )
    assert len(groups) == 1
    assert sorted(reply.version for reply in made) == list(range(1, 101))
    versions = await office.versions(groups[0]["id"])
    assert [version for version, _ in versions] == list(range(1, 101))
    assert [version for version, archived in versions if not archived] == [100]


async def test_a_hundred_registrations_of_one_key_make_one_version(office: Office) -> None:
    made = await asyncio.gather(
        *(office.register(a_flow(), idempotency_key="k") for _ in range(100))
    )

    assert len({reply.id for reply in made}) == 1
    assert sum(not reply.existing for reply in made) == 1
    assert (await office.everything())["flow"] == 1


async def test_registrations_into_one_explicit_group_are_numbered_too(office: Office) -> None:
    made = await asyncio.gather(
        *(office.register(a_flow(f"flow {n}"), version_group_id="shared") for n in range(40))
    )

    assert sorted(reply.version for reply in made) == list(range(1, 41))


async def test_registrations_archivings_and_pieces_at_once_all_succeed(office: Office) -> None:
    """Nobody waits in a circle, whatever they hold."""
    first = await office.register(a_flow())

    async def unarchive() -> None:
        await office.on_flow(contracts.UNARCHIVE_FLOW, first.id)

    async def settle() -> None:
        await office.do(
            contracts.SET_FLOW_SETTINGS,
            contracts.SetFlowSettings(
                tenant_id=office.tenant_id, flow_id=first.id, lazarus_enabled=False
            ),
        )

    async def register() -> None:
        await office.register(a_flow())

    async def add(n: int) -> None:
        answer = await office.add_tasks(first.id, [a_task(f"extra-{n}")])
        assert not isinstance(answer, Refused)

    await asyncio.gather(
        *(work() for _ in range(15) for work in (unarchive, settle, register)),
        *(add(n) for n in range(15)),
    )

    numbers = [version for version, _ in await office.versions(first.flow_group_id)]
    assert numbers == list(range(1, 17))
    assert len(await office.tasks(first.id)) == 2 + 15


async def test_two_replicas_number_versions_together(office: Office) -> None:
    replica = Registry(
        RegistrySettings(
            postgres_url=office.stack.postgres_url("registry"), nats_url=office.stack.nats_url
        )
    )
    await replica.start()
    try:
        made = await asyncio.gather(*(office.register(a_flow()) for _ in range(60)))
    finally:
        await replica.stop()

    assert sorted(reply.version for reply in made) == list(range(1, 61))
    unarchived = [v for v, archived in await office.versions(made[0].flow_group_id) if not archived]
    assert unarchived == [60]


async def test_connections_that_postgres_ends_are_replaced(office: Office) -> None:
    await office.register(a_flow())
    await office.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'headwater-registry' AND datname = current_database()"
    )

    async def registered() -> bool:
        answer = await office.ask(contracts.REGISTER_FLOW, office.registration(a_flow()))
        if isinstance(answer, Refused):
            assert answer.code is Code.UNAVAILABLE
            return False
        # More than the second, if a connection ended between a commit and its answer.
        return answer.version is not None and answer.version >= 2

    assert await eventually(registered, timeout=30)


async def test_a_registration_that_dies_before_its_commit_leaves_nothing(office: Office) -> None:
    first = await office.register(a_flow())
    before = await office.everything()
    faults.arm(faults.Point.REGISTRY_BEFORE_COMMIT, faults.fail)
    try:
        refused = await office.refusal(contracts.REGISTER_FLOW, office.registration(a_flow()))
    finally:
        faults.disarm()

    assert refused.code is Code.INTERNAL
    assert await office.everything() == before
    assert (await office.flow(first.id))["archived"] is False
    assert (await office.register(a_flow())).version == 2


async def test_a_registration_whose_answer_is_lost_is_found_again_by_its_key(
    office: Office,
) -> None:
    command = office.registration(a_flow(), idempotency_key="k")
    faults.arm(faults.Point.REGISTRY_AFTER_COMMIT_BEFORE_ANSWER, faults.fail)
    try:
        await office.refusal(contracts.REGISTER_FLOW, command)
    finally:
        faults.disarm()

    again = await office.do(contracts.REGISTER_FLOW, command)

    assert (again.version, again.existing) == (1, True)
    assert await office.told(again.id) == {"registered": 1}
