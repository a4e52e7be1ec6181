"""Log lines outlive the stream that took them: the gateway has copies until PostgreSQL has the lines."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from deploy.provision import provision
from libs.contracts import streams, subjects
from libs.contracts.runs import LogBatch, LogLine
from libs.runtime.bus import Bus
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.gateway import log_copies
from services.gateway.log_copies import LogCopies
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import bus_on, caught_up, ledger_on


@pytest.fixture
async def bus(stack: Stack) -> AsyncIterator[Bus]:
    async with bus_on(stack) as bus:
        await bus.js.purge_stream("LOGS")
        yield bus


@pytest.fixture
async def copies(bus: Bus) -> LogCopies:
    found = LogCopies(bus, streams.LOGS, streams.LOG_DRAIN)
    await found.tick()  # as a gateway that starts
    return found


async def accept(
    copies: LogCopies, run_id: UUID, message: str, *, tenant: UUID | None = None
) -> None:
    tenant = tenant or run_id
    batch = LogBatch(
        tenant_id=tenant,
        accepted=utc_now(),
        lines=[LogLine(id=new_id(), flow_run_id=run_id, timestamp=utc_now(), message=message)],
    )
    subject = subjects.LINES.at(tenant_id=tenant, flow_run_id=run_id)
    await copies.publish(subject, batch.model_dump_json().encode())


async def counted(bus: Bus, messages: int) -> None:
    """Wait until the ledger's durable has so many ahead: the broker counts a message just after its answer."""

    async def ahead() -> bool:
        info = await bus.js.consumer_info("LOGS", "runs__logs")
        return bool(info.num_pending == messages)

    await eventually(ahead)


async def stored(stack: Stack, run_id: UUID) -> list[str]:
    rows = await stack.admin_pool.fetch(
        "SELECT message FROM runs.log WHERE flow_run_id = $1 ORDER BY timestamp, sequence", run_id
    )
    return [row["message"] for row in rows]


async def drain(stack: Stack, bus: Bus) -> None:
    """A ledger, for as long as it takes to store what is on the stream."""
    async with ledger_on(stack):
        await caught_up(bus, "LOGS", "runs__logs")


async def test_lines_outlive_the_stream_that_took_them(
    stack: Stack, bus: Bus, copies: LogCopies
) -> None:
    run_id = new_id()
    for message in ("one", "two", "three"):
        await accept(copies, run_id, message)

    await bus.js.delete_stream("LOGS")
    await provision(stack.nats_url)
    restored = await copies.tick()
    await drain(stack, bus)
    again = await copies.tick()

    assert (restored, again, copies.held) == (3, 0, 0)
    assert await stored(stack, run_id) == ["one", "two", "three"]


async def test_a_message_that_the_stream_forgot_is_published_again(
    stack: Stack, bus: Bus, copies: LogCopies
) -> None:
    run_id = new_id()
    await accept(copies, run_id, "kept in memory only")
    last = (await bus.js.stream_info("LOGS")).state.last_seq

    await bus.js.delete_msg("LOGS", last)  # as a power cut does before the disk has synced
    await eventually(copies.tick)
    await drain(stack, bus)

    assert await stored(stack, run_id) == ["kept in memory only"]


async def test_lines_that_are_stored_and_published_again_are_there_once(
    stack: Stack, bus: Bus, copies: LogCopies
) -> None:
    run_id = new_id()
    await accept(copies, run_id, "once")

    await drain(stack, bus)
    await bus.js.delete_stream("LOGS")  # before this gateway could see that the line was stored
    await provision(stack.nats_url)
    restored = await copies.tick()
    await drain(stack, bus)

    assert restored == 1
    assert await stored(stack, run_id) == ["once"]


async def test_copies_wait_for_a_stream_that_is_away_and_their_gateway_stays_well(
    stack: Stack, bus: Bus, copies: LogCopies
) -> None:
    await accept(copies, new_id(), "a line")
    await bus.js.delete_stream("LOGS")

    away = (await copies.tick(), copies.held)
    await provision(stack.nats_url)
    back = await copies.tick()

    assert (away, back) == ((0, 1), 1)


async def test_a_copy_is_kept_until_the_ledger_has_its_lines(
    stack: Stack, bus: Bus, copies: LogCopies
) -> None:
    await accept(copies, new_id(), "a line")
    await counted(bus, 1)

    waiting = (await copies.tick(), copies.held)
    await drain(stack, bus)
    done = (await copies.tick(), copies.held)

    assert (waiting, done) == ((0, 1), (0, 0))


async def test_copies_take_no_more_room_than_they_may(stack: Stack, bus: Bus) -> None:
    copies = LogCopies(bus, streams.LOGS, streams.LOG_DRAIN, limit=2_000)

    for n in range(100):
        await accept(copies, new_id(), f"line {n}")

    assert 0 < copies.held < 10
    assert (await bus.js.stream_info("LOGS")).state.messages == 100


async def test_a_flood_of_one_tenant_costs_no_copy_of_another(stack: Stack, bus: Bus) -> None:
    copies = LogCopies(bus, streams.LOGS, streams.LOG_DRAIN, limit=2_000)
    victim, flooder = new_id(), new_id()
    await accept(copies, new_id(), "mine", tenant=victim)

    for n in range(100):
        await accept(copies, new_id(), f"line {n}", tenant=flooder)

    assert len(copies._held[str(victim)].copies) == 1
    assert 1 < copies.held < 10


async def test_a_flood_waits_for_the_ledger_and_nobody_waits_for_the_flood(
    stack: Stack, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A ledger takes seconds to start on a busy machine.
    monkeypatch.setattr(log_copies, "_PATIENCE", 120.0)
    copies = LogCopies(bus, streams.LOGS, streams.LOG_DRAIN, share=2_000)
    await copies.tick()
    flooder, run_id = new_id(), new_id()
    flood = asyncio.gather(
        *(accept(copies, new_id(), f"line {n}", tenant=flooder) for n in range(50))
    )
    assert await eventually(lambda: not copies._publishing and copies.held)
    before = copies.held

    await accept(copies, run_id, "mine")

    assert before < 20
    assert not flood.done()
    async with ledger_on(stack):
        assert await eventually(lambda: stored(stack, run_id))

        async def all_were_taken() -> bool:
            await copies.tick()
            return flood.done()

        assert await eventually(all_were_taken, timeout=30)
    await flood


async def test_while_the_ledger_is_away_a_flood_is_taken_and_waits_in_the_stream(
    stack: Stack, bus: Bus
) -> None:
    copies = LogCopies(bus, streams.LOGS, streams.LOG_DRAIN, share=2_000)
    await accept(copies, new_id(), "before")
    await counted(bus, 1)
    for _ in range(2):
        await copies.tick()

    flooder = new_id()
    await asyncio.gather(
        *(accept(copies, new_id(), f"line {n}", tenant=flooder) for n in range(50))
    )

    assert (await bus.js.stream_info("LOGS")).state.messages == 51


async def test_a_full_stream_of_lines_refuses_rather_than_forget(stack: Stack, bus: Bus) -> None:
    info = await bus.js.stream_info("LOGS")

    assert info.config.discard == "new"
