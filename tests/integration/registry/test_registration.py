"""Registration: what a flow becomes when it is registered whole or in pieces."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from libs.contracts import registry as contracts
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime.ids import new_id
from tests.integration.registry.office import Office, upkeep
from tests.support.serialized_flows import (
    a_flow,
    a_parameter,
    a_schedule,
    a_task,
    an_edge,
    compressed,
    diamond,
    without_parts,
)

Json = dict[str, Any]


async def test_a_flow_is_stored_with_its_tasks_and_edges(office: Office) -> None:
    serialized = a_flow(tasks=("extract-1", "clean-1", "load-1"))

    made = await office.register(serialized, description="every night")

    flow = await office.flow(made.id)
    assert made.version == 1
    assert flow["tenant_id"] == office.tenant_id
    assert flow["project_id"] == office.project_id
    assert flow["name"] == "orders"
    assert flow["description"] == "every night"
    assert flow["core_version"] == "1.4.1"
    assert flow["serialized_flow"] == serialized
    assert flow["storage"] == serialized["storage"]
    assert flow["run_config"] == serialized["run_config"]
    assert flow["environment"] is None
    assert flow["schedule"] is None
    assert flow["archived"] is False
    assert set(await office.tasks(made.id)) == {"extract-1", "clean-1", "load-1"}
    edges = await office.rows("SELECT tenant_id FROM registry.edge WHERE flow_id = $1", made.id)
    assert edges == [{"tenant_id": office.tenant_id}] * 2
    assert await office.told(made.id) == {"registered": 1}


async def test_a_task_keeps_what_its_client_says(office: Office) -> None:
    task = a_task(
        "load-1",
        max_retries=3,
        retry_delay=90,
        tags=["db", "größe"],
        cache_key="k",
        auto_generated=True,
        trigger={"fn": "prefect.triggers.any_failed", "kwargs": {}},
    )

    made = await office.register(a_flow(edges=[]) | {"tasks": [task]})

    row = (await office.tasks(made.id))["load-1"]
    assert row["tenant_id"] == office.tenant_id
    assert row["name"] == "load"
    assert row["max_retries"] == 3
    assert row["retry_delay"] == timedelta(seconds=90)
    assert row["tags"] == ["db", "größe"]
    assert row["cache_key"] == "k"
    assert row["auto_generated"] is True
    assert row["trigger"] == "prefect.triggers.any_failed"


async def test_a_compressed_flow_is_the_same_flow(office: Office) -> None:
    serialized = a_flow("größer ✓ 注文")

    made = await office.register(compressed_flow=compressed(serialized))

    assert (await office.flow(made.id))["serialized_flow"] == serialized


async def test_large_integers_come_back_exact(office: Office) -> None:
    parameter = a_parameter("seed", default=2**70 + 1)

    made = await office.register(a_flow(parameters=[parameter]))

    stored = await office.row(
        "SELECT parameters #>> '{0,default}' AS value FROM registry.flow WHERE id = $1", made.id
    )
    assert stored["value"] == str(2**70 + 1)


async def test_tasks_know_their_place(office: Office) -> None:
    serialized = a_flow(tasks=("a", "b", "c", "d")) | {"edges": diamond()}

    made = await office.register(serialized)

    assert await office.shapes(made.id) == {"a": "r", "b": "m", "c": "", "d": "tf"}


async def test_full_pieces_added_to_a_whole_flow_are_joined_to_the_document_with_the_last_one(
    office: Office,
) -> None:
    slugs = [f"t-{n}" for n in range(1001)]
    serialized = a_flow(tasks=slugs)
    made = await office.register(without_parts(serialized))
    for field, add in (("tasks", office.add_tasks), ("edges", office.add_edges)):
        for start in (0, 500, 500, 1000):  # one of them twice; the last piece of edges is empty
            await add(made.id, serialized[field][start : start + 500])

    assert (await office.flow(made.id))["serialized_flow"] == serialized
    assert await office.rows("SELECT FROM registry.flow_piece") == []


async def test_pieces_that_a_client_left_waiting_are_joined(office: Office) -> None:
    serialized = a_flow(tasks=[f"t-{n}" for n in range(500)])
    made = await office.register(without_parts(serialized))
    await office.add_tasks(made.id, serialized["tasks"])
    waiting = (await office.flow(made.id))["serialized_flow"]
    at_once = upkeep(office, left_after=timedelta(0))

    joined = await asyncio.gather(at_once.join(), at_once.join())

    assert "tasks" not in waiting
    assert max(joined) == 1
    assert (await office.flow(made.id))["serialized_flow"]["tasks"] == serialized["tasks"]


async def test_each_piece_is_told_with_what_it_added_and_the_last_with_that_the_flow_is_whole(
    office: Office,
) -> None:
    serialized = a_flow(tasks=[f"t-{n}" for n in range(501)])
    made = await office.register(without_parts(serialized))
    for field, add in (("tasks", office.add_tasks), ("edges", office.add_edges)):
        for start in (0, 0, 500):  # the first piece twice: what adds nothing is not told
            await add(made.id, serialized[field][start : start + 500])

    told = await office.pieces_told(made.id)

    assert [(e.tasks, e.edges, e.whole) for e in told] == [
        (500, 0, False),
        (1, 0, False),
        (0, 500, False),
        (0, 0, True),
    ]
    assert {(e.tenant_id, e.flow_group_id) for e in told} == {
        (office.tenant_id, made.flow_group_id)
    }


async def test_a_refused_piece_is_not_told(office: Office) -> None:
    made = await office.register(a_flow(tasks=("a", "b", "c")))

    await office.add_edges(made.id, [an_edge("c", "a")])
    await office.add_tasks(made.id, [a_task("d") | {"max_retries": -1}])

    assert await office.pieces_told(made.id) == []


async def test_a_flow_whose_pieces_are_joined_by_the_upkeep_is_told_to_be_whole_once(
    office: Office,
) -> None:
    made = await office.register(without_parts(a_flow(tasks=())))
    await office.add_tasks(made.id, [a_task("a")])
    at_once = upkeep(office, left_after=timedelta(0))

    await asyncio.gather(at_once.join(), at_once.join())

    told = await office.pieces_told(made.id)
    assert [(e.tasks, e.edges, e.whole) for e in told] == [(1, 0, False), (0, 0, True)]


async def test_pieces_for_a_whole_flow_change_nothing(office: Office) -> None:
    """A client whose key matched an earlier version sends its pieces all the same."""
    serialized = a_flow(tasks=("a", "b", "c", "d")) | {"edges": diamond()}
    made = await office.register(serialized)
    before = await office.tasks(made.id)

    await office.add_tasks(made.id, serialized["tasks"])
    await office.add_edges(made.id, diamond())

    assert (await office.flow(made.id))["serialized_flow"] == serialized
    assert await office.tasks(made.id) == before
    assert await office.pieces_told(made.id) == []


async def test_parallel_edges_with_different_keys_survive(office: Office) -> None:
    edges = [an_edge("extract-1", "load-1", key=key) for key in ("x", "y", None)]

    made = await office.register(a_flow(edges=edges))

    rows = await office.rows("SELECT key FROM registry.edge WHERE flow_id = $1", made.id)
    assert {row["key"] for row in rows} == {"x", "y", None}


@pytest.mark.parametrize("unknown", ["flow", "tenant"])
async def test_pieces_of_an_unknown_flow_are_refused(office: Office, unknown: str) -> None:
    made = await office.register(a_flow())
    stranger = await Office.open(office.stack, office.service)
    asker, flow_id = (office, new_id()) if unknown == "flow" else (stranger, made.id)

    expected = Refused(code=Code.FLOW_INVALID_ID)
    assert await asker.add_tasks(flow_id, [a_task("new")]) == expected
    assert await asker.add_edges(flow_id, [an_edge("extract-1", "load-1", key="z")]) == expected


async def test_edges_to_tasks_that_are_not_there_are_refused_and_none_is_stored(
    office: Office,
) -> None:
    made = await office.register(a_flow())

    refused = await office.add_edges(
        made.id, [an_edge("extract-1", "load-1", key="z"), an_edge("extract-1", "gone")]
    )

    assert refused == Refused(
        code=Code.EDGES_UNKNOWN_TASKS,
        fields={"reason": "edges.1.downstream_task: the flow has no task 'gone'"},
    )
    assert len((await office.flow(made.id))["serialized_flow"]["edges"]) == 1


async def test_a_cycle_that_only_two_pieces_together_make_is_refused(office: Office) -> None:
    made = await office.register(a_flow(tasks=("a", "b", "c")))

    refused = await office.add_edges(made.id, [an_edge("c", "a")])

    assert isinstance(refused, Refused)
    assert refused.code is Code.FLOW_MALFORMED
    assert refused.fields["reason"].startswith("edges: they form a cycle: ")


async def test_a_schedule_starts_with_the_registration_that_asks_for_it(office: Office) -> None:
    made = await office.register(a_flow(schedule=a_schedule()), set_schedule_active=True)

    assert (await office.flow(made.id))["is_schedule_active"] is True
    assert await office.told(made.id) == {"registered": 1, "schedule_changed": 1}


@pytest.mark.parametrize("wish", [False, None])
async def test_a_schedule_waits_unless_it_is_asked_for(office: Office, wish: bool | None) -> None:
    made = await office.register(a_flow(schedule=a_schedule()), set_schedule_active=wish)

    assert (await office.flow(made.id))["is_schedule_active"] is False


async def test_without_a_schedule_nothing_is_started(office: Office) -> None:
    made = await office.register(a_flow(), set_schedule_active=True)

    assert (await office.flow(made.id))["is_schedule_active"] is False


@pytest.mark.parametrize(
    ("clocks", "refused"),
    [
        ([], Refused(code=Code.SCHEDULE_EMPTY, fields={"flow": "f version 1"})),
        (
            [{"type": "DatesClock", "dates": [{"dt": "2020-05-01T10:00:00", "tz": "UTC"}]}],
            Refused(
                code=Code.SCHEDULE_ENDED,
                fields={"flow": "f version 1", "at": "2020-05-01T10:00:00+00:00"},
            ),
        ),
    ],
)
async def test_a_schedule_that_would_plan_nothing_waits_and_the_answer_says_why(
    office: Office, clocks: list[dict[str, Any]], refused: Refused
) -> None:
    serialized = a_flow("f", schedule=a_schedule() | {"clocks": clocks})

    made = await office.do(
        contracts.REGISTER_FLOW, office.registration(serialized, set_schedule_active=True)
    )

    assert (await office.flow(made.id))["is_schedule_active"] is False
    assert made.schedule_refused == refused


@pytest.mark.parametrize("default", [None, 5])
async def test_a_schedule_without_required_parameters_waits_and_the_answer_says_why(
    office: Office, default: int | None
) -> None:
    parameter = a_parameter("x", required=True) | {"default": default}
    serialized = a_flow(schedule=a_schedule(), parameters=[parameter])

    asked = await office.do(
        contracts.REGISTER_FLOW, office.registration(serialized, set_schedule_active=True)
    )
    unasked = await office.do(
        contracts.REGISTER_FLOW, office.registration(serialized, set_schedule_active=False)
    )

    assert (await office.flow(asked.id))["is_schedule_active"] is False
    assert asked.schedule_refused == Refused(
        code=Code.REQUIRED_PARAMETERS_UNSCHEDULABLE,
        fields={"flow": f"{serialized['name']} version 1", "names": "'x'"},
    )
    assert unasked.schedule_refused is None
