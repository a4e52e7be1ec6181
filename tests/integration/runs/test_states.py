"""States on the real ledger: versions, histories, claims, cancelling."""

import asyncio
from typing import Any
from uuid import UUID

from libs.contracts import runs, subjects
from libs.contracts.base import Applied, Refused
from libs.contracts.errors import Code
from libs.contracts.runs import (
    FlowRunStateChanged,
    RunKind,
    StateApplied,
    StateProposal,
    VersionConflict,
)
from libs.contracts.states import State
from libs.runtime import faults
from libs.runtime.bus import Bus
from libs.runtime.ids import new_id
from tests.support.engines import Stack
from tests.support.ledger import Client, register_flow, running_flow_run, stored_messages


async def test_a_run_goes_from_scheduled_to_success_one_version_a_state(
    stack: Stack, bus: Bus
) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)

    run_id = await client.create(flow)
    outcomes = [await client.set(run_id, state) for state in ("Submitted", "Running", "Success")]

    assert [o.version for o in outcomes if isinstance(o, StateApplied)] == [2, 3, 4]
    history = await stack.admin_pool.fetch(
        "SELECT version, state FROM runs.flow_run_state WHERE flow_run_id = $1 ORDER BY version",
        run_id,
    )
    assert [tuple(row) for row in history] == [
        (1, "Scheduled"),
        (2, "Submitted"),
        (3, "Running"),
        (4, "Success"),
    ]
    row = await stack.admin_pool.fetchrow("SELECT * FROM runs.flow_run WHERE id = $1", run_id)
    assert row is not None
    assert (row["state"], row["version"]) == ("Success", 4)
    assert row["start_time"] is not None
    assert row["end_time"] > row["start_time"]
    assert row["heartbeat"] is not None


async def test_every_state_is_kept_as_sent_and_a_run_has_an_end_exactly_while_it_is_finished(
    stack: Stack, bus: Bus
) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    finished = {
        "Finished", "Looped", "Success", "Cached", "Mapped", "Skipped", "Cancelled", "Failed", "TimedOut",
        "TriggerFailed", "ValidationFailed",
    }  # fmt: skip
    waiting = {"Scheduled", "Paused", "Resume", "Retrying", "Queued"}

    for state in State:
        run_id = await client.create(flow) if state == "Submitted" else await client.start(flow)
        task = await client.task_run(run_id, flow.task_ids[0])
        sent = {"type": state.value, "message": "so it is", "context": {"tags": ["a"]}}
        sent |= {"start_time": "2026-01-01T00:00:00+00:00"} if state in waiting else {}
        outcomes = [await client.set_task(task.id, sent), await client.set(run_id, sent)]
        rows = await stack.admin_pool.fetch(
            """
            SELECT state, serialized_state, state_message, state_start_time, end_time FROM runs.flow_run WHERE id = $1
            UNION ALL
            SELECT state, serialized_state, state_message, state_start_time, end_time FROM runs.task_run WHERE id = $2
            """,
            run_id,
            task.id,
        )

        # A task of a run that is only being submitted waits for it, as its own state does not.
        assert all(isinstance(outcome, StateApplied) for outcome in outcomes), state
        for row in rows:
            assert row["state"] == state
            assert sent.items() <= row["serialized_state"].items()
            assert row["state_message"] == "so it is"
            assert (row["end_time"] is not None) is (state in finished)
            assert (row["state_start_time"] is not None) is (state in waiting)


async def test_a_person_who_saw_the_end_marks_the_run_and_its_end_follows(
    stack: Stack, bus: Bus
) -> None:
    client, _, run_id = await running_flow_run(stack, bus)
    await client.set(run_id, "Failed")

    unseen = await client.set(run_id, "Success")
    marked = await client.set(run_id, "Success", seen_version=4)

    assert [_word(unseen), _word(marked)] == ["run_finished", "Success"]
    ends = await stack.admin_pool.fetchrow(
        """
        SELECT r.state, r.end_time = s.timestamp AS follows FROM runs.flow_run r
        JOIN runs.flow_run_state s ON s.flow_run_id = r.id AND s.version = 5 WHERE r.id = $1
        """,
        run_id,
    )
    assert ends is not None
    assert tuple(ends) == ("Success", True)


async def test_a_run_that_ends_cancelled_takes_a_thousand_children_with_it_in_one_statement(
    stack: Stack, bus: Bus
) -> None:
    client, flow, run_id = await running_flow_run(stack, bus)
    children = []
    for start in range(0, 1000, 200):
        children += await asyncio.gather(
            *(client.task_run(run_id, flow.task_ids[0], start + n) for n in range(200))
        )
    await client.set_task(children[0].id, "Success")

    await client.set(run_id, {"type": "Cancelled", "message": "enough"})

    rows = await stack.admin_pool.fetch(
        """
        SELECT t.state, t.state_message, count(*), count(DISTINCT t.xmin::text) AS transactions,
            count(DISTINCT t.cmin::text) AS statements
        FROM runs.task_run t WHERE flow_run_id = $1 AND t.state <> 'Pending' GROUP BY 1, 2 ORDER BY 1
        """,
        run_id,
    )
    assert [tuple(row) for row in rows] == [
        ("Cancelled", "enough", 1000, 1, 1),  # 999 children and the task that they are of
        ("Success", None, 1, 1, 1),
    ]


async def test_a_run_is_claimed_once(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)

    first = await client.set(run_id, "Submitted")
    second = await client.set(run_id, "Submitted")

    assert isinstance(first, StateApplied)
    assert isinstance(second, Refused)
    assert second.code is Code.ALREADY_SUBMITTED


async def test_cancelling_a_waiting_run_takes_its_task_runs_with_it(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool, tasks=3)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)

    await client.cancel(run_id)

    rows = await stack.admin_pool.fetch(
        "SELECT state, version FROM runs.task_run WHERE flow_run_id = $1", run_id
    )
    assert [tuple(row) for row in rows] == [("Cancelled", 1)] * 3


async def test_a_process_that_was_starting_is_told_yes_and_does_not_undo_a_cancellation(
    stack: Stack, bus: Bus
) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)
    await client.set(run_id, "Submitted", seen_version=1)
    await client.cancel(run_id)

    answer = await client.set(run_id, "Running", seen_version=2)

    row = await stack.admin_pool.fetchrow(
        "SELECT state, version FROM runs.flow_run WHERE id = $1", run_id
    )
    assert isinstance(answer, StateApplied)
    assert row is not None
    assert tuple(row) == ("Cancelling", 3)


async def test_due_runs_are_offered_to_agents_whose_labels_cover_theirs(
    stack: Stack, bus: Bus
) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    plain = await client.create(flow)
    labelled = await client.create(flow, labels=["b", "a"])

    assert await client.queue() == [plain]
    assert await client.queue("a") == []
    assert await client.queue("c", "b", "a") == [labelled]
    assert await client.queue(*"abcdefghij") == [labelled]


async def test_a_stale_version_meets_the_lock_where_it_is_on(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool, settings={"version_locking_enabled": True})
    client = Client(bus, flow.tenant_id)
    run_id = await client.start(flow)
    task = await client.task_run(run_id, flow.task_ids[0])

    conflict = await client.set(run_id, "Running", seen_version=2)
    fits = await client.set_task(task.id, "Running", seen_version=0)
    task_conflict = await client.set_task(task.id, "Running", seen_version=0)

    assert conflict == VersionConflict(id=run_id, given=2, current=3, state="Running")
    assert isinstance(fits, StateApplied)
    assert task_conflict == VersionConflict(id=task.id, given=0, current=1, state="Running")


async def test_versions_are_ignored_where_the_lock_is_off(stack: Stack, bus: Bus) -> None:
    client, _, run_id = await running_flow_run(stack, bus)

    assert isinstance(await client.set(run_id, "Running", seen_version=99), StateApplied)


async def test_each_proposal_of_a_request_is_answered_by_itself_and_in_order(
    stack: Stack, bus: Bus
) -> None:
    flow = await register_flow(stack.admin_pool, tasks=2)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)
    first = await client.task_run(run_id, flow.task_ids[0])

    outcomes = await client.set_all(
        [
            _proposal(RunKind.TASK_RUN, first.id, "Running"),
            _proposal(RunKind.FLOW_RUN, run_id, "Submitted"),
            _proposal(RunKind.FLOW_RUN, run_id, "Running"),
            _proposal(RunKind.TASK_RUN, first.id, "Running"),
            _proposal(RunKind.FLOW_RUN, new_id(), "Running"),
            _proposal(RunKind.FLOW_RUN, run_id, "Nonsense"),
            _proposal(RunKind.FLOW_RUN, run_id, "Success"),
        ]
    )

    assert [_word(outcome) for outcome in outcomes] == [
        "flow_run_not_running",
        "Submitted",
        "Running",
        "Running",
        "run_not_found",
        "state_invalid",
        "Success",
    ]
    versions = await stack.admin_pool.fetch(
        "SELECT version, timestamp FROM runs.flow_run_state WHERE flow_run_id = $1 ORDER BY timestamp",
        run_id,
    )
    assert [row["version"] for row in versions] == [1, 2, 3, 4]


async def test_one_tenant_cannot_touch_the_runs_of_another(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    client, stranger = Client(bus, flow.tenant_id), Client(bus, new_id())
    run_id = await client.start(flow)
    task = await client.task_run(run_id, flow.task_ids[0])

    outcomes: list[object] = [
        await stranger.set(run_id, "Failed"),
        await stranger.set_task(task.id, "Failed"),
        await stranger.cancel(run_id),
        await stranger.ask_create(flow_id=flow.id),
        await stranger.bus.call(
            runs.GET_OR_CREATE_TASK_RUN,
            runs.GetOrCreateTaskRun(
                tenant_id=stranger.tenant_id, flow_run_id=run_id, task_id=flow.task_ids[0]
            ),
        ),
    ]
    deleted = await stranger.bus.call(
        runs.DELETE_FLOW_RUN,
        runs.DeleteFlowRun(tenant_id=stranger.tenant_id, flow_run_id=run_id),
    )

    assert [_word(outcome) for outcome in outcomes] == [
        "run_not_found",
        "run_not_found",
        "flow_run_invalid_id",
        "flow_not_found",
        "flow_run_invalid_id",
    ]
    assert isinstance(deleted, Applied)
    assert deleted.success is False
    assert await stranger.queue() == []


async def test_cached_inputs_live_on_in_later_states(stack: Stack, bus: Bus) -> None:
    client, flow, run_id = await running_flow_run(stack, bus)
    task = await client.task_run(run_id, flow.task_ids[0])
    inputs = {"x": {"type": "PrefectResult", "location": "1", "__version__": "1.4.1"}}

    await client.set_task(task.id, {"type": "Running", "cached_inputs": inputs})
    await client.set_task(task.id, {"type": "Failed", "cached_inputs": {}})
    await client.set_task(task.id, {"type": "Retrying", "start_time": "2026-01-01T00:00:00Z"})

    info = await client.task_run(run_id, flow.task_ids[0])
    assert info.serialized_state["cached_inputs"] == inputs
    assert (info.version, info.state) == (3, "Retrying")
    retries = await stack.admin_pool.fetchval(
        "SELECT retries FROM runs.task_run WHERE id = $1", task.id
    )
    assert retries == 1


async def test_every_state_of_a_flow_run_is_told_as_an_event(stack: Stack, bus: Bus) -> None:
    client, _, run_id = await running_flow_run(stack, bus)
    await client.set(run_id, {"type": "Success", "message": "done"})
    subject = subjects.FLOW_RUN_STATE_CHANGED.at(flow_run_id=run_id)

    events = await stored_messages(bus, "EVENTS", subject, count=4)

    told = [FlowRunStateChanged.model_validate_json(event) for event in events]
    assert [(e.version, e.previous_state, e.state, e.message) for e in told] == [
        (1, None, "Scheduled", "Flow run scheduled."),
        (2, "Scheduled", "Submitted", None),
        (3, "Submitted", "Running", None),
        (4, "Running", "Success", "done"),
    ]


async def test_a_claim_names_the_agent_that_made_it(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    registered = await bus.call(
        runs.REGISTER_AGENT, runs.RegisterAgent(tenant_id=flow.tenant_id, type="LocalAgent")
    )
    assert isinstance(registered, Applied)
    run_id, other_id = await client.create(flow), await client.create(flow)

    await Client(bus, flow.tenant_id, registered.id).set(run_id, "Submitted")
    await Client(bus, flow.tenant_id, new_id()).set(other_id, "Submitted")

    rows = await stack.admin_pool.fetch(
        "SELECT agent_id FROM runs.flow_run WHERE id = ANY($1::uuid[]) ORDER BY id",
        [run_id, other_id],
    )
    assert [row["agent_id"] for row in rows] == [registered.id, None]


async def test_a_claim_does_not_name_another_tenants_agent(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    registered = await bus.call(
        runs.REGISTER_AGENT, runs.RegisterAgent(tenant_id=new_id(), type="LocalAgent")
    )
    assert isinstance(registered, Applied)
    run_id = await Client(bus, flow.tenant_id).create(flow)

    await Client(bus, flow.tenant_id, registered.id).set(run_id, "Submitted")

    named = await stack.admin_pool.fetchval(
        "SELECT agent_id FROM runs.flow_run WHERE id = $1", run_id
    )
    assert named is None


async def test_a_lease_fences_off_who_lost_the_run(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)
    old, new = new_id(), new_id()

    claimed = await client.set(run_id, "Submitted", lease_token=old)
    again = await client.set(run_id, "Submitted", lease_token=old)
    await client.set(run_id, "Scheduled")
    await client.set(run_id, "Submitted", lease_token=new)
    late = await client.set(run_id, "Running", lease_token=old)
    current = await client.set(run_id, "Running", lease_token=new)

    assert claimed == again
    assert [_word(late), _word(current)] == ["lease_lost", "Running"]


async def test_a_state_is_applied_without_what_cannot_be_stored(stack: Stack, bus: Bus) -> None:
    client, _, run_id = await running_flow_run(stack, bus)

    outcomes = await client.set_all(
        [
            _proposal(RunKind.FLOW_RUN, run_id, "Running", message="a\x00b"),
            _proposal(RunKind.FLOW_RUN, run_id, "Running", message="x" * 3_000_000),
            _proposal(RunKind.FLOW_RUN, run_id, "Running", _result="x" * 1_000_000),
            _proposal(RunKind.FLOW_RUN, run_id, "Success", message="ok"),
        ]
    )

    assert [_word(outcome) for outcome in outcomes] == [
        "Running",
        "Running",
        "state_too_large",
        "Success",
    ]
    said = await stack.admin_pool.fetch(
        "SELECT message FROM runs.flow_run_state WHERE flow_run_id = $1 ORDER BY version DESC LIMIT 3",
        run_id,
    )
    assert [said[2]["message"], said[0]["message"]] == ["a�b", "ok"]
    assert "characters were cut here" in said[1]["message"]


async def test_a_ui_restart_takes_failed_tasks_and_the_run_back_to_work(
    stack: Stack, bus: Bus
) -> None:
    client, flow, run_id = await running_flow_run(stack, bus)
    task = await client.task_run(run_id, flow.task_ids[0])
    await client.set_task(task.id, "Running")
    await client.set_task(task.id, "Failed")
    await client.set(run_id, "Failed")
    message = "somebody restarted this flow run"

    pending = await client.set_task(
        task.id, {"type": "Pending", "message": message}, seen_version=2
    )
    scheduled = await client.set(run_id, {"type": "Scheduled", "message": message}, seen_version=4)

    assert [_word(pending), _word(scheduled)] == ["Pending", "Scheduled"]
    assert await client.queue() == [run_id]
    row = await stack.admin_pool.fetchrow(
        "SELECT start_time, end_time FROM runs.flow_run WHERE id = $1", run_id
    )
    assert row is not None
    assert row["start_time"] is not None
    assert row["end_time"] is None


async def test_a_paused_task_is_approved_and_its_run_is_due_again(stack: Stack, bus: Bus) -> None:
    client, flow, run_id = await running_flow_run(stack, bus)
    task = await client.task_run(run_id, flow.task_ids[0])
    await client.set_task(task.id, {"type": "Paused", "start_time": None})
    paused = await client.queue()

    await client.set_task(task.id, "Resume")

    assert paused == []
    assert await client.queue() == [run_id]
    submitted = await client.set_task(task.id, "Submitted")
    assert isinstance(submitted, StateApplied)
    assert await client.queue() == []


async def test_task_runs_asked_for_at_once_are_made_once(stack: Stack, bus: Bus) -> None:
    client, flow, run_id = await running_flow_run(stack, bus)

    infos = await asyncio.gather(
        *(client.task_run(run_id, flow.task_ids[0], index % 10) for index in range(100))
    )

    assert len({info.id for info in infos}) == 10
    assert {(info.version, info.state) for info in infos} == {(0, "Pending")}
    histories = await stack.admin_pool.fetchval(
        "SELECT count(*) FROM runs.task_run_state WHERE task_run_id = ANY($1::uuid[])",
        list({info.id for info in infos}),
    )
    assert histories == 10


async def test_a_task_of_another_flow_is_no_task_of_this_run(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    other = await register_flow(stack.admin_pool, tenant_id=flow.tenant_id)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)

    replies: list[object] = [
        await bus.call(
            runs.GET_OR_CREATE_TASK_RUN,
            runs.GetOrCreateTaskRun(
                tenant_id=flow.tenant_id, flow_run_id=flow_run, task_id=task_id
            ),
        )
        for flow_run, task_id in [
            (run_id, other.task_ids[0]),
            (run_id, new_id()),
            (new_id(), flow.task_ids[0]),
        ]
    ]

    assert [_word(reply) for reply in replies] == [
        "task_invalid_id",
        "task_invalid_id",
        "flow_run_invalid_id",
    ]


async def test_a_batch_that_dies_before_its_commit_leaves_nothing(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)
    faults.arm(faults.Point.RUNS_BEFORE_COMMIT, faults.fail)
    try:
        refused = await bus.call(
            runs.CANCEL_FLOW_RUN,
            runs.CancelFlowRun(tenant_id=flow.tenant_id, flow_run_id=run_id),
        )
    finally:
        faults.disarm()

    assert _word(refused) == "internal"
    row = await stack.admin_pool.fetchrow(
        "SELECT state, version FROM runs.flow_run WHERE id = $1", run_id
    )
    assert row is not None
    assert tuple(row) == ("Scheduled", 1)


async def test_a_commit_whose_answer_is_lost_is_not_applied_twice(stack: Stack, bus: Bus) -> None:
    client, flow, run_id = await running_flow_run(stack, bus)
    faults.arm(faults.Point.RUNS_AFTER_COMMIT_BEFORE_ANSWER, faults.fail)
    try:
        reply = await bus.call(
            runs.SET_STATES,
            runs.SetStates(
                tenant_id=flow.tenant_id,
                proposals=[_proposal(RunKind.FLOW_RUN, run_id, "Success")],
            ),
        )
    finally:
        faults.disarm()
    retried = await client.set(run_id, "Success")

    assert _word(reply) == "internal"
    assert retried == StateApplied(id=run_id, version=4, state="Success")


def _proposal(kind: RunKind, run_id: UUID, name: str, **fields: Any) -> StateProposal:
    return StateProposal(run_kind=kind, run_id=run_id, state={"type": name, **fields})


def _word(outcome: object) -> str:
    """A refusal's code, or the name of the state."""
    if isinstance(outcome, Refused):
        return outcome.code.value
    assert isinstance(outcome, StateApplied), outcome
    return outcome.state


async def test_an_agent_whose_answer_was_lost_is_told_again_that_it_has_the_run(
    stack: Stack, bus: Bus
) -> None:
    """Replicas of an agent register as one; the same words of two processes must not start a run twice."""
    flow = await register_flow(stack.admin_pool)

    async def register() -> UUID:
        reply = await bus.call(
            runs.REGISTER_AGENT,
            runs.RegisterAgent(tenant_id=flow.tenant_id, type="KubernetesAgent", name="agent"),
        )
        assert isinstance(reply, Applied)
        assert reply.id is not None
        return reply.id

    client = Client(bus, flow.tenant_id, await register())
    once, twice = await client.create(flow), await client.create(flow)
    claims = [await client.set(once, "Submitted", seen_version=1) for _ in range(2)]
    of_another = await Client(bus, flow.tenant_id, new_id()).set(once, "Submitted", seen_version=1)
    assert await register() == client.agent_id  # a second replica, or the same one started anew
    rivals = [await client.set(twice, "Submitted", seen_version=1) for _ in range(2)]
    await stack.admin_pool.execute(
        "UPDATE runs.agent SET last_queried = last_queried - interval '2 days' WHERE id = $1",
        client.agent_id,
    )
    await register()
    after_a_day = await client.set(twice, "Submitted", seen_version=1)

    assert claims[0] == claims[1]
    assert [_word(claims[0]), _word(of_another)] == ["Submitted", "already_submitted"]
    assert [_word(rival) for rival in rivals] == ["Submitted", "already_submitted"]
    assert _word(after_a_day) == "Submitted"
