"""Creating runs: one transaction, keys for ever, nothing for archived flows."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

from libs.contracts import runs
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.runs import FlowRunCreated
from libs.runtime.bus import Bus
from libs.runtime.ids import new_id
from tests.support.engines import Stack
from tests.support.ledger import Client, Flow, register_flow


async def test_a_run_is_born_with_its_state_its_history_and_its_task_runs(
    stack: Stack, bus: Bus
) -> None:
    flow = await register_flow(
        stack.admin_pool,
        tasks=2,
        parameters=[{"name": "x", "required": False, "default": 0}],
        run_config={"type": "LocalRun", "labels": ["b", "a"]},
    )
    client = Client(bus, flow.tenant_id)
    start = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)

    run_id = await client.create(
        flow, parameters={"y": 1}, scheduled_start_time=start, flow_run_name="brave-otter"
    )

    row = await stack.admin_pool.fetchrow("SELECT * FROM runs.flow_run WHERE id = $1", run_id)
    assert row is not None
    assert (row["version"], row["state"], row["name"]) == (1, "Scheduled", "brave-otter")
    assert (row["parameters"], row["labels"], row["context"]) == ({"x": 0, "y": 1}, ["a", "b"], {})
    assert row["run_config"] == {"type": "LocalRun", "labels": ["b", "a"]}
    assert (row["scheduled_start_time"], row["state_start_time"]) == (start, start)
    assert row["serialized_state"] == {
        "type": "Scheduled",
        "message": "Flow run scheduled.",
        "start_time": "2030-01-02T03:04:05+00:00",
    }
    task_runs = await stack.admin_pool.fetch(
        "SELECT * FROM runs.task_run WHERE flow_run_id = $1 ORDER BY task_id", run_id
    )
    assert [t["task_id"] for t in task_runs] == sorted(flow.task_ids)
    assert {(t["map_index"], t["version"], t["state"]) for t in task_runs} == {(-1, 0, "Pending")}
    assert task_runs[0]["serialized_state"] == {"type": "Pending", "message": "Task run created"}
    states = await stack.admin_pool.fetch(
        "SELECT version FROM runs.task_run_state WHERE task_run_id = ANY($1::uuid[])",
        [t["id"] for t in task_runs],
    )
    assert [s["version"] for s in states] == [0, 0]


async def test_runs_without_a_name_get_two_words(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    run_id = await Client(bus, flow.tenant_id).create(flow)

    name = await stack.admin_pool.fetchval("SELECT name FROM runs.flow_run WHERE id = $1", run_id)

    assert len(name.split("-")) == 2


async def test_one_key_makes_one_run_however_many_ask_at_once(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)

    replies = await asyncio.gather(
        *(client.ask_create(flow_id=flow.id, idempotency_key="k") for _ in range(100))
    )

    created = [reply for reply in replies if isinstance(reply, FlowRunCreated)]
    assert len(created) == 100
    assert len({reply.id for reply in created}) == 1
    assert sum(not reply.existing for reply in created) == 1
    assert await _count(stack, flow) == 1


async def test_the_same_key_names_another_run_in_another_version(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    newer = await register_flow(
        stack.admin_pool, tenant_id=flow.tenant_id, group_id=flow.group_id, version=2
    )
    client = Client(bus, flow.tenant_id)

    first = await client.create(flow, idempotency_key="k")
    second = await client.create(newer, idempotency_key="k")

    assert first != second


async def test_a_version_group_runs_its_newest_unarchived_version(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    newer = await register_flow(
        stack.admin_pool, tenant_id=flow.tenant_id, group_id=flow.group_id, version=2
    )
    await register_flow(
        stack.admin_pool,
        tenant_id=flow.tenant_id,
        group_id=flow.group_id,
        version=3,
        archived=True,
    )
    client = Client(bus, flow.tenant_id)

    reply = await client.ask_create(version_group_id=f"group {flow.group_id}")

    assert isinstance(reply, FlowRunCreated)
    assert await _count(stack, newer) == 1


async def test_what_cannot_be_run_is_refused_and_leaves_nothing(stack: Stack, bus: Bus) -> None:
    required = [{"name": name, "required": True, "default": None} for name in ("b", "a")]
    flow = await register_flow(stack.admin_pool, parameters=required)
    archived = await register_flow(stack.admin_pool, tenant_id=flow.tenant_id, archived=True)
    client = Client(bus, flow.tenant_id)

    replies = [
        await client.ask_create(),
        await client.ask_create(flow_id=new_id()),
        await client.ask_create(version_group_id="nobody's"),
        await client.ask_create(flow_id=archived.id),
        await client.ask_create(flow_id=flow.id, parameters={"x": 1}),
        await client.ask_create(flow_id=flow.id, parameters={"a": "\x00", "b": 1}),
        await client.ask_create(
            flow_id=flow.id, parameters={"a": 1, "b": 1}, flow_run_name="a\x00"
        ),
        await client.ask_create(
            flow_id=flow.id, parameters={"a": 1, "b": 1}, idempotency_key="k" * 1001
        ),
        await client.ask_create(
            flow_id=flow.id,
            parameters={"a": 1, "b": 1},
            scheduled_start_time="9999-12-31T23:59:59-12:00",
        ),
        await client.ask_create(
            flow_id=flow.id, parameters={"a": 1, "b": 1}, run_config={"type": "LocalRun", "env": 1}
        ),
    ]

    assert [(r.code.value, r.fields) for r in replies if isinstance(r, Refused)] == [
        ("flow_or_group_required", {}),
        ("flow_not_found", replies[1].fields if isinstance(replies[1], Refused) else {}),
        ("version_group_empty", {"version_group_id": "nobody's"}),
        ("flow_archived", {"flow_id": str(archived.id)}),
        ("parameters_missing", {"names": "{'a', 'b'}"}),
        ("invalid", {"reason": "parameters cannot hold the character U+0000"}),
        ("invalid", {"reason": "flow_run_name cannot hold the character U+0000"}),
        ("invalid", {"reason": "idempotency_key is longer than 1000 bytes"}),
        ("invalid", {"reason": "scheduled_start_time is beyond what a calendar holds"}),
        ("invalid", {"reason": "run_config.env: an object is expected"}),
    ]
    assert await _count(stack, flow) == 0


async def test_a_text_that_looks_like_the_escape_of_u0000_is_a_text(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    given = {"path": r"C:\u0000", "a key\\u0000": [r"\\u0000"]}

    run_id = await Client(bus, flow.tenant_id).create(flow, parameters=given, context=given)

    rows = await stack.admin_pool.fetch(
        "SELECT parameters, context FROM runs.flow_run WHERE id = $1", run_id
    )
    assert [dict(row) for row in rows] == [{"parameters": given, "context": given}]


async def test_what_is_no_child_is_refused_alone(stack: Stack, bus: Bus) -> None:
    flow, other = await register_flow(stack.admin_pool), await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)

    async def ask(flow_run_id: UUID, task_id: UUID) -> object:
        return await bus.call(
            runs.GET_OR_CREATE_TASK_RUN,
            runs.GetOrCreateTaskRun(
                tenant_id=flow.tenant_id, flow_run_id=flow_run_id, task_id=task_id, map_index=0
            ),
        )

    made, unknown_run, unknown_task, others_task = await asyncio.gather(
        ask(run_id, flow.task_ids[0]),
        ask(new_id(), flow.task_ids[0]),
        ask(run_id, new_id()),
        ask(run_id, other.task_ids[0]),
    )

    assert isinstance(made, runs.TaskRunInfo)
    assert made.serialized_state == {"type": "Pending", "message": "Task run created"}
    refused = [r.code for r in (unknown_run, unknown_task, others_task) if isinstance(r, Refused)]
    assert refused == [Code.FLOW_RUN_INVALID_ID, Code.TASK_INVALID_ID, Code.TASK_INVALID_ID]
    kept = await stack.admin_pool.fetch(
        "SELECT id FROM runs.task_run WHERE flow_run_id = $1 AND map_index = 0", run_id
    )
    assert [row["id"] for row in kept] == [made.id]


async def test_no_run_is_created_once_archiving_has_committed(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    created: list[UUID] = []
    archived = asyncio.Event()
    under_way = asyncio.Event()

    async def create() -> None:
        while not archived.is_set():
            reply = await client.ask_create(flow_id=flow.id)
            if isinstance(reply, Refused):
                return
            created.append(reply.id)
            if len(created) == 20:
                under_way.set()

    async def archive() -> None:
        await under_way.wait()
        await stack.admin_pool.execute(
            "UPDATE registry.flow SET archived = true WHERE id = $1", flow.id
        )
        archived.set()

    await asyncio.gather(archive(), *(create() for _ in range(8)))

    before = await _count(stack, flow)
    assert isinstance(await client.ask_create(flow_id=flow.id), Refused)
    assert await _count(stack, flow) == before == len(created)


async def _count(stack: Stack, flow: Flow) -> int:
    count: int = await stack.admin_pool.fetchval(
        "SELECT count(*) FROM runs.flow_run WHERE flow_id = $1", flow.id
    )
    return count
