"""What the ledger tells whoever watches: task runs that moved, agents that came, went, fell silent and came back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

from nats.aio.msg import Msg

from libs.contracts import runs, subjects
from libs.contracts.base import Applied
from libs.contracts.runs import RunKind, StateProposal, TaskRunChanged
from libs.runtime.bus import Bus
from libs.runtime.ids import new_id
from services.runs.app import Runs
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Client, register_flow, running_flow_run


class Heard:
    """The signals of one tenant, as the contract has them."""

    def __init__(self) -> None:
        self.messages: list[runs.Changed] = []

    async def take(self, message: Msg) -> None:
        self.messages.append(runs.Changed.model_validate_json(message.data))

    @property
    def task_runs(self) -> list[TaskRunChanged]:
        return [changed for message in self.messages for changed in message.task_runs]

    @property
    def agents(self) -> list[UUID]:
        return [agent for message in self.messages for agent in message.agents]


@asynccontextmanager
async def listening(bus: Bus, tenant_id: UUID) -> AsyncIterator[Heard]:
    heard = Heard()
    subject = subjects.SIG_CHANGED.at(tenant_id=tenant_id)
    subscription = await bus.client.subscribe(subject, cb=heard.take)
    await bus.client.flush()
    try:
        yield heard
    finally:
        await subscription.unsubscribe()


async def test_a_new_state_of_a_task_run_is_told_with_its_version_and_its_flow_run(
    stack: Stack, bus: Bus
) -> None:
    client, flow, run_id = await running_flow_run(stack, bus)
    task = await client.task_run(run_id, flow.task_ids[0])

    async with listening(bus, flow.tenant_id) as heard:
        await client.set_task(task.id, "Running")
        [hint] = await eventually(lambda: heard.task_runs)

    assert (hint.id, hint.flow_run_id, hint.state) == (task.id, run_id, "Running")
    assert hint.version == task.version + 1


async def test_a_hundred_task_runs_that_move_together_are_told_in_few_messages(
    stack: Stack, bus: Bus
) -> None:
    flow = await register_flow(stack.admin_pool, tasks=1)
    client = Client(bus, flow.tenant_id)
    run_id = await client.start(flow)
    children = [
        await client.task_run(run_id, flow.task_ids[0], map_index=index) for index in range(100)
    ]

    async with listening(bus, flow.tenant_id) as heard:
        for state in ("Running", "Success"):
            await client.set_all(
                [
                    StateProposal(run_kind=RunKind.TASK_RUN, run_id=child.id, state={"type": state})
                    for child in children
                ]
            )
        # Of a run that moved twice the last state is what matters, whether or not the first was told.
        await eventually(
            lambda: (
                {t.id for t in heard.task_runs if t.state == "Success"}
                == {child.id for child in children}
            )
        )

    assert len(heard.messages) <= 4


async def test_another_tenant_hears_nothing_of_a_task_run(stack: Stack, bus: Bus) -> None:
    ours, theirs = await register_flow(stack.admin_pool), await register_flow(stack.admin_pool)
    client, other = Client(bus, ours.tenant_id), Client(bus, theirs.tenant_id)
    task = await client.task_run(await client.start(ours), ours.task_ids[0])
    foreign = await other.task_run(await other.start(theirs), theirs.task_ids[0])

    async with listening(bus, ours.tenant_id) as heard:
        await other.set_task(foreign.id, "Running")
        await client.set_task(task.id, "Running")
        await eventually(lambda: heard.task_runs)

    assert {hint.id for hint in heard.task_runs} == {task.id}


async def test_an_agent_that_comes_and_goes_is_told(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)

    async with listening(bus, flow.tenant_id) as heard:
        agent = await a_registered_agent(bus, flow.tenant_id)
        await eventually(lambda: heard.agents == [agent])
        await bus.call(
            runs.DELETE_AGENT, runs.DeleteAgent(tenant_id=flow.tenant_id, agent_id=agent)
        )
        await eventually(lambda: heard.agents == [agent, agent])


async def test_an_agent_that_falls_silent_is_told_once_and_again_when_it_is_back(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    flow = await register_flow(stack.admin_pool)
    watch = ledger.duties.agent_watch
    now = ledger.clock()

    def after(seconds: float) -> datetime:
        return now + timedelta(seconds=seconds)

    async with listening(bus, flow.tenant_id) as heard:
        agent = await a_registered_agent(bus, flow.tenant_id)
        await eventually(lambda: heard.agents)
        await last_heard(stack, agent, at=now)
        await watch.look(after(0))
        heard.messages.clear()
        looks = [await watch.look(after(seconds)) for seconds in (59, 61, 62)]
        await eventually(lambda: heard.agents == [agent])

        await last_heard(stack, agent, at=after(63))
        looks += [await watch.look(after(seconds)) for seconds in (64, 65)]
        await eventually(lambda: heard.agents == [agent, agent])

    assert looks == [0, 1, 0, 1, 0]


async def a_registered_agent(bus: Bus, tenant_id: UUID) -> UUID:
    answer = await bus.call(
        runs.REGISTER_AGENT,
        runs.RegisterAgent(tenant_id=tenant_id, type="LocalAgent", name=f"a-{new_id()}", labels=[]),
    )
    assert isinstance(answer, Applied)
    assert answer.id is not None
    return answer.id


async def last_heard(stack: Stack, agent: UUID, *, at: datetime) -> None:
    await stack.admin_pool.execute(
        "UPDATE runs.agent SET last_queried = $2 WHERE id = $1", agent, at
    )
