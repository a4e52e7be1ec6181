"""Claims, leases and fencing on the real ledger."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.js.errors import APIError

from libs.contracts import agents, runs, subjects
from libs.contracts.agents import Outcome, Standing, Welcome
from libs.contracts.base import Refused, Rpc
from libs.contracts.errors import Code
from libs.contracts.runs import LogBatch, LogLine, StateApplied
from libs.contracts.subjects import agent_inbox
from libs.runtime.bus import Bus
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.runs.app import Runs
from services.runs.dispatch import lines
from services.runs.dispatch.lines import AgentLines
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Client, Flow, bus_on, ledger_on, register_flow, tenant_with_flow
from tests.support.raw_agent import RawAgent, raw_agent

ROUNDS = int(os.environ.get("HEADWATER_RACE_ROUNDS", "10"))
"""`make test-races` asks for 1,000: 10,000 due runs."""


@pytest.fixture(scope="module")
async def ledger(stack: Stack) -> AsyncIterator[Runs]:
    async with ledger_on(stack) as ledger:
        yield ledger


@pytest.fixture(scope="module")
async def bus(stack: Stack, ledger: Runs) -> AsyncIterator[Bus]:
    async with bus_on(stack) as bus:
        yield bus


@pytest.fixture
async def flow(stack: Stack, ledger: Runs) -> Flow:
    return await tenant_with_flow(stack.admin_pool)


@pytest.fixture
async def client(bus: Bus, flow: Flow) -> Client:
    return Client(bus, flow.tenant_id)


async def row(stack: Stack, run_id: UUID) -> dict[str, object]:
    found = await stack.admin_pool.fetchrow("SELECT * FROM runs.flow_run WHERE id = $1", run_id)
    assert found is not None
    return dict(found)


async def history(stack: Stack, run_id: UUID) -> list[str]:
    rows = await stack.admin_pool.fetch(
        "SELECT state FROM runs.flow_run_state WHERE flow_run_id = $1 ORDER BY version", run_id
    )
    return [found["state"] for found in rows]


async def lapse(stack: Stack, run_id: UUID) -> None:
    """Let the time of the run's lease pass."""
    await stack.admin_pool.execute(
        "UPDATE runs.flow_run SET lease_expires = now() - interval '1 s' WHERE id = $1", run_id
    )


@asynccontextmanager
async def without_looks(ledger: Runs) -> AsyncIterator[None]:
    """Dispatch does not look once a second meanwhile: a claim is served by what wakes it, or not at all."""
    [loop] = [each for each in ledger.loops if each.name == "dispatch"]
    await loop.stop()
    try:
        yield
    finally:
        loop.start()


@asynccontextmanager
async def crowd(stack: Stack, tenant_id: UUID, size: int) -> AsyncIterator[list[RawAgent]]:
    """Many agents alike."""
    async with AsyncExitStack() as exits:
        yield [
            await exits.enter_async_context(raw_agent(stack.nats_url, tenant_id))
            for _ in range(size)
        ]


async def test_an_agent_is_told_who_it_is_and_how_to_behave(stack: Stack, flow: Flow) -> None:
    async with raw_agent(stack.nats_url, flow.tenant_id, "gpu") as agent:
        first, again = await agent.hello(), await agent.hello()

    assert isinstance(first, Welcome)
    assert isinstance(again, Welcome)
    assert first.agent_id == again.agent_id
    known = await stack.admin_pool.fetchrow(
        "SELECT type, labels FROM runs.agent WHERE id = $1", first.agent_id
    )
    assert known is not None
    assert dict(known) == {"type": "HeadwaterAgent", "labels": ["gpu"]}


async def test_an_agent_of_no_tenant_or_of_another_protocol_is_refused(
    stack: Stack, ledger: Runs
) -> None:
    async with raw_agent(stack.nats_url, new_id()) as agent:
        nowhere = await agent.hello()
        stranger = await agent.hello(protocols=[7, 8])

    assert isinstance(nowhere, Refused)
    assert nowhere.code is Code.TENANT_INVALID
    assert isinstance(stranger, Refused)
    assert stranger.code is Code.INVALID


async def test_a_due_run_is_claimed_with_what_is_needed_to_start_it(
    stack: Stack, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow, run_config={"type": "LocalRun", "env": {"A": "1"}})
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        [run] = await agent.take()

    assert (run.flow_run_id, run.flow_id, run.attempt) == (run_id, flow.id, 1)
    assert run.flow_name == "a flow"
    assert run.run_config == {"type": "LocalRun", "env": {"A": "1"}}
    found = await row(stack, run_id)
    assert (found["state"], found["version"]) == ("Submitted", 2)
    assert (found["lease_token"], found["agent_id"]) == (run.lease_token, agent.agent_id)
    assert await history(stack, run_id) == ["Scheduled", "Submitted"]


async def test_a_submitted_state_wraps_the_scheduled_one_that_runners_unwrap(
    stack: Stack, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        await agent.take()

    state = (await row(stack, run_id))["serialized_state"]
    assert isinstance(state, dict)
    assert state["state"]["type"] == "Scheduled"


async def test_a_waiting_claim_is_answered_when_a_run_is_created(
    stack: Stack, client: Client, flow: Flow
) -> None:
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        await agent.claim(wait=20)
        run_id = await client.create(flow)
        [run] = await agent.claimed_runs()

    assert run.flow_run_id == run_id


async def test_a_scheduled_run_is_claimed_at_its_instant_and_not_before(
    stack: Stack, ledger: Runs, client: Client, flow: Flow
) -> None:
    async with (
        raw_agent(stack.nats_url, flow.tenant_id) as agent,
        without_looks(ledger),
    ):
        await agent.claim(wait=60)
        start = utc_now() + timedelta(seconds=1.5)
        await client.create(flow, scheduled_start_time=start)
        [run] = await agent.claimed_runs()
        claimed_at = utc_now()

    assert run.due == start
    assert claimed_at >= start


async def test_a_claim_that_does_not_wait_is_answered_with_nothing(
    stack: Stack, ledger: Runs, flow: Flow
) -> None:
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        assert await agent.take() == []


async def test_labels_decide_who_gets_a_run(stack: Stack, client: Client, flow: Flow) -> None:
    plain = await client.create(flow, labels=[])
    gpu = await client.create(flow, labels=["gpu"])
    both = await client.create(flow, labels=["gpu", "eu"])
    async with (
        raw_agent(stack.nats_url, flow.tenant_id) as unlabelled,
        raw_agent(stack.nats_url, flow.tenant_id, "gpu", "spare") as one,
        raw_agent(stack.nats_url, flow.tenant_id, "gpu", "eu") as two,
    ):
        of_unlabelled = [r.flow_run_id for r in await unlabelled.take(capacity=9)]
        of_one = [r.flow_run_id for r in await one.take(capacity=9)]
        of_two = [r.flow_run_id for r in await two.take(capacity=9)]

    assert (of_unlabelled, of_one, of_two) == ([plain], [gpu], [both])


async def test_agents_that_wait_share_what_comes_due(
    stack: Stack, ledger: Runs, client: Client, flow: Flow
) -> None:
    for _ in range(6):
        await client.create(flow, scheduled_start_time=utc_now() + timedelta(hours=1))
    async with (
        raw_agent(stack.nats_url, flow.tenant_id) as one,
        raw_agent(stack.nats_url, flow.tenant_id) as two,
        raw_agent(stack.nats_url, flow.tenant_id) as three,
    ):
        parties = (one, two, three)
        for agent in parties:
            await agent.claim(capacity=10, wait=60)
        await eventually(
            lambda: (
                {(flow.tenant_id, agent.agent_id) for agent in parties}
                <= set(ledger.dispatch.dispatcher.waiting_agents())
            )
        )
        # Their hour has come, for all of them at once.
        await stack.admin_pool.execute(
            "UPDATE runs.flow_run SET state_start_time = now() WHERE tenant_id = $1", flow.tenant_id
        )
        shares = [await agent.claimed_runs() for agent in parties]

    assert [len(runs) for runs in shares] == [2, 2, 2]


async def test_a_repeated_claim_is_given_the_same_runs(
    stack: Stack, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        claim_id = await agent.claim()
        first = await agent.claimed_runs()
        await agent.claim(claim_id=claim_id, is_repeated=True)
        again = await agent.claimed_runs()

    assert [run.flow_run_id for run in first] == [run_id]
    assert [run.lease_token for run in first] == [run.lease_token for run in again]
    assert await history(stack, run_id) == ["Scheduled", "Submitted"]


async def test_the_run_of_an_agent_that_is_not_heard_of_goes_to_the_next(
    stack: Stack, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow)
    async with (
        raw_agent(stack.nats_url, flow.tenant_id) as silent,
        raw_agent(stack.nats_url, flow.tenant_id) as lively,
    ):
        [lost] = await silent.take()
        await lively.claim(wait=20)
        await lapse(stack, run_id)
        [run] = await lively.claimed_runs()
        standing = [renewal.standing for renewal in await silent.renew(lost)]
        held = [renewal.standing for renewal in await lively.renew(run)]
        late = await silent.report(lost, Outcome.EXITED, exit_code=0)

    assert (run.flow_run_id, run.attempt) == (run_id, 2)
    assert standing == [Standing.LOST]
    assert held == [Standing.HELD]
    assert isinstance(late, Refused)
    assert late.code is Code.LEASE_LOST
    assert await history(stack, run_id) == ["Scheduled", "Submitted", "Scheduled", "Submitted"]


async def test_a_state_with_a_stale_lease_is_refused(
    stack: Stack, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        [lost] = await agent.take()
        await lapse(stack, run_id)
        [run] = await agent.take(wait=20)
        stale = await client.set(run_id, "Running", lease_token=lost.lease_token)
        fresh = await client.set(run_id, "Running", lease_token=run.lease_token)

    assert isinstance(stale, Refused)
    assert stale.code is Code.LEASE_LOST
    assert isinstance(fresh, StateApplied)


async def test_a_restarted_run_is_no_longer_its_old_process_s(
    stack: Stack, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow)
    later = (utc_now() + timedelta(hours=1)).isoformat()
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        [run] = await agent.take()
        await client.set(run_id, "Running", lease_token=run.lease_token)
        await client.set(run_id, {"type": "Scheduled", "start_time": later})
        late = await client.set(run_id, "Success", lease_token=run.lease_token)
        [renewal] = await agent.renew(run)

    assert isinstance(late, Refused)
    assert late.code is Code.LEASE_LOST
    assert renewal.standing is Standing.LOST
    assert (await row(stack, run_id))["state"] == "Scheduled"


async def test_a_stock_agent_is_not_offered_a_retry_that_a_native_ones_process_waits_for(
    stack: Stack, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        [run] = await agent.take()
        await agent.renew(run)
        await client.set(run_id, "Running")
        task = await client.task_run(run_id, flow.task_ids[0])
        due = utc_now() - timedelta(seconds=4)
        await client.set_task(task.id, {"type": "Retrying", "start_time": due.isoformat()})
        while_alive = await client.queue()
        await agent.report(run, Outcome.EXITED, exit_code=0)
        after = await client.queue()

    assert (while_alive, after) == ([], [run_id])


async def test_the_run_of_an_agent_whose_connection_died_goes_back_at_once(
    stack: Stack, client: Client, flow: Flow
) -> None:
    async with (
        raw_agent(stack.nats_url, flow.tenant_id) as dead,
        raw_agent(stack.nats_url, flow.tenant_id) as lively,
    ):
        await dead.claim(wait=60)
        await dead.client.close()

        async def has_gone() -> bool:
            """The broker knows it."""
            try:
                await lively.client.request(dead.inbox, timeout=1)
            except NoRespondersError:
                return True
            return False

        await eventually(has_gone)
        await lively.claim(wait=60)
        run_id = await client.create(flow)
        [run] = await lively.claimed_runs()

    assert run.flow_run_id == run_id
    # A lease that lapses is an attempt.
    assert run.attempt == 1, "an agent that had gone tried nothing"


async def test_a_renewed_lease_outlives_the_first_one(
    stack: Stack, ledger: Runs, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        [run] = await agent.take()
        [renewal] = await agent.renew(run)

    assert (renewal.standing, renewal.state) == (Standing.HELD, "Submitted")
    left = await stack.admin_pool.fetchval(
        "SELECT lease_expires - now() FROM runs.flow_run WHERE id = $1", run_id
    )
    assert timedelta(seconds=20) < left <= timedelta(seconds=30)


async def test_a_running_run_keeps_its_lease_however_late_its_agent_is(
    stack: Stack, ledger: Runs, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        [run] = await agent.take()
        await client.set(run_id, "Running")
        await lapse(stack, run_id)
        await ledger.dispatch.take_back()
        [renewal] = await agent.renew(run)

    assert renewal.standing is Standing.HELD
    assert (await row(stack, run_id))["state"] == "Running"


async def test_holders_are_told_of_cancellation_and_of_the_end(
    stack: Stack, client: Client, flow: Flow
) -> None:
    cancelled, finished = await client.create(flow), await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        runs = await agent.take(capacity=2)
        await client.cancel(cancelled)
        await client.set(finished, "Running")
        await client.set(finished, "Success")
        told = {r.flow_run_id: r.standing for r in await agent.renew(*runs)}

    assert told == {cancelled: Standing.CANCEL, finished: Standing.OVER}


async def test_a_process_that_ends_before_its_run_began_is_tried_again_and_then_failed(
    stack: Stack, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow)
    states = []
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        for _ in range(5):
            await stack.admin_pool.execute(
                "UPDATE runs.flow_run SET state_start_time = now() WHERE id = $1 AND state = 'Scheduled'",
                run_id,
            )
            [run] = await agent.take(wait=10)
            answer = await agent.report(run, Outcome.EXITED, exit_code=1)
            assert not isinstance(answer, Refused)
            states.append(answer.state)

    assert states == ["Scheduled", "Scheduled", "Scheduled", "Scheduled", "Failed"]
    message = (await row(stack, run_id))["state_message"]
    assert message == "The flow run's process ended with exit code 1. It was tried 5 times."


async def test_a_process_that_cannot_be_started_fails_its_run_with_the_reason(
    stack: Stack, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        [run] = await agent.take()
        await agent.report(run, Outcome.UNSTARTED, message="The folder /nowhere does not exist")

    found = await row(stack, run_id)
    assert (found["state"], found["state_message"]) == (
        "Failed",
        "The folder /nowhere does not exist.",
    )


async def test_a_run_whose_process_was_killed_is_judged_at_once(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool, max_retries=1)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        [run] = await agent.take()
        await client.set(run_id, "Running")
        task = await client.task_run(run_id, flow.task_ids[0])
        await client.set_task(task.id, "Running")
        await agent.report(run, Outcome.EXITED, exit_code=137)
        task = await client.task_run(run_id, flow.task_ids[0])

    assert task.state == "Retrying"
    assert (await row(stack, run_id))["lease_token"] is None


@pytest.mark.parametrize("exit_code", [0, 137])
async def test_a_run_whose_process_left_it_running_comes_back_at_once(
    stack: Stack, client: Client, flow: Flow, exit_code: int
) -> None:
    """Core's runner leaves with 0 when it meets a task that still runs in an earlier, dead process."""
    run_id = await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        [run] = await agent.take()
        await client.set(run_id, "Running")
        task = await client.task_run(run_id, flow.task_ids[0])
        await client.set_task(task.id, "Running")
        answer = await agent.report(run, Outcome.EXITED, exit_code=exit_code)
        task = await client.task_run(run_id, flow.task_ids[0])
        [again] = await agent.take(wait=30)

    assert not isinstance(answer, Refused)
    assert (answer.state, task.state) == ("Scheduled", "Failed")
    assert again.flow_run_id == run_id
    found = await row(stack, run_id)
    assert (found["state"], found["times_resurrected"]) == ("Submitted", 1)


async def test_a_dead_process_of_a_flow_without_lazarus_fails_its_run_with_the_reason(
    stack: Stack, bus: Bus
) -> None:
    flow = await register_flow(stack.admin_pool, settings={"lazarus_enabled": False})
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        [run] = await agent.take()
        await client.set(run_id, "Running")
        answer = await agent.report(run, Outcome.EXITED, exit_code=137)

    assert not isinstance(answer, Refused)
    assert answer.state == "Failed"
    message = (await row(stack, run_id))["state_message"]
    assert message == "The flow run's process was ended by signal 9."


async def test_a_run_that_waits_for_a_retry_is_claimed_when_the_retry_is_due(
    stack: Stack, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        [run] = await agent.take()
        await client.set(run_id, "Running")
        task = await client.task_run(run_id, flow.task_ids[0])
        due = utc_now() - timedelta(seconds=4)
        await client.set_task(task.id, {"type": "Retrying", "start_time": due.isoformat()})
        while_alive = await agent.take()
        await agent.report(run, Outcome.EXITED, exit_code=0)
        [again] = await agent.take(wait=10)

    assert while_alive == []
    assert (again.flow_run_id, again.attempt) == (run_id, 2)
    assert (await row(stack, run_id))["state"] == "Running"


async def test_a_cancelled_run_whose_process_is_gone_is_cancelled(
    stack: Stack, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        [run] = await agent.take()
        await client.set(run_id, "Running")
        await client.cancel(run_id)
        answer = await agent.report(run, Outcome.EXITED, exit_code=130)

    assert not isinstance(answer, Refused)
    assert answer.state == "Cancelled"


async def test_an_agent_that_drains_is_given_nothing_more(
    stack: Stack, ledger: Runs, client: Client, flow: Flow
) -> None:
    async with (
        raw_agent(stack.nats_url, flow.tenant_id) as leaving,
        raw_agent(stack.nats_url, flow.tenant_id) as staying,
    ):
        await leaving.claim(wait=20)
        await leaving.ask(agents.DRAIN, agents.Drain(session=leaving.session))
        await staying.claim(wait=20)
        await client.create(flow)
        [run] = await staying.claimed_runs()

    assert run.attempt == 1
    assert leaving.claimed.empty()


@pytest.mark.timeout(300 + ROUNDS)
async def test_fifty_agents_and_two_replicas_start_each_run_once(stack: Stack, flow: Flow) -> None:
    async with ledger_on(stack), bus_on(stack) as bus:
        client = Client(bus, flow.tenant_id)
        start = utc_now() + timedelta(seconds=2)
        todo = iter(range(ROUNDS * 10))

        async def make() -> list[UUID]:
            return [await client.create(flow, scheduled_start_time=start) for _ in todo]

        wanted = [
            run for made in await asyncio.gather(*(make() for _ in range(100))) for run in made
        ]

        async def work(agent: RawAgent) -> list[UUID]:
            got: list[UUID] = []
            while claimed := await agent.take(capacity=3, wait=4):
                got += [run.flow_run_id for run in claimed]
                await agent.renew(*claimed)
            return got

        async with crowd(stack, flow.tenant_id, 50) as parties:
            taken = await asyncio.gather(*(work(agent) for agent in parties))

    everything = [run for got in taken for run in got]
    assert sorted(everything) == sorted(wanted)


async def test_claims_of_a_replica_that_died_are_made_again_on_a_signal(
    stack: Stack, client: Client, flow: Flow
) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    await stack.admin_pool.execute(
        "INSERT INTO runs.agent (id, tenant_id, type, labels, last_queried) "
        "VALUES (gen_random_uuid(), $1, 'HeadwaterAgent', '[\"gpu\"]', now())",
        flow.tenant_id,
    )
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:

        async def hear(message: Msg) -> None:
            heard.put_nowait(message.data)

        await agent.client.subscribe(f"hw.sig.agent.{flow.tenant_id}.work_ready", cb=hear)
        await agent.client.flush()
        await client.create(flow, labels=["gpu"])
        signal = await asyncio.wait_for(heard.get(), 60)

    assert signal == b'{"labels":[["gpu"]]}'


@pytest.mark.parametrize("waits", [False, True], ids=["asks", "waits"])
async def test_presence_is_written_down(
    stack: Stack, ledger: Runs, flow: Flow, *, waits: bool
) -> None:
    async def forget() -> None:
        await stack.admin_pool.execute(
            "UPDATE runs.agent SET last_queried = NULL WHERE id = $1", agent.agent_id
        )

    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        await agent.hello()
        await forget()
        if waits:
            await agent.claim(wait=60)
            await eventually(
                lambda: (
                    (flow.tenant_id, agent.agent_id)
                    in set(ledger.dispatch.dispatcher.waiting_agents())
                )
            )
            await ledger.dispatch.write_presence()  # what the claim itself said
            await forget()
            await ledger.dispatch.note_waiting_agents()
        else:
            await agent.take()
        await ledger.dispatch.write_presence()

    async def written() -> object:
        return await stack.admin_pool.fetchval(
            "SELECT last_queried FROM runs.agent WHERE id = $1", agent.agent_id
        )

    assert await eventually(written)


async def test_a_freed_slot_wakes_the_agent_that_waits_for_it(
    stack: Stack, ledger: Runs, client: Client, flow: Flow
) -> None:
    await client.bus.call(
        runs.SET_CONCURRENCY_LIMIT,
        runs.SetConcurrencyLimit(
            tenant_id=flow.tenant_id, run_kind=runs.RunKind.FLOW_RUN, name="gpu", limit=2
        ),
    )
    run_ids = [await client.create(flow, labels=["gpu"]) for _ in range(5)]
    async with raw_agent(stack.nats_url, flow.tenant_id, "gpu") as agent:
        first = await agent.take(capacity=5)
        assert {run.flow_run_id for run in first} == set(run_ids[:2])
        async with without_looks(ledger):
            await agent.claim(wait=60, capacity=5)
            await client.set(run_ids[0], "Failed", lease_token=first[0].lease_token)
            [third] = await agent.claimed_runs()

        assert third.flow_run_id == run_ids[2]
        assert [(await row(stack, id_))["state"] for id_ in run_ids[3:]] == ["Scheduled"] * 2


async def test_the_slot_of_a_deleted_run_is_given_on_at_once(
    ledger: Runs, client: Client, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at the next look, which would find it too: so what is asked is who was woken, before the answer came."""
    await client.bus.call(
        runs.SET_CONCURRENCY_LIMIT,
        runs.SetConcurrencyLimit(
            tenant_id=flow.tenant_id, run_kind=runs.RunKind.FLOW_RUN, name="gpu", limit=1
        ),
    )
    run_id = await client.start(flow, labels=["gpu"])
    woken: list[UUID] = []
    monkeypatch.setattr(ledger.dispatch, "due", woken.append)

    await client.bus.call(
        runs.DELETE_FLOW_RUN, runs.DeleteFlowRun(tenant_id=flow.tenant_id, flow_run_id=run_id)
    )

    # The leases of other tests may lapse in the same moment.
    assert [tenant for tenant in woken if tenant == flow.tenant_id] == [flow.tenant_id]


async def test_a_claim_that_lapses_gives_its_slot_back(
    stack: Stack, ledger: Runs, client: Client, flow: Flow
) -> None:
    await client.bus.call(
        runs.SET_CONCURRENCY_LIMIT,
        runs.SetConcurrencyLimit(
            tenant_id=flow.tenant_id, run_kind=runs.RunKind.FLOW_RUN, name="gpu", limit=1
        ),
    )
    one, other = [await client.create(flow, labels=["gpu"]) for _ in range(2)]
    async with raw_agent(stack.nats_url, flow.tenant_id, "gpu") as agent:
        [taken] = await agent.take(capacity=5)
        assert taken.flow_run_id == one
        await client.cancel(one)
        await client.set(one, "Cancelled")
        [held] = await agent.take(capacity=5)
        assert held.flow_run_id == other
        await lapse(stack, other)
        [again] = await agent.take(capacity=5, wait=20)

    assert (again.flow_run_id, again.attempt) == (other, 2)
    assert await stack.admin_pool.fetchval(
        "SELECT array_agg(run_id) FROM runs.concurrency_slot WHERE tenant_id = $1", flow.tenant_id
    ) == [other]


async def test_every_request_may_be_made_twice(stack: Stack, client: Client, flow: Flow) -> None:
    """An agent that got no answer repeats what it asked, and nothing is done again."""
    run_id = await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        claim_id = await agent.claim()
        [run] = await agent.claimed_runs()
        await agent.claim(claim_id=claim_id, is_repeated=True)
        assert await agent.claimed_runs() == [run]
        for _ in range(2):
            [renewal] = await agent.renew(run)
            assert renewal.standing is Standing.HELD
        assert isinstance(await client.set(run_id, "Running"), StateApplied)
        assert isinstance(await agent.report(run, Outcome.EXITED, exit_code=0), agents.Reported)
        before = await row(stack, run_id)

        again = await agent.report(run, Outcome.EXITED, exit_code=1)
        drains = [
            await agent.ask(agents.DRAIN, agents.Drain(session=agent.session)) for _ in range(2)
        ]

    assert isinstance(again, Refused)
    assert again.code == Code.LEASE_LOST
    assert drains[0] == drains[1]
    assert await row(stack, run_id) == before
    assert await history(stack, run_id) == ["Scheduled", "Submitted", "Running", "Scheduled"]


@pytest.mark.parametrize(
    "verb", [agents.HELLO, agents.CLAIM, agents.RENEW, agents.REPORT, agents.DRAIN]
)
async def test_an_answer_goes_to_no_subject_but_an_inbox_of_the_asking_tenant(
    stack: Stack, flow: Flow, verb: Rpc[Any, Any]
) -> None:
    """The ledger answers with its own rights; where to, the agent says."""
    other, run = new_id(), new_id()
    foreign = [
        f"hw.sig.agent.{other}.cancel.{run}",
        f"hw.beat.{other}.{run}",
        f"hw.evt.flow_run.zombie_detected.{run}",
        "hw.dlq.runs.runs__work",
        f"{agent_inbox(other)}.x",
        "_INBOX.gateway.x",
        f"{agent_inbox(flow.tenant_id)}",
        f"x.{agent_inbox(flow.tenant_id)}.x",
    ]
    heard: list[str] = []

    async def note(message: Msg) -> None:
        heard.append(message.subject)

    subject = verb.subject.at(tenant_id=flow.tenant_id)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        for reply in foreign:
            await agent.client.subscribe(reply, cb=note)
        for reply in foreign:
            await agent.client.publish(subject, b"{}", reply=reply)
        # Its own request comes behind those, and is answered.
        answered = await agent.client.request(subject, b"{}", timeout=10)

    assert b"refused" in answered.data
    assert heard == []


async def test_nobody_waits_for_the_locks_of_another_tenants_runs(
    stack: Stack, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow)
    stolen = agents.ClaimedRun(
        flow_run_id=run_id, lease_token=new_id(), attempt=1, lease=1, name="x", flow_id=flow.id, flow_name="x"
    )  # fmt: skip
    async with (
        raw_agent(stack.nats_url, new_id()) as stranger,
        stack.admin_pool.acquire() as connection,
        connection.transaction(),
    ):
        await connection.execute("SELECT FROM runs.flow_run WHERE id = $1 FOR UPDATE", run_id)

        [renewal] = await stranger.renew(stolen)

    assert renewal.standing is Standing.LOST


async def test_lines_of_an_agent_are_acknowledged_as_a_stream_does_it(
    stack: Stack, bus: Bus, flow: Flow, client: Client
) -> None:
    run_id = await client.create(flow)
    batch = LogBatch(
        tenant_id=flow.tenant_id,
        accepted=utc_now(),
        lines=[LogLine(id=new_id(), flow_run_id=run_id, timestamp=utc_now(), message="said")],
    )
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        kept = await agent.client.jetstream().publish(
            subjects.LOG.at(tenant_id=flow.tenant_id, flow_run_id=run_id),
            batch.model_dump_json().encode(),
            stream="LOGS",
        )

    assert kept.stream == "LOGS"

    async def is_there() -> bool:
        return bool(
            await stack.admin_pool.fetchval(
                "SELECT true FROM runs.log WHERE flow_run_id = $1 AND message = 'said'", run_id
            )
        )

    assert await eventually(is_there)


@pytest.mark.parametrize(
    ("size", "is_id", "said"),
    [
        (lines.LARGEST + 1, True, "a message of log lines has at most 4194304 bytes"),
        (10, False, "a message of log lines has the id of a flow run"),
    ],
)
async def test_lines_that_cannot_be_kept_are_refused_with_the_reason(
    stack: Stack, flow: Flow, size: int, is_id: bool, said: str
) -> None:
    run = new_id() if is_id else "no-id"
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        with pytest.raises(APIError, match=said):
            await agent.client.jetstream().publish(
                subjects.LOG.at(tenant_id=flow.tenant_id, flow_run_id=run), b"x" * size
            )


async def test_one_tenants_lines_that_wait_leave_room_for_anothers() -> None:
    begun: list[object] = []
    taker = AgentLines(Bus("nats://nobody", service="runs"), spawn=begun.append)
    answers: list[bytes] = []

    class Silent(Msg):
        async def respond(self, data: bytes) -> None:
            answers.append(data)

    def message(tenant: UUID) -> Msg:
        subject = subjects.LOG.at(tenant_id=tenant, flow_run_id=new_id())
        reply = f"{agent_inbox(tenant)}.x"
        return Silent(NatsClient(), subject, reply, b"x" * lines.LARGEST)

    flood, other = new_id(), new_id()
    for _ in range(10):
        await taker.on_lines(message(flood))
    assert len(begun) == lines.WAITING_OF_ONE // lines.LARGEST
    assert all(b"try again" in answer for answer in answers)

    await taker.on_lines(message(other))

    assert len(begun) == lines.WAITING_OF_ONE // lines.LARGEST + 1
    for work in begun:
        work.close()  # type: ignore[attr-defined] # a coroutine that is never run
