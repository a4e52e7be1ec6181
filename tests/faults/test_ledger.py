"""Killing the ledger and its engines under load: what was acknowledged is there, what was not is there wholly or not.

HEADWATER_SEED replays the schedule of kills (what threads and sockets do between is not replayed); HEADWATER_KILLS sets
how many there are.
"""

import asyncio
import os
import random
import secrets
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from deploy.provision import provision
from libs.contracts import runs, subjects
from libs.contracts.base import Refused
from libs.contracts.runs import FlowRunStateChanged
from libs.runtime.bus import Bus
from libs.runtime.faults import Point
from tests.faults.ledger_invariants import check_ledger
from tests.faults.ledger_load import LIMITED, LOGGER, Lines, Load
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Client, bus_on, register_flow
from tests.support.service_process import ServiceProcess, gateway_process, ledger_process
from tests.support.wire_client import wires

SEED = int(os.environ.get("HEADWATER_SEED", "0")) or secrets.randbits(32)
KILLS = int(os.environ.get("HEADWATER_KILLS", "6"))


POINTS = (
    Point.RUNS_BEFORE_COMMIT,
    Point.RUNS_AFTER_COMMIT_BEFORE_ANSWER,
    Point.RELAY_AFTER_PUBLISH_BEFORE_MARK,
)


@pytest.mark.parametrize(
    "victims",
    [("ledger",), ("postgres",), ("nats",), POINTS, ("ledger", "postgres", "nats", *POINTS)],
    ids=("ledger", "postgres", "nats", "named instants", "everything"),
)
async def test_nothing_acknowledged_is_lost_whoever_is_killed(
    stack: Stack, victims: tuple[str, ...]
) -> None:
    if stack.postgres is None or stack.nats is None:
        pytest.skip("these engines are not ours to kill")
    chance = random.Random(f"{SEED} {victims}")  # noqa: S311 - a schedule that can be replayed
    async with two_ledgers(stack) as ledgers, bus_on(stack) as bus:
        load = await loaded(stack, bus)
        stop = asyncio.Event()
        clients = [asyncio.create_task(load.drive(until=stop)) for _ in range(8)]

        for _ in range(KILLS):
            await progress(load, runs=chance.randint(1, 20))
            await kill(chance.choice(victims), stack, chance.choice(ledgers))
        stop.set()
        await asyncio.gather(*clients)
        await published(stack)

        await assert_nothing_lost(stack, bus, load)


@pytest.mark.parametrize("point", [Point.RUNS_BEFORE_COMMIT, Point.RUNS_AFTER_COMMIT_BEFORE_ANSWER])
async def test_a_ledger_that_dies_at_a_named_instant_did_the_whole_batch_or_none(
    stack: Stack, point: Point
) -> None:
    flow = await register_flow(stack.admin_pool, tasks=2)
    async with (
        bus_on(stack) as bus,
        ledger_process(stack, HEADWATER_FAULTS=f"{point}=die") as doomed,
    ):
        client = Client(bus, flow.tenant_id)
        command = {"flow_id": flow.id, "idempotency_key": "k"}

        unanswered = await client.ask_create(**command)
        code = await doomed.ended()
        there = await stack.admin_pool.fetch(
            "SELECT id FROM runs.flow_run WHERE flow_id = $1", flow.id
        )
        async with ledger_process(stack):
            answered = await client.ask_create(**command)
            await published(stack)

    assert isinstance(unanswered, Refused)
    assert code == -signal.SIGKILL
    assert isinstance(answered, runs.FlowRunCreated)
    committed = point is Point.RUNS_AFTER_COMMIT_BEFORE_ANSWER
    assert [row["id"] for row in there] == ([answered.id] if committed else [])
    assert answered.existing is committed
    await check_ledger(stack.admin_pool)


async def test_a_relay_that_dies_between_publishing_and_forgetting_tells_each_event_once(
    stack: Stack,
) -> None:
    flow = await register_flow(stack.admin_pool)
    point = Point.RELAY_AFTER_PUBLISH_BEFORE_MARK
    async with (
        bus_on(stack) as bus,
        ledger_process(stack, HEADWATER_FAULTS=f"{point}=die") as doomed,
    ):
        reply = await Client(bus, flow.tenant_id).ask_create(flow_id=flow.id)
        assert isinstance(reply, runs.FlowRunCreated)
        await doomed.ended()
        async with ledger_process(stack):
            await published(stack)

        told = await events(bus, {reply.id})

    assert told == [(reply.id, 1, "Scheduled")]


async def test_the_loss_of_the_whole_jetstream_store_loses_nothing_that_was_acknowledged(
    stack: Stack,
) -> None:
    if stack.nats is None:
        pytest.skip("this nats-server is not ours to empty")
    async with (
        two_ledgers(stack) as ledgers,
        gateway_process(stack, {}) as (_, url),
        wires([url], count=2) as connections,
        bus_on(stack) as bus,
    ):
        tenant_id = await stack.admin_pool.fetchval("SELECT id FROM gateway.tenant")
        load = await loaded(stack, bus, tenant_id=tenant_id)
        [run_id] = load.finished
        lines = Lines(run_id=run_id)
        stop = asyncio.Event()
        clients = [asyncio.create_task(load.drive(until=stop)) for _ in range(4)]
        clients += [asyncio.create_task(lines.drive(wire, until=stop)) for wire in connections]
        await progress(load, runs=10)
        await eventually(lambda: len(lines.accepted) >= 20, timeout=60)

        # With nobody to drain them, the next lines are nowhere but in the store that is about to go.
        await asyncio.gather(*(ledger.kill() for ledger in ledgers))
        enough = len(lines.accepted) + 20
        await eventually(lambda: len(lines.accepted) >= enough, timeout=60)
        await stack.nats.stop()
        shutil.rmtree(stack.nats.program.store / "jetstream")
        await stack.nats.start()
        await provision(stack.nats_url)
        await asyncio.gather(*(ledger.start() for ledger in ledgers))
        await progress(load, runs=10)
        stop.set()
        await asyncio.gather(*clients)
        await published(stack)

        await check_ledger(stack.admin_pool)
        await assert_applied(stack, load)
        await eventually(lambda: all_stored(stack, lines), timeout=60)


@asynccontextmanager
async def two_ledgers(stack: Stack) -> AsyncIterator[list[ServiceProcess]]:
    """Two replicas."""
    async with ledger_process(stack) as one, ledger_process(stack) as other:
        yield [one, other]


async def loaded(stack: Stack, bus: Bus, *, tenant_id: UUID | None = None) -> Load:
    """A load whose first run has been through, so that everything is known to be up."""
    flow = await register_flow(stack.admin_pool, tasks=2, tenant_id=tenant_id)
    await stack.admin_pool.execute(
        "UPDATE registry.task SET tags = $2 WHERE flow_id = $1", flow.id, [LIMITED]
    )
    # Eight clients: some wait at the label, and of those that run some wait at the tag.
    load = await Load.of(bus, flow, label_limit=6, tag_limit=2)
    await load.one_run()
    return load


async def progress(load: Load, *, runs: int) -> None:
    """Until so many more runs have been seen through."""
    enough = len(load.finished) + runs
    await eventually(lambda: len(load.finished) >= enough, timeout=60)


async def kill(victim: str, stack: Stack, ledger: ServiceProcess) -> None:
    """Kill -9, and have it started again as its supervisor does. A point is where the ledger dies of itself."""
    if victim in POINTS:
        await ledger.kill()
        await ledger.start(HEADWATER_FAULTS=f"{victim}=die")
        assert await ledger.ended() == -signal.SIGKILL
        await ledger.start()
        return
    if victim == "ledger":
        await ledger.kill()
        await ledger.start()
        return
    supervisor = stack.postgres if victim == "postgres" else stack.nats
    assert supervisor is not None
    await eventually(lambda: supervisor.pid is not None, timeout=60)
    restarts = supervisor.restarts
    pid = supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: supervisor.restarts > restarts, timeout=60)


async def published(stack: Stack) -> None:
    """Until the relays have published everything that was committed."""

    async def empty() -> bool:
        return not await stack.admin_pool.fetchval("SELECT EXISTS (SELECT FROM runs.outbox)")

    await eventually(empty, timeout=60)


async def assert_nothing_lost(stack: Stack, bus: Bus, load: Load) -> None:
    """The invariants, every acknowledgement, and an event for every state of every run."""
    await check_ledger(stack.admin_pool)
    await assert_applied(stack, load)
    rows = await stack.admin_pool.fetch(
        "SELECT flow_run_id, version, state FROM runs.flow_run_state WHERE tenant_id = $1",
        load.flow.tenant_id,
    )
    history = {(row["flow_run_id"], row["version"], row["state"]) for row in rows}
    told = await events(bus, {run_id for run_id, _, _ in history})
    assert set(told) == history, f"seed {SEED}"
    buried = await bus.js.stream_info("DLQ")
    assert buried.state.messages == 0


async def assert_applied(stack: Stack, load: Load) -> None:
    """What was acknowledged is in the histories, and every run that a client saw through is in Success."""
    rows = await stack.admin_pool.fetch(
        """
        SELECT flow_run_id AS id, version, state FROM runs.flow_run_state WHERE tenant_id = $1
        UNION ALL SELECT task_run_id, version, state FROM runs.task_run_state WHERE tenant_id = $1
        """,
        load.flow.tenant_id,
    )
    assert load.applied <= {(row["id"], row["version"], row["state"]) for row in rows}, (
        f"seed {SEED}"
    )
    ends = await stack.admin_pool.fetch(
        "SELECT id, state FROM runs.flow_run WHERE tenant_id = $1", load.flow.tenant_id
    )
    assert {row["id"] for row in ends} == load.created
    assert {row["state"] for row in ends} == {"Success"}


async def all_stored(stack: Stack, lines: Lines) -> bool:
    """Whether every line that was accepted is there, once."""
    rows = await stack.admin_pool.fetch(
        "SELECT message FROM runs.log WHERE flow_run_id = $1 AND name = $2", lines.run_id, LOGGER
    )
    found = Counter(row["message"] for row in rows)
    missing = lines.accepted - set(found)
    assert not missing, f"{len(missing)} of {len(lines.accepted)} lines are missing"
    assert all(found[line] == 1 for line in lines.accepted_at_once)
    return True


async def events(bus: Bus, run_ids: set[UUID]) -> list[tuple[UUID, int, str]]:
    """All events about these runs that the stream holds."""
    subject = subjects.FLOW_RUN_STATE_CHANGED.wildcard
    last = (await bus.js.stream_info("EVENTS")).state.last_seq
    subscription = await bus.js.subscribe(subject, stream="EVENTS", ordered_consumer=True)
    found: list[tuple[UUID, int, str]] = []
    try:
        while True:
            message = await subscription.next_msg(timeout=10)
            event = FlowRunStateChanged.model_validate_json(message.data)
            if event.flow_run_id in run_ids:
                found.append((event.flow_run_id, event.version, event.state))
            if message.metadata.sequence.stream >= last:
                return found
    finally:
        await subscription.unsubscribe()
