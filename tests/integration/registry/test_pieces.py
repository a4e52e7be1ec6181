"""Registration in pieces, as Core does it since 0.15.5: a version replaces another when it is whole, and not before."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.contracts import registry as contracts
from libs.contracts.base import Applied, Refused
from libs.contracts.errors import Code
from libs.runtime import faults
from services.registry import store
from tests.integration.registry.office import Office, upkeep
from tests.support.eventually import eventually
from tests.support.serialized_flows import (
    a_flow,
    a_schedule,
    a_task,
    an_edge,
    compressed,
    diamond,
    without_parts,
)

Json = dict[str, Any]
PIECE = 500


def a_diamond(**fields: Any) -> Json:
    """A flow of four tasks and four edges."""
    return a_flow(tasks=("a", "b", "c", "d"), **fields) | {"edges": diamond()}


async def send(office: Office, flow_id: UUID, serialized: Json) -> None:
    """Send a flow's tasks and edges in Core's way: full pieces until one is not."""
    for field, add in (("tasks", office.add_tasks), ("edges", office.add_edges)):
        parts = serialized[field]
        for start in range(0, len(parts) + 1, PIECE):
            assert await add(flow_id, parts[start : start + PIECE]) == Applied(id=flow_id)


async def register_in_pieces(office: Office, serialized: Json, **fields: Any) -> UUID:
    """Register a flow in Core's way."""
    flow_id = await office.begin(without_parts(serialized), **fields)
    await send(office, flow_id, serialized)
    return flow_id


async def numbers(office: Office) -> list[tuple[int, bool]]:
    """Version and archived of all flows of the tenant."""
    rows = await office.rows(
        "SELECT version, archived FROM registry.flow WHERE tenant_id = $1 ORDER BY version",
        office.tenant_id,
    )
    return [(row["version"], row["archived"]) for row in rows]


@pytest.mark.parametrize("reference_tasks", [[], [{"slug": "b"}]])
async def test_a_flow_in_pieces_becomes_the_same_as_a_whole_one(
    office: Office, reference_tasks: list[Json]
) -> None:
    serialized = a_diamond(reference_tasks=reference_tasks)
    whole = await office.register(serialized)

    flow_id = await office.begin(
        compressed_flow=compressed(without_parts(serialized)), description="every night"
    )
    pieces: list[list[Json]] = [serialized["tasks"][:3], serialized["tasks"][3:], []]
    for tasks in pieces:
        assert await office.add_tasks(flow_id, tasks) == Applied(id=flow_id)
    for edges in (diamond()[:1], diamond()[1:], []):
        assert await office.add_edges(flow_id, edges) == Applied(id=flow_id)

    flow = await office.flow(flow_id)
    assert flow["serialized_flow"] == serialized
    assert await office.shapes(flow_id) == await office.shapes(whole.id)
    assert (flow["version"], flow["description"]) == (2, "every night")
    assert flow["flow_group_id"] == whole.flow_group_id


@pytest.mark.parametrize("size", [0, 499, 500, 1001])
async def test_a_flow_of_any_size_is_whole_with_its_last_piece(office: Office, size: int) -> None:
    serialized = a_flow(tasks=[f"t-{n}" for n in range(size)])

    flow_id = await register_in_pieces(office, serialized)

    assert (await office.flow(flow_id))["serialized_flow"] == serialized
    assert len(await office.tasks(flow_id)) == size
    assert await office.drafts() == []
    assert await office.told(flow_id) == {"registered": 1}


async def test_the_version_before_is_in_force_until_the_last_piece_has_come(office: Office) -> None:
    before = await office.register(a_diamond())
    everything = await office.everything()

    flow_id = await office.begin(without_parts(a_diamond()))
    await office.add_tasks(flow_id, a_diamond()["tasks"])

    assert await office.versions(before.flow_group_id) == [(1, False)]
    assert await office.everything() == everything
    assert await office.told(before.id) == {"registered": 1}
    await office.add_edges(flow_id, diamond())
    assert await office.versions(before.flow_group_id) == [(1, True), (2, False)]
    assert await office.told(before.id) == {"registered": 1, "archived": 1}


async def test_a_first_version_is_nowhere_before_its_last_piece(office: Office) -> None:
    everything = await office.everything()

    flow_id = await office.begin(without_parts(a_diamond()), version_group_id="new")
    await office.add_tasks(flow_id, a_diamond()["tasks"])

    assert await office.everything() == everything
    assert await office.told(flow_id) == {}


BAD_PIECES: dict[str, tuple[list[Json], list[Json], Code]] = {
    "tasks that break a rule": (
        [a_task("a"), a_task("b", max_retries=-1)],
        [],
        Code.FLOW_MALFORMED,
    ),
    "an edge to a task that has not come": (
        [a_task("a")],
        [an_edge("a", "gone")],
        Code.EDGES_UNKNOWN_TASKS,
    ),
    "a cycle": (
        [a_task("a"), a_task("b")],
        [an_edge("a", "b"), an_edge("b", "a")],
        Code.FLOW_MALFORMED,
    ),
}


@pytest.mark.parametrize("name", BAD_PIECES)
async def test_a_refused_piece_replaces_nothing(office: Office, name: str) -> None:
    tasks, edges, code = BAD_PIECES[name]
    before = await office.register(a_diamond(schedule=a_schedule()), set_schedule_active=True)

    flow_id = await office.begin(without_parts(a_diamond()))
    answers = [await office.add_tasks(flow_id, tasks), await office.add_edges(flow_id, edges)]

    assert code in [answer.code for answer in answers if isinstance(answer, Refused)]
    assert await office.versions(before.flow_group_id) == [(1, False)]
    assert (await office.flow(before.id))["is_schedule_active"] is True


async def test_a_refused_last_piece_can_be_sent_again_as_it_should_be(office: Office) -> None:
    flow_id = await office.begin(without_parts(a_diamond()))
    await office.add_tasks(flow_id, a_diamond()["tasks"])
    refused = await office.add_edges(flow_id, [*diamond(), an_edge("d", "a")])

    await office.add_edges(flow_id, diamond())

    assert isinstance(refused, Refused)
    assert refused.fields["reason"].startswith("edges: they form a cycle: ")
    assert len((await office.flow(flow_id))["serialized_flow"]["edges"]) == 4


async def test_reference_tasks_that_never_came_are_refused_with_the_last_piece(
    office: Office,
) -> None:
    flow_id = await office.begin(without_parts(a_diamond(reference_tasks=["gone"])))
    await office.add_tasks(flow_id, a_diamond()["tasks"])

    refused = await office.add_edges(flow_id, diamond())

    assert refused == Refused(
        code=Code.FLOW_MALFORMED,
        fields={"reason": "reference_tasks.0: the flow has no task 'gone'"},
    )
    assert await numbers(office) == []


async def test_pieces_that_are_sent_twice_count_once(office: Office) -> None:
    flow_id = await office.begin(without_parts(a_diamond()))

    for _ in range(2):
        await office.add_tasks(flow_id, a_diamond()["tasks"])
    for _ in range(2):
        await office.add_edges(flow_id, diamond())

    serialized = (await office.flow(flow_id))["serialized_flow"]
    assert (len(serialized["tasks"]), len(serialized["edges"])) == (4, 4)
    assert len(await office.tasks(flow_id)) == 4
    assert await office.told(flow_id) == {"registered": 1}


async def test_a_late_copy_of_an_earlier_piece_changes_nothing(office: Office) -> None:
    serialized = a_flow(tasks=[f"t-{n}" for n in range(501)])
    flow_id = await office.begin(without_parts(serialized))
    await office.add_tasks(flow_id, serialized["tasks"][:500])
    await office.add_tasks(flow_id, serialized["tasks"][500:])
    await office.add_edges(flow_id, serialized["edges"])
    await office.add_tasks(flow_id, serialized["tasks"][:500])

    await office.add_edges(flow_id, [])

    assert (await office.flow(flow_id))["serialized_flow"] == serialized


async def test_a_last_piece_that_is_sent_twice_at_once_makes_one_version(office: Office) -> None:
    flow_id = await office.begin(without_parts(a_diamond()))
    await office.add_tasks(flow_id, a_diamond()["tasks"])

    answers = await asyncio.gather(*(office.add_edges(flow_id, diamond()) for _ in range(10)))

    assert answers == [Applied(id=flow_id)] * 10
    assert await numbers(office) == [(1, False)]
    assert await office.told(flow_id) == {"registered": 1}


async def test_edges_may_end_before_tasks_do_but_not_lead_to_what_has_not_come(
    office: Office,
) -> None:
    flow_id = await office.begin(without_parts(a_diamond()))
    too_early = await office.add_edges(flow_id, diamond())
    await office.add_tasks(flow_id, [a_task(f"t-{n}") for n in range(500)])

    await office.add_edges(flow_id, [an_edge("t-0", "t-1")])
    unfinished = await office.drafts()
    await office.add_tasks(flow_id, a_diamond()["tasks"])

    assert isinstance(too_early, Refused)
    assert too_early.code is Code.EDGES_UNKNOWN_TASKS
    assert unfinished == [flow_id]
    assert len(await office.tasks(flow_id)) == 504


async def test_a_full_piece_is_full_though_a_task_is_in_it_twice(office: Office) -> None:
    slugs = [f"t-{n}" for n in range(499)]
    flow_id = await office.begin(without_parts(a_flow(tasks=slugs)))

    await office.add_tasks(flow_id, [a_task(slug) for slug in [*slugs, "t-0"]])
    await office.add_edges(flow_id, [])
    unfinished = await office.drafts()
    await office.add_tasks(flow_id, [a_task("last")])

    assert unfinished == [flow_id]
    assert len(await office.tasks(flow_id)) == 500


async def test_two_registrations_in_pieces_become_versions_in_the_order_in_which_they_end(
    office: Office,
) -> None:
    first, second = [await office.begin(without_parts(a_diamond())) for _ in range(2)]

    await office.add_tasks(first, a_diamond()["tasks"])
    await send(office, second, a_diamond())
    await office.add_edges(first, diamond())

    assert (await office.flow(second))["version"] == 1
    assert (await office.flow(first))["version"] == 2
    assert await numbers(office) == [(1, True), (2, False)]


async def test_forty_registrations_in_pieces_and_whole_ones_at_once_are_numbered_without_a_gap(
    office: Office,
) -> None:
    async def alternately(n: int) -> None:
        if n % 2:
            await register_in_pieces(office, a_diamond())
        else:
            await office.register(a_diamond())

    await asyncio.gather(*(alternately(n) for n in range(40)))

    made = await numbers(office)
    assert [version for version, _ in made] == list(range(1, 41))
    assert [version for version, archived in made if not archived] == [40]


# Keys


async def test_a_key_that_made_a_version_in_pieces_makes_no_other(office: Office) -> None:
    flow_id = await register_in_pieces(office, a_diamond(), idempotency_key="k")

    again = await register_in_pieces(office, a_diamond(), idempotency_key="k")
    whole = await office.register(a_diamond(), idempotency_key="k")

    assert again == flow_id
    assert (whole.id, whole.existing) == (flow_id, True)
    assert await numbers(office) == [(1, False)]


async def test_a_key_names_a_version_only_when_that_is_whole(office: Office) -> None:
    flow_id = await office.begin(without_parts(a_diamond()), idempotency_key="k")

    whole = await office.register(a_diamond(), idempotency_key="k")

    assert whole.id != flow_id
    assert whole.existing is False


async def test_a_registration_that_was_cut_short_is_resumed_under_its_key(office: Office) -> None:
    cut_short = await office.begin(without_parts(a_diamond()), idempotency_key="k")
    await office.add_tasks(cut_short, a_diamond()["tasks"][:2])

    flow_id = await register_in_pieces(office, a_diamond(), idempotency_key="k")

    assert flow_id == cut_short
    assert len(await office.tasks(flow_id)) == 4


@pytest.mark.parametrize("change", ["another key", "no key", "another document", "a minute later"])
async def test_another_registration_does_not_share_what_was_left(
    office: Office, change: str
) -> None:
    cut_short = await office.begin(without_parts(a_diamond()), idempotency_key="k")
    await office.add_tasks(cut_short, [a_task("renamed since")])
    if change == "a minute later":
        await office.rows(
            "UPDATE registry.flow_draft SET touched = touched - interval '61 seconds' "
            "WHERE id = $1 RETURNING id",
            cut_short,
        )
    key = {"another key": "other", "no key": None}.get(change, "k")
    document = a_diamond(**({"storage": None} if change == "another document" else {}))

    flow_id = await register_in_pieces(office, document, idempotency_key=key)

    assert flow_id != cut_short
    assert set(await office.tasks(flow_id)) == {"a", "b", "c", "d"}


@pytest.mark.parametrize("group", [None, "shared"])
async def test_thirty_registrations_in_pieces_with_one_key_make_one_version(
    office: Office, group: str | None
) -> None:
    made = await asyncio.gather(
        *(
            register_in_pieces(office, a_diamond(), idempotency_key="k", version_group_id=group)
            for _ in range(30)
        )
    )

    assert len(set(made)) == 1
    assert await numbers(office) == [(1, False)]
    assert len(await office.tasks(made[0])) == 4


async def test_who_begins_while_the_last_piece_comes_is_answered_with_the_version(
    office: Office,
) -> None:
    flow_id = await office.begin(
        without_parts(a_diamond()), idempotency_key="k", version_group_id="shared"
    )
    await office.add_tasks(flow_id, a_diamond()["tasks"])
    async with office.stack.admin_pool.acquire() as other, other.transaction():
        await store.hold_flow_name(other, office.tenant_id, office.project_id, a_diamond()["name"])
        late = asyncio.create_task(
            office.begin(without_parts(a_diamond()), idempotency_key="k", version_group_id="shared")
        )
        # It has found neither a version nor a draft yet.
        await eventually(
            lambda: other.fetchval(
                "SELECT true FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )
        await office.add_edges(flow_id, diamond())

    assert await late == flow_id
    assert await numbers(office) == [(1, False)]


# What is never finished


async def test_what_is_never_finished_is_collected(office: Office) -> None:
    flow_id = await office.begin(without_parts(a_diamond()))
    await office.add_tasks(flow_id, a_diamond()["tasks"])

    await upkeep(office).tick()
    waits = await office.drafts()
    await asyncio.gather(*(upkeep(office, unfinished_for=timedelta(0)).collect() for _ in range(2)))

    assert waits == [flow_id]
    assert await office.drafts() == []
    pieces = await office.rows("SELECT FROM registry.flow_draft_piece WHERE draft_id = $1", flow_id)
    assert pieces == []
    assert await office.add_edges(flow_id, []) == Refused(code=Code.FLOW_INVALID_ID)


async def test_a_piece_gives_a_registration_new_time(office: Office) -> None:
    flow_id = await office.begin(without_parts(a_diamond()))
    await office.rows(
        "UPDATE registry.flow_draft SET touched = touched - interval '2 hours' WHERE id = $1 "
        "RETURNING id",
        flow_id,
    )

    await office.add_tasks(flow_id, a_diamond()["tasks"])
    await upkeep(office).collect()

    assert await office.drafts() == [flow_id]


async def test_a_registration_can_be_given_up(office: Office) -> None:
    flow_id = await office.begin(without_parts(a_diamond()))

    assert await office.on_flow(contracts.DELETE_FLOW, flow_id) == Applied(id=flow_id)

    assert await office.drafts() == []
    assert (await office.on_flow(contracts.DELETE_FLOW, flow_id)).success is False


async def delete_project(office: Office) -> Applied | Refused:
    """Delete the project that everything is registered into."""
    return await office.do(
        contracts.DELETE_PROJECT,
        contracts.DeleteProject(tenant_id=office.tenant_id, project_id=office.project_id),
    )


async def test_a_project_goes_with_what_is_being_registered_into_it(office: Office) -> None:
    flow_id = await office.begin(without_parts(a_diamond()))

    await delete_project(office)

    assert await office.drafts() == []
    answer = await office.add_tasks(flow_id, a_diamond()["tasks"])
    assert answer == Refused(code=Code.FLOW_INVALID_ID)


async def test_last_pieces_and_the_deletion_of_their_project_never_wait_in_a_circle(
    office: Office,
) -> None:
    drafts = [await office.begin(without_parts(a_diamond())) for _ in range(10)]
    for flow_id in drafts:
        await office.add_tasks(flow_id, a_diamond()["tasks"])

    answers = await asyncio.gather(
        delete_project(office), *(office.add_edges(flow_id, diamond()) for flow_id in drafts)
    )

    refusals = {answer.code for answer in answers if isinstance(answer, Refused)}
    assert refusals <= {Code.FLOW_INVALID_ID}
    assert (await numbers(office), await office.drafts()) == ([], [])


async def test_pieces_of_another_tenant_are_refused(office: Office) -> None:
    flow_id = await office.begin(without_parts(a_diamond()))
    stranger = await Office.open(office.stack, office.service)

    expected = Refused(code=Code.FLOW_INVALID_ID)
    assert await stranger.add_tasks(flow_id, a_diamond()["tasks"]) == expected
    assert await stranger.add_edges(flow_id, []) == expected
    assert (await stranger.on_flow(contracts.DELETE_FLOW, flow_id)).success is False


async def test_a_last_piece_that_dies_before_its_commit_replaces_nothing(office: Office) -> None:
    before = await office.register(a_diamond())
    flow_id = await office.begin(without_parts(a_diamond()))
    await office.add_tasks(flow_id, a_diamond()["tasks"])
    faults.arm(faults.Point.REGISTRY_BEFORE_COMMIT, faults.fail)
    try:
        died = await office.add_edges(flow_id, diamond())
    finally:
        faults.disarm()
    unchanged = await office.versions(before.flow_group_id)

    again = await office.add_edges(flow_id, diamond())

    assert isinstance(died, Refused)
    assert died.code is Code.INTERNAL
    assert unchanged == [(1, False)]
    assert again == Applied(id=flow_id)
    assert await office.versions(before.flow_group_id) == [(1, True), (2, False)]


# Schedules


async def start_schedule(office: Office, flow_id: UUID) -> Applied | Refused:
    """Start a flow's schedule."""
    return await office.ask(
        contracts.SET_SCHEDULE_ACTIVE,
        contracts.SetScheduleActive(tenant_id=office.tenant_id, flow_id=flow_id, active=True),
    )


async def test_a_schedule_starts_when_the_flow_is_whole_and_not_before(office: Office) -> None:
    serialized = a_diamond(schedule=a_schedule())
    flow_id = await office.begin(without_parts(serialized))
    too_early = await start_schedule(office, flow_id)
    await send(office, flow_id, serialized)
    off = (await office.flow(flow_id))["is_schedule_active"]

    answer = await start_schedule(office, flow_id)

    assert too_early == Refused(code=Code.FLOW_UNFINISHED, fields={"flow_id": str(flow_id)})
    assert off is False
    assert answer == Applied(id=flow_id)
    assert (await office.flow(flow_id))["is_schedule_active"] is True


@pytest.mark.parametrize(
    "first", [{"set_schedule_active": True}, {"tasks": []}, {"edges": []}], ids=str
)
async def test_a_flow_that_does_not_wait_for_pieces_is_whole_at_once(
    office: Office, first: Json
) -> None:
    parts = {field: value for field, value in first.items() if field in ("tasks", "edges")}
    asked = first.get("set_schedule_active", False)

    made = await office.register(without_parts(a_diamond()) | parts, set_schedule_active=asked)

    assert made.version == 1
