"""The queue: labels, order, due times, and no starvation."""

from datetime import UTC, datetime, timedelta
from random import Random
from string import ascii_letters, digits

import pytest

from libs.contracts import runs
from libs.contracts.base import Applied, Refused
from libs.runtime.bus import Bus
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.runs.domain.queue import MAX_ENUMERATED_LABELS
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Client, register_flow

MANY = tuple(f"label {n}" for n in range(MAX_ENUMERATED_LABELS + 1))


@pytest.mark.parametrize(
    ("run_labels", "agent_labels", "offered"),
    [
        ([], (), True),
        ([], ("a",), False),
        ([], MANY, False),
        (["a"], (), False),
        (["a"], ("a",), True),
        (["a"], ("b",), False),
        (["a", "b"], ("a",), False),
        (["a", "b"], ("b", "c", "a"), True),
        (["label 1", "label 0"], MANY, True),
        (["label 1", "a"], MANY, False),
    ],
)
async def test_a_run_is_offered_to_agents_that_have_all_its_labels(
    stack: Stack, bus: Bus, run_labels: list[str], agent_labels: tuple[str, ...], *, offered: bool
) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow, labels=run_labels)

    assert await client.queue(*agent_labels) == ([run_id] if offered else [])


@pytest.mark.parametrize("labels", [("a", "b"), (*MANY, "a", "b")])
async def test_due_runs_come_oldest_first_across_label_sets_and_not_before_their_time(
    stack: Stack, bus: Bus, labels: tuple[str, ...]
) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    base = datetime(2026, 1, 1, tzinfo=UTC)
    created = [
        await client.create(
            flow,
            labels=["a"] if n % 2 else ["a", "b"],
            scheduled_start_time=base + timedelta(minutes=n),
        )
        for n in (2, 0, 3, 1)
    ]
    oldest_first = [created[n] for n in (1, 3, 0, 2)]

    assert await client.queue(*labels) == oldest_first
    assert await client.queue(*labels, limit=2) == oldest_first[:2]
    assert await client.queue(*labels, before=base + timedelta(minutes=1)) == oldest_first[:2]
    assert await client.queue(*labels, before=base - timedelta(minutes=1)) == []


async def test_a_claimed_run_is_offered_to_nobody(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)
    before = await client.queue()

    await client.set(run_id, "Submitted")

    assert (before, await client.queue()) == ([run_id], [])


async def test_a_running_run_is_offered_again_when_a_retry_is_due(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    run_id = await client.start(flow, labels=["a"])
    task = await client.task_run(run_id, flow.task_ids[0])
    due = utc_now() + timedelta(minutes=11)

    await client.set_task(task.id, {"type": "Retrying", "start_time": due.isoformat()})

    assert await client.queue("a") == []
    assert await client.queue("a", before=due) == [run_id]
    assert await client.queue("b", before=due) == []


@pytest.mark.parametrize("labels", [("served",), (*MANY, "served")])
async def test_a_thousand_runs_that_nobody_serves_starve_nobody(
    stack: Stack, bus: Bus, labels: tuple[str, ...]
) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    await stack.admin_pool.execute(
        """
        INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, labels, version, scheduled_start_time,
            state, state_timestamp, state_start_time, serialized_state)
        SELECT gen_random_uuid(), $1, $2, $3, 'x', jsonb_build_array('nobody ' || n % 7), 1, '2020-01-01', 'Scheduled',
            now(), '2020-01-01', '{}'
        FROM generate_series(1, 1000) n
        """,
        flow.tenant_id,
        flow.id,
        flow.group_id,
    )
    run_id = await client.create(flow, labels=["served"])

    assert await client.queue(*labels) == [run_id]


async def test_asking_is_an_agents_sign_of_life(stack: Stack, bus: Bus) -> None:
    tenant_id = new_id()
    registered = await bus.call(
        runs.REGISTER_AGENT, runs.RegisterAgent(tenant_id=tenant_id, type="LocalAgent")
    )
    assert isinstance(registered, Applied)
    agent_id = registered.id
    await stack.admin_pool.execute(
        "UPDATE runs.agent SET last_queried = '2020-01-01' WHERE id = $1", agent_id
    )

    await Client(bus, tenant_id, agent_id).queue()

    async def seen() -> bool:
        last = await stack.admin_pool.fetchval(
            "SELECT last_queried FROM runs.agent WHERE id = $1", agent_id
        )
        return bool(last > utc_now() - timedelta(minutes=1))

    assert await eventually(seen)


async def test_nobody_keeps_another_tenants_agent_from_being_seen(stack: Stack, bus: Bus) -> None:
    """A caller may put any agent's id into its request, also that of an agent of somebody else."""
    tenant_id, stranger = new_id(), new_id()
    registered = await bus.call(
        runs.REGISTER_AGENT, runs.RegisterAgent(tenant_id=tenant_id, type="LocalAgent")
    )
    assert isinstance(registered, Applied)
    await stack.admin_pool.execute(
        "UPDATE runs.agent SET last_queried = '2020-01-01' WHERE id = $1", registered.id
    )

    await Client(bus, stranger, registered.id).queue()
    await Client(bus, tenant_id, registered.id).queue()

    async def seen() -> bool:
        last = await stack.admin_pool.fetchval(
            "SELECT last_queried FROM runs.agent WHERE id = $1", registered.id
        )
        return bool(last > utc_now() - timedelta(minutes=1))

    assert await eventually(seen)


async def test_an_agent_is_the_same_agent_however_often_it_registers(
    stack: Stack, bus: Bus
) -> None:
    tenant_id = new_id()

    async def register(**fields: object) -> Applied:
        reply = await bus.call(
            runs.REGISTER_AGENT,
            runs.RegisterAgent.model_validate(
                {"tenant_id": tenant_id, "type": "LocalAgent"} | fields
            ),
        )
        assert isinstance(reply, Applied)
        return reply

    first = await register(name="n", labels=["b", "a"])
    again = await register(name="n", labels=["a", "b", "a"])
    unnamed = await register(labels=["a", "b"])
    newer = await register(name="n", labels=["a", "b"], core_version="1.4.1")

    assert first == again
    assert len({first.id, unnamed.id, newer.id}) == 3
    gone = await bus.call(
        runs.DELETE_AGENT, runs.DeleteAgent(tenant_id=tenant_id, agent_id=first.id or new_id())
    )
    unknown = await bus.call(
        runs.DELETE_AGENT, runs.DeleteAgent(tenant_id=new_id(), agent_id=newer.id or new_id())
    )
    assert isinstance(gone, Applied)
    assert isinstance(unknown, Applied)
    assert (gone.success, unknown.success) == (True, False)


async def test_an_agent_may_have_many_long_labels(stack: Stack, bus: Bus) -> None:
    """Labels of stock agents have no limit of their own; what is kept of them is one index entry."""
    random = Random(7)  # noqa: S311 - not for secrets
    labels = ["".join(random.choices(ascii_letters + digits, k=30)) for _ in range(65)]

    async def register(labels: list[str]) -> Applied | Refused:
        return await bus.call(
            runs.REGISTER_AGENT,
            runs.RegisterAgent(tenant_id=new_id(), type="LocalAgent", name="a", labels=labels),
        )

    assert isinstance(await register(labels), Applied)
    for given, says in (
        ([*labels, *labels], "type, name, core_version and labels have "),
        (["a\0b"], "labels cannot hold the character U+0000"),
    ):
        refused = await register(given)
        assert isinstance(refused, Refused)
        assert refused.fields["reason"].startswith(says)
