"""Actions on many runs and flows, on real engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from time import perf_counter
from typing import Any
from uuid import UUID

import pytest

from libs.contracts import runs
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from services.gateway.bulk import worker
from services.gateway.bulk.decisions import MOST_FAILED, Action, Item
from services.gateway.bulk.store import Request
from services.gateway.graphql.mutations import bulk as mutations
from services.gateway.keys import Role
from tests.integration.gateway.test_downloads import make_key
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.ledger import Flow, register_flow, tenant_with_flow
from tests.support.services import all_services

BULK = """mutation ($i: bulk_flow_runs_input!) { bulk_flow_runs(input: $i) {
    finished success error total done refused not_found pending items { id outcome reason state version name } } }"""
READ = """query ($key: String!, $after: Int) { bulk_request(request_key: $key, after: $after) {
    finished total done refused not_found pending items { id position outcome } } }"""
STATES = (
    "mutation ($i: set_flow_run_states_input!) { set_flow_run_states(input: $i) { states { id } } }"
)


@dataclass(frozen=True, slots=True)
class World:
    """A gateway with all services, a tenant's person, its agent, and a stranger."""

    gateway: Gateway
    flow: Flow
    person: Gql
    agent: Gql
    stranger: Gql


@pytest.fixture(scope="module")
async def world(stack: Stack) -> AsyncIterator[World]:
    async with AsyncExitStack() as exits:
        # The results are looked at, so an answer waits for all of them, on a busy machine too.
        patch = exits.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(mutations, "_PATIENCE", 25.0)
        # Only the tests take over what nobody works at: a tick between a request and its hold would finish it.
        gateway = await exits.enter_async_context(
            all_services(stack, auth="required", held={"bulk"})
        )

        async def client(tenant_id: UUID, role: Role) -> Gql:
            key = await make_key(gateway, tenant_id, role)
            url = f"http://127.0.0.1:{gateway.port}"
            return await exits.enter_async_context(
                Gql(url, headers={"authorization": f"Bearer {key}"})
            )

        flow = await tenant_with_flow(stack.admin_pool, tasks=3)
        other = await tenant_with_flow(stack.admin_pool)
        yield World(
            gateway,
            flow,
            await client(flow.tenant_id, Role.USER),
            await client(flow.tenant_id, Role.AGENT),
            await client(other.tenant_id, Role.USER),
        )


async def make_runs(world: World, count: int, name: str) -> list[UUID]:
    """Runs by the ledger itself."""
    made = []
    for number in range(count):
        reply = await world.gateway.bus.call(
            runs.CREATE_FLOW_RUN,
            runs.CreateFlowRun(
                tenant_id=world.flow.tenant_id,
                flow_id=world.flow.id,
                flow_run_name=f"{name} {number}",
            ),
        )
        assert isinstance(reply, runs.FlowRunCreated)
        made.append(reply.id)
    return made


async def bulk(client: Gql, **given: Any) -> dict[str, Any]:
    given = {"request_key": str(new_id())} | given
    found: dict[str, Any] = (await client(BULK, i=given))["bulk_flow_runs"]
    return found


async def set_state(world: World, run_id: UUID, **state: Any) -> None:
    await world.person(STATES, i={"states": [{"flow_run_id": str(run_id), "state": state}]})


async def states(stack: Stack, ids: list[UUID]) -> list[tuple[str, int]]:
    rows = await stack.admin_pool.fetch(
        "SELECT id, state, version FROM runs.flow_run WHERE id = ANY ($1::uuid[])", ids
    )
    by_id = {row["id"]: (row["state"], row["version"]) for row in rows}
    return [by_id[id_] for id_ in ids]


async def test_what_a_filter_finds_is_cancelled_with_a_result_each(
    world: World, stack: Stack
) -> None:
    waiting = await make_runs(world, 3, "filtered")
    running = (await make_runs(world, 1, "filtered"))[0]
    await set_state(world, running, type="Running")
    over = (await make_runs(world, 1, "filtered"))[0]
    await set_state(world, over, type="Success")
    untouched = await make_runs(world, 1, "another")

    found = await bulk(world.person, action="CANCEL", where={"name": {"_like": "filtered %"}})

    by_id = {UUID(item["id"]): item for item in found["items"]}
    assert (found["finished"], found["total"], found["done"], found["refused"]) == (True, 5, 4, 1)
    assert {by_id[id_]["state"] for id_ in waiting} == {"Cancelled"}
    assert by_id[running]["state"] == "Cancelling"
    assert by_id[over]["reason"] == "The run has finished already, as Success."
    assert [state for state, _ in await states(stack, waiting)] == ["Cancelled"] * 3
    assert [state for state, _ in await states(stack, untouched)] == ["Scheduled"]


async def test_success_is_about_the_whole_request_and_each_item_has_its_own_result(
    world: World,
) -> None:
    """A list of runs of which one has just finished is what people send; that one has its reason, and is no error."""
    waiting, over = await make_runs(world, 2, "whole")
    await set_state(world, over, type="Success")

    partly = await bulk(world.person, action="CANCEL", ids=[str(waiting), str(over), str(new_id())])
    none = await bulk(world.person, action="CANCEL", ids=[str(waiting), str(over)])
    nothing = await bulk(world.person, action="CANCEL", where={"name": {"_eq": "no such name"}})

    assert (partly["success"], partly["error"]) == (True, None)
    assert (partly["done"], partly["refused"], partly["not_found"]) == (1, 1, 1)
    assert sorted(item["outcome"] for item in partly["items"]) == ["done", "not_found", "refused"]
    assert (none["success"], none["done"], none["refused"]) == (False, 0, 2)
    assert none["error"] == "Of 2 items none was done; the outcome and reason of each say why."
    assert (nothing["success"], nothing["error"], nothing["total"]) == (True, None, 0)


async def test_a_request_that_goes_on_is_no_error_yet(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await make_runs(world, 1, "goes on")
    given = {"request_key": str(new_id()), "action": "CANCEL", "ids": [str(made[0])]}

    with monkeypatch.context() as patch:
        patch.setattr(world.gateway._bulk_worker, "work", _put_off)
        found = await bulk(world.person, **given)
    at_last = await bulk(world.person, **given)

    assert (found["finished"], found["pending"], found["success"], found["error"]) == (
        False,
        1,
        True,
        None,
    )
    assert (at_last["finished"], at_last["done"], at_last["success"]) == (True, 1, True)


async def _put_off(_: UUID, *, patience: float) -> None:
    """As if others' requests came first."""


@pytest.mark.parametrize("known", [0, 1])
async def test_a_dry_run_of_ids_succeeds_if_there_is_anything_to_do(
    world: World, known: int
) -> None:
    made = await make_runs(world, known, "by id")
    ids = [*map(str, made), str(new_id())]

    found = await bulk(world.person, action="CANCEL", dry_run=True, ids=ids)

    assert (found["pending"], found["not_found"], found["success"]) == (known, 1, known == 1)
    assert found["error"] == (None if known else "Of 1 ids none is known here.")


async def test_a_dry_run_says_how_many_and_which_and_changes_nothing(
    world: World, stack: Stack
) -> None:
    made = await make_runs(world, 2, "dry")
    before = await states(stack, made)
    key = str(new_id())

    found = await bulk(
        world.person,
        request_key=key,
        action="DELETE",
        dry_run=True,
        where={"name": {"_like": "dry %"}},
    )

    assert (found["total"], found["pending"], found["finished"]) == (2, 2, False)
    assert [item["name"] for item in found["items"]] == ["dry 0", "dry 1"]
    assert await states(stack, made) == before
    assert (await world.person(READ, key=key))["bulk_request"] is None


async def test_a_repeated_request_answers_the_first_ones_results_and_does_nothing(
    world: World, stack: Stack
) -> None:
    made = await make_runs(world, 2, "repeated")
    given = {
        "request_key": str(new_id()),
        "action": "RUN_NOW",
        "ids": [str(id_) for id_ in made],
    }
    first = await bulk(world.person, **given)
    before = await states(stack, made)

    again = await bulk(world.person, **given)

    assert first["success"]
    assert again == first
    assert await states(stack, made) == before
    errors = await world.person.errors(BULK, i={**given, "action": "CANCEL"})
    assert errors[0]["message"].startswith("request_key: it was used for another request")


async def test_a_restart_takes_up_what_failed_and_nothing_that_succeeded(
    world: World, stack: Stack
) -> None:
    run_id = (await make_runs(world, 1, "restarted"))[0]
    await set_state(world, run_id, type="Running")
    tasks = []
    for task_id, state in zip(
        world.flow.task_ids, ("Failed", "Success", "TriggerFailed"), strict=True
    ):
        made = await world.person(
            "mutation ($i: get_or_create_task_run_input!) { get_or_create_task_run(input: $i) { id } }",
            i={"flow_run_id": str(run_id), "task_id": str(task_id)},
        )
        tasks.append(made["get_or_create_task_run"]["id"])
        await world.person(
            "mutation ($i: set_task_run_states_input!) { set_task_run_states(input: $i) { states { id } } }",
            i={"states": [{"task_run_id": tasks[-1], "state": {"type": state}}]},
        )
    await set_state(world, run_id, type="Failed")

    found = await bulk(world.person, action="RESTART", ids=[str(run_id)])

    rows = await stack.admin_pool.fetch(
        "SELECT id, state FROM runs.task_run WHERE flow_run_id = $1", run_id
    )
    after = {str(row["id"]): row["state"] for row in rows}
    assert found["success"], found
    assert [after[id_] for id_ in tasks] == ["Pending", "Success", "Pending"]
    assert (await states(stack, [run_id]))[0][0] == "Scheduled"
    again = await bulk(world.person, action="RESTART", ids=[str(run_id)])
    assert again["items"][0]["reason"] == "Nothing of the run failed; it is Scheduled."


async def test_a_run_with_more_failed_task_runs_than_a_restart_takes_is_refused_whole(
    world: World, stack: Stack
) -> None:
    large, small = await make_runs(world, 2, "failed widely")
    for run_id in (large, small):
        await set_state(world, run_id, type="Running")
    made = await world.person(
        "mutation ($i: get_or_create_task_run_input!) { get_or_create_task_run(input: $i) { id } }",
        i={"flow_run_id": str(large), "task_id": str(world.flow.task_ids[0])},
    )
    await world.person(
        "mutation ($i: set_task_run_states_input!) { set_task_run_states(input: $i) { states { id } } }",
        i={
            "states": [
                {"task_run_id": made["get_or_create_task_run"]["id"], "state": {"type": "Failed"}}
            ]
        },
    )
    for run_id in (large, small):
        await set_state(world, run_id, type="Failed")
    await stack.admin_pool.execute(
        """
        INSERT INTO runs.task_run
        SELECT made.* FROM runs.task_run t, generate_series(1, $2::int) n,
            jsonb_populate_record(t, jsonb_build_object('id', gen_random_uuid(), 'map_index', n)) made
        WHERE t.flow_run_id = $1
        """,
        large,
        MOST_FAILED,
    )

    found = await bulk(world.person, action="RESTART", ids=[str(large), str(small)])

    by_id = {UUID(item["id"]): item for item in found["items"]}
    assert (by_id[large]["outcome"], by_id[small]["outcome"]) == ("refused", "done")
    assert by_id[large]["reason"].startswith("More than 20000 of its task runs failed")
    assert [state for state, _ in await states(stack, [large, small])] == ["Failed", "Scheduled"]
    failed = await stack.admin_pool.fetchval(
        "SELECT count(*) FROM runs.task_run WHERE flow_run_id = $1 AND state = 'Failed'", large
    )
    assert failed == MOST_FAILED + 1


async def test_ids_of_another_tenant_are_answered_like_ids_of_nothing(
    world: World, stack: Stack
) -> None:
    made = await make_runs(world, 1, "foreign")
    before = await states(stack, made)

    for action in ("CANCEL", "DELETE", "RESTART", "RUN_NOW"):
        found = await bulk(world.stranger, action=action, ids=[str(made[0]), str(new_id())])
        assert [item["outcome"] for item in found["items"]] == ["not_found"] * 2
        assert (found["finished"], found["success"], found["not_found"]) == (True, False, 2)
    assert await states(stack, made) == before


async def test_a_run_that_moved_on_since_it_was_seen_is_left_alone(
    world: World, stack: Stack
) -> None:
    """Selected at one version, then moved: as if somebody were quicker than the batch."""
    moved, same, gone = await make_runs(world, 3, "moved")
    for action, untouched in ((Action.CANCEL, "Running"), (Action.DELETE, "Running")):
        request = await _kept(world, action, [moved, same, gone])
        await set_state(world, moved, type="Running")

        await world.gateway._bulk_worker.work(request.id, patience=10)

        rows = await world.gateway._bulk_store.rows(request.id, after=-1, limit=10)
        assert rows[0].outcome == "refused"
        assert rows[0].reason is not None
        assert "has moved on" in rows[0].reason
        assert (rows[0].state, rows[1].outcome) == (untouched, "done")
        assert (await states(stack, [moved]))[0][0] == untouched


async def test_a_request_of_a_killed_gateway_is_finished_by_another_and_done_once(
    world: World, stack: Stack
) -> None:
    made = await make_runs(world, 4, "taken over")
    request = await _kept(world, Action.CANCEL, made)
    # Its gateway cancelled the first one, and was killed before it wrote that down.
    await set_state(world, made[0], type="Cancelled")
    await stack.admin_pool.execute(
        "UPDATE gateway.bulk_request SET worker = $2, held_until = now() - interval '1 s' WHERE id = $1",
        request.id, new_id(),
    )  # fmt: skip

    assert await world.gateway._bulk_worker.tick() >= 1
    await world.gateway._bulk_worker.work(request.id, patience=10)

    found = await world.gateway._bulk_store.by_id(request.id)
    assert found is not None
    assert (found.finished, found.counts) == (True, {"done": 4})
    assert await states(stack, made) == [("Cancelled", 2)] * 4


async def test_what_another_gateway_works_at_is_left_to_it(world: World, stack: Stack) -> None:
    made = await make_runs(world, 1, "held")
    request = await _kept(world, Action.CANCEL, made)
    await stack.admin_pool.execute(
        "UPDATE gateway.bulk_request SET worker = $2, held_until = now() + interval '1 h' WHERE id = $1",
        request.id, new_id(),
    )  # fmt: skip

    await world.gateway._bulk_worker.work(request.id, patience=10)

    assert (await states(stack, made))[0][0] == "Scheduled"
    await stack.admin_pool.execute("DELETE FROM gateway.bulk_request WHERE id = $1", request.id)


async def test_a_batch_that_the_ledger_is_too_busy_for_is_done_later_and_the_others_once(
    world: World, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_BATCH", 2)
    made = await make_runs(world, 7, "in batches")
    request = await _kept(world, Action.CANCEL, made)
    bus, asked = world.gateway._bulk_worker._bus, 0
    call = bus.call

    async def busy_once(rpc: Any, message: Any, **how: Any) -> Any:
        nonlocal asked
        asked += rpc is runs.SET_STATES
        if rpc is runs.SET_STATES and asked == 2:
            return Refused(code=Code.BUSY, fields={"service": "runs"})
        return await call(rpc, message, **how)

    with monkeypatch.context() as patch:
        patch.setattr(bus, "call", busy_once)
        await world.gateway._bulk_worker.work(request.id, patience=30)
        before = await world.gateway._bulk_store.by_id(request.id)
    await world.gateway._bulk_worker.work(request.id, patience=30)
    after = await world.gateway._bulk_store.by_id(request.id)

    assert before is not None
    assert after is not None
    assert not before.finished
    assert before.counts["pending"] >= 2
    assert before.counts["done"] >= 2
    assert (after.finished, after.counts) == (True, {"done": 7})
    assert await states(stack, made) == [("Cancelled", 2)] * 7


async def test_a_tenant_has_four_unfinished_requests_at_most(world: World, stack: Stack) -> None:
    made = await make_runs(world, 1, "bounded")
    kept = [await _kept(world, Action.CANCEL, made) for _ in range(4)]

    errors = await world.person.errors(
        BULK, i={"request_key": str(new_id()), "action": "CANCEL", "ids": [str(made[0])]}
    )

    assert "4 bulk requests that are not finished" in errors[0]["message"]
    await stack.admin_pool.execute(
        "DELETE FROM gateway.bulk_request WHERE id = ANY ($1::uuid[])", [each.id for each in kept]
    )


async def test_flows_are_archived_together(world: World, stack: Stack) -> None:
    flows = [
        await register_flow(stack.admin_pool, tenant_id=world.flow.tenant_id) for _ in range(3)
    ]
    query = """mutation ($i: bulk_flows_input!) { bulk_flows(input: $i) { success done items { outcome } } }"""
    given = {
        "request_key": str(new_id()),
        "action": "ARCHIVE",
        "ids": [str(flow.id) for flow in flows],
    }

    found = (await world.person(query, i=given))["bulk_flows"]

    archived = await stack.admin_pool.fetchval(
        "SELECT count(*) FROM registry.flow WHERE id = ANY ($1::uuid[]) AND archived",
        [flow.id for flow in flows],
    )
    assert (found["success"], found["done"], archived) == (True, 3, 3)


async def test_old_requests_are_forgotten(world: World, stack: Stack) -> None:
    made = await make_runs(world, 1, "old")
    key = str(new_id())
    await bulk(world.person, request_key=key, action="DELETE", ids=[str(made[0])])
    await stack.admin_pool.execute(
        "UPDATE gateway.bulk_request SET finished_at = now() - interval '8 days' WHERE request_key = $1",
        key,
    )

    assert await world.gateway._bulk_store.delete_old(timedelta(days=7)) == 1
    assert (await world.person(READ, key=key))["bulk_request"] is None


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"action": "EXPLODE", "where": {}}, "action: 'EXPLODE' is not known"),
        ({"action": "CANCEL"}, "Give either ids or where"),
        ({"action": "CANCEL", "ids": [], "where": {}}, "Give either ids or where"),
        ({"action": "CANCEL", "where": []}, "where: it must be a JSON object"),
        ({"action": "CANCEL", "where": {"nme": {}}}, "nme"),
        ({"action": "CANCEL", "where": {}, "state": {"type": "Failed"}}, "state: SET_STATE"),
        ({"action": "SET_STATE", "where": {}}, "state: SET_STATE"),
        ({"action": "CANCEL", "where": {}, "request_key": ""}, "request_key"),
        ({"action": "CANCEL", "where": {}, "request_key": "k" * 201}, "request_key"),
    ],
)
async def test_what_is_wrong_is_said(world: World, given: dict[str, Any], sentence: str) -> None:
    errors = await world.person.errors(BULK, i={"request_key": "wrong"} | given)

    assert sentence in errors[0]["message"]


async def test_an_agents_key_may_not(world: World) -> None:
    given = {"request_key": "agent", "action": "CANCEL", "where": {}}
    errors = await world.agent.errors(BULK, i=given)

    assert errors[0]["extensions"]["code"] == "FORBIDDEN"


async def test_two_thousand_late_runs_are_cancelled_by_one_request_while_another_tenant_is_served(
    world: World, stack: Stack
) -> None:
    await stack.admin_pool.execute(
        """
        INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, labels, parameters, context,
            scheduled_start_time, state, state_timestamp, serialized_state, version)
        SELECT gen_random_uuid(), tenant_id, flow_id, flow_group_id, 'late', labels, parameters, context,
            now(), 'Scheduled', now(), serialized_state, 1
        FROM runs.flow_run r, generate_series(1, 2000) WHERE r.id = $1
        """,
        (await make_runs(world, 1, "pattern"))[0],
    )
    began = perf_counter()

    found = await bulk(world.person, action="CANCEL", where={"name": {"_eq": "late"}})

    assert (found["total"], found["done"]) == (2000, 2000), (found["pending"], began)
    assert len(found["items"]) == 100
    left = await stack.admin_pool.fetchval(
        "SELECT count(*) FROM runs.flow_run WHERE name = 'late' AND state <> 'Cancelled'"
    )
    assert left == 0
    assert (await world.stranger("{ flow { id } }"))["flow"]


async def _kept(world: World, action: Action, ids: list[UUID]) -> Request:
    """A request that nobody works at yet."""
    bulk_store = world.gateway._bulk_store
    now = await bulk_store.versions(world.flow.tenant_id, ids)
    items = [Item(n, id_, *now.get(id_, (1, "Scheduled"))) for n, id_ in enumerate(ids)]
    request = Request(
        id=new_id(), tenant_id=world.flow.tenant_id, request_key=str(new_id()), action=action,
        arguments={}, total=len(items), finished=False, counts={},
    )  # fmt: skip
    made = await bulk_store.create(request, items, [])
    await bulk_store._database.pool.execute(
        "UPDATE gateway.bulk_request SET held_until = now() - interval '1 s' WHERE id = $1", made.id
    )
    return made
