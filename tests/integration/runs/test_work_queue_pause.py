"""A paused work queue: from the commit on nobody is given a run, on every path; and what waited goes out in order."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from libs.contracts import agents
from libs.contracts.agents import Standing
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.runs import StateApplied
from libs.runtime.bus import Bus
from libs.runtime.clock import utc_now
from libs.runtime.database import Database, statement
from services.gateway.store import Store
from services.runs.app import Runs
from services.runs.dispatch import leases
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Client, Flow, tenant_with_flow
from tests.support.raw_agent import raw_agent

MANY = tuple(f"label {n}" for n in range(9))
"""So many that the queue looks through the label sets that wait."""
CLAIM = statement(leases.__file__, "claim")


@pytest.fixture
async def flow(stack: Stack, ledger: Runs) -> Flow:
    return await tenant_with_flow(stack.admin_pool)


@pytest.fixture
async def client(bus: Bus, flow: Flow) -> Client:
    return Client(bus, flow.tenant_id)


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Store]:
    """What the gateway does when somebody pauses."""
    database = Database(stack.postgres_url("gateway"), pool_size=2, name="gateway")
    await database.connect()
    yield Store(database)
    await database.close()


async def claimed(stack: Stack, flow: Flow, *labels: str, capacity: int = 9) -> list[UUID]:
    """What a native agent gets at once."""
    async with raw_agent(stack.nats_url, flow.tenant_id, *labels) as agent:
        return [run.flow_run_id for run in await agent.take(capacity=capacity)]


async def due_sets(ledger: Runs, flow: Flow) -> int:
    """How many label sets dispatch would have agents woken for."""
    horizon = timedelta(minutes=1)
    return len(await ledger.dispatch.leases.look([flow.tenant_id], horizon=horizon))


async def state_of(stack: Stack, run_id: UUID) -> str:
    found: str = await stack.admin_pool.fetchval(
        "SELECT state FROM runs.flow_run WHERE id = $1", run_id
    )
    return found


@pytest.mark.parametrize("labels", [(), ("a",), (*MANY, "a")], ids=["none", "few", "many"])
async def test_a_paused_queue_offers_nothing_and_a_resumed_one_everything(
    stack: Stack,
    ledger: Runs,
    gateway: Store,
    client: Client,
    *,
    flow: Flow,
    labels: tuple[str, ...],
) -> None:
    run_id = await client.create(flow, labels=["a"] if labels else [])
    before = (await client.queue(*labels), await due_sets(ledger, flow))

    assert await gateway.pause_work_queue(flow.tenant_id)
    paused = (await client.queue(*labels), await due_sets(ledger, flow))
    paused_claim = await claimed(stack, flow, *labels)
    assert await gateway.resume_work_queue(flow.tenant_id)

    assert before == ([run_id], 1)
    assert (*paused, paused_claim) == ([], 0, [])
    assert await client.queue(*labels) == [run_id]
    assert await claimed(stack, flow, *labels) == [run_id]


async def test_another_tenants_queue_is_not_paused(
    stack: Stack, ledger: Runs, gateway: Store, bus: Bus, flow: Flow
) -> None:
    other = await tenant_with_flow(stack.admin_pool)
    run_id = await Client(bus, other.tenant_id).create(other)

    await gateway.pause_work_queue(flow.tenant_id)

    assert await Client(bus, other.tenant_id).queue() == [run_id]
    assert await claimed(stack, other) == [run_id]


@pytest.mark.parametrize("state", ["Scheduled", "Resume", "Queued"])
async def test_what_was_offered_before_the_pause_cannot_be_submitted_after_it(
    gateway: Store, client: Client, flow: Flow, state: str
) -> None:
    run_id = await client.start(flow)
    await client.set(run_id, {"type": state, "start_time": utc_now().isoformat()})
    assert await client.queue() == [run_id]

    await gateway.pause_work_queue(flow.tenant_id)
    refused = await client.set(run_id, "Submitted")
    await gateway.resume_work_queue(flow.tenant_id)

    assert refused == Refused(code=Code.QUEUE_PAUSED, fields={"id": str(run_id)})
    assert isinstance(await client.set(run_id, "Submitted"), StateApplied)


async def test_running_work_goes_on_while_the_queue_is_paused(
    gateway: Store, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow)
    await client.set(run_id, "Submitted")
    await gateway.pause_work_queue(flow.tenant_id)

    assert isinstance(await client.set(run_id, "Running"), StateApplied)
    task_run = await client.task_run(run_id, flow.task_ids[0])
    assert isinstance(await client.set_task(task_run.id, "Running"), StateApplied)
    assert isinstance(await client.set_task(task_run.id, "Success"), StateApplied)
    assert isinstance(await client.set(run_id, "Success"), StateApplied)


async def test_a_due_retry_of_a_running_run_waits_for_the_end_of_the_pause(
    stack: Stack, ledger: Runs, gateway: Store, client: Client, flow: Flow
) -> None:
    run_id = await client.start(flow)
    task_run = await client.task_run(run_id, flow.task_ids[0])
    past = (utc_now() - timedelta(minutes=1)).isoformat()
    await client.set_task(task_run.id, {"type": "Retrying", "start_time": past})
    before = (await client.queue(), await due_sets(ledger, flow))

    await gateway.pause_work_queue(flow.tenant_id)
    paused = (await client.queue(), await due_sets(ledger, flow), await claimed(stack, flow))
    # An agent that was offered the run before submits its task run, and would start a process.
    refused = await client.set_task(task_run.id, "Submitted")
    await gateway.resume_work_queue(flow.tenant_id)

    assert before == ([run_id], 1)
    assert paused == ([], 0, [])
    assert refused == Refused(code=Code.QUEUE_PAUSED, fields={"id": str(task_run.id)})
    assert await client.queue() == [run_id]
    assert isinstance(await client.set_task(task_run.id, "Submitted"), StateApplied)


async def test_a_claim_that_is_not_confirmed_before_the_pause_goes_back_and_counts_as_no_attempt(
    stack: Stack, gateway: Store, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        [run] = await agent.take()
        await gateway.pause_work_queue(flow.tenant_id)

        [renewal] = await agent.renew(run)

    assert renewal.standing is Standing.LOST
    assert await state_of(stack, run_id) == "Scheduled"
    assert await claimed(stack, flow) == []
    await gateway.resume_work_queue(flow.tenant_id)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        [again] = await agent.take()
        [held] = await agent.renew(again)
    assert (again.flow_run_id, again.attempt, held.standing) == (run_id, 1, Standing.HELD)


async def test_a_process_that_was_confirmed_before_the_pause_keeps_its_lease(
    stack: Stack, gateway: Store, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        [run] = await agent.take()
        await agent.renew(run)
        await gateway.pause_work_queue(flow.tenant_id)

        [renewal] = await agent.renew(run)

    assert renewal.standing is Standing.HELD
    assert await state_of(stack, run_id) == "Submitted"


async def test_a_pause_waits_for_a_claim_that_is_being_committed_and_no_claim_waits_for_it(
    stack: Stack, gateway: Store, client: Client, flow: Flow
) -> None:
    await client.create(flow)
    first, second = (
        await asyncpg.connect(stack.postgres_url("runs")),
        await asyncpg.connect(stack.postgres_url("runs")),
    )
    try:
        claiming = first.transaction()
        await claiming.start()
        given = await first.fetch(CLAIM, flow.tenant_id, ["[]"], 9)
        pausing = asyncio.create_task(gateway.pause_work_queue(flow.tenant_id))
        await eventually(lambda: _waits_for_the_lock(stack))
        await client.create(flow)
        while_it_waits = await second.fetch(CLAIM, flow.tenant_id, ["[]"], 9)
        has_paused = pausing.done()
        await claiming.commit()
        await pausing
    finally:
        await first.close()
        await second.close()

    assert (len(given), while_it_waits, has_paused) == (1, [], False)


async def _waits_for_the_lock(stack: Stack) -> bool:
    return bool(
        await stack.admin_pool.fetchval(
            "SELECT EXISTS (SELECT FROM pg_locks"
            " WHERE locktype = 'advisory' AND NOT granted AND mode = 'ExclusiveLock')"
        )
    )


async def test_after_the_commit_of_a_pause_no_claim_of_many_agents_commits(
    stack: Stack, gateway: Store, client: Client, flow: Flow
) -> None:
    """Claims and a pause race; whatever was given out was given out before the pause had its answer."""
    for _ in range(40):
        await client.create(flow)
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:

        async def claim_on() -> None:
            while await agent.take(capacity=1):
                pass

        claiming = asyncio.create_task(claim_on())
        await eventually(lambda: _given(stack, flow))
        await gateway.pause_work_queue(flow.tenant_id)
        at_the_pause = await _given(stack, flow)
        await claiming

    assert await _given(stack, flow) == at_the_pause


async def _given(stack: Stack, flow: Flow) -> int:
    given: int = await stack.admin_pool.fetchval(
        "SELECT count(*) FROM runs.flow_run WHERE tenant_id = $1 AND state = 'Submitted'",
        flow.tenant_id,
    )
    return given


async def test_who_polls_a_paused_queue_counts_as_present(
    stack: Stack, gateway: Store, bus: Bus, flow: Flow
) -> None:
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        await agent.hello()
    await stack.admin_pool.execute(
        "UPDATE runs.agent SET last_queried = NULL WHERE id = $1", agent.agent_id
    )
    await gateway.pause_work_queue(flow.tenant_id)

    await Client(bus, flow.tenant_id, agent.agent_id).queue()

    async def last_queried() -> object:
        return await stack.admin_pool.fetchval(
            "SELECT last_queried FROM runs.agent WHERE id = $1", agent.agent_id
        )

    assert await eventually(last_queried)


async def test_a_late_run_says_that_its_queue_is_paused_and_forgets_it_after(
    stack: Stack, ledger: Runs, gateway: Store, client: Client, flow: Flow
) -> None:
    run_id = await client.create(flow, scheduled_start_time=utc_now() - timedelta(hours=1))

    async def reason() -> object:
        await ledger.duties.mark_late()
        return await stack.admin_pool.fetchval(
            "SELECT late_reason FROM runs.flow_run WHERE id = $1", run_id
        )

    await gateway.pause_work_queue(flow.tenant_id)
    paused = await reason()
    await gateway.resume_work_queue(flow.tenant_id)

    assert paused == "work_queue_paused"
    assert await reason() == "no_matching_agent"


async def test_what_waited_goes_out_oldest_first_and_so_many_a_second(
    stack: Stack, ledger: Runs, gateway: Store, client: Client, *, flow: Flow,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Three a pass: more would come only in the next tenth of a second, for which the test does not wait."""
    monkeypatch.setattr(ledger.dispatch.dispatcher, "_resume_rate", 30)
    await gateway.pause_work_queue(flow.tenant_id)
    hours = [5, 1, 4, 2, 3]
    made = {
        hour: await client.create(flow, scheduled_start_time=utc_now() - timedelta(hours=hour))
        for hour in hours
    }
    await gateway.resume_work_queue(flow.tenant_id)

    first = await claimed(stack, flow, capacity=100)
    rest = await eventually(lambda: claimed(stack, flow, capacity=100))

    assert first == [made[hour] for hour in (5, 4, 3)]
    assert rest == [made[hour] for hour in (2, 1)]


async def test_an_agent_is_told_of_a_pause_when_it_comes_and_when_it_begins_and_ends(
    stack: Stack, ledger: Runs, gateway: Store, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.runs.dispatch.dispatcher._SERVED_FOR", 0.0)
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    async with raw_agent(stack.nats_url, flow.tenant_id) as agent:
        welcome = await agent.hello()

        async def hear(message: object) -> None:
            heard.put_nowait(message.data)  # type: ignore[attr-defined]  # a message of nats-py

        await agent.client.subscribe(f"hw.sig.agent.{flow.tenant_id}.work_ready", cb=hear)
        await agent.client.flush()
        await gateway.pause_work_queue(flow.tenant_id)
        await ledger.dispatch.dispatcher.tick()
        begins = await asyncio.wait_for(heard.get(), 15)
        while_paused = await agent.hello()
        await gateway.resume_work_queue(flow.tenant_id)
        await ledger.dispatch.dispatcher.tick()
        ends = await asyncio.wait_for(heard.get(), 15)

    told = [agents.WorkReady.model_validate_json(said).queue_is_paused for said in (begins, ends)]
    assert told == [True, False]
    assert isinstance(welcome, agents.Welcome)
    assert isinstance(while_paused, agents.Welcome)
    assert (welcome.queue_is_paused, while_paused.queue_is_paused) == (False, True)


async def test_a_tenant_that_there_is_not_can_be_neither_paused_nor_resumed(
    gateway: Store, flow: Flow
) -> None:
    nobody = flow.id

    assert not await gateway.pause_work_queue(nobody)
    assert not await gateway.resume_work_queue(nobody)
