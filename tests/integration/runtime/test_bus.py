"""What the bus promises to handlers, on a real nats-server: answers, redelivery, the DLQ, batches."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from nats.aio.msg import Msg
from structlog.testing import capture_logs

from libs.contracts import registry, streams
from libs.contracts.base import Applied, Refused, Rpc
from libs.contracts.errors import Code
from libs.contracts.registry import FlowArchived
from libs.contracts.streams import Durable
from libs.runtime.bus import LARGE, Benchmark, Bus, Router, answering, connection, consumers
from libs.runtime.ids import new_id
from libs.runtime.nats import lean, workarounds
from libs.runtime.nats.lean import LeanClient, Pull
from tests.support.cut import Cut, cut_before
from tests.support.engines import Stack
from tests.support.eventually import eventually

TENANT = UUID(int=1)
ARCHIVED = next(d for d in streams.EVENTS.durables if d.name == "runs__flows_archived")


@pytest.fixture
async def asker(stack: Stack) -> AsyncIterator[Bus]:
    bus = Bus(stack.nats_url, service="asker", rpc_timeout=0.5)
    await bus.start()
    yield bus
    await bus.stop()


def a_router(rpc: Rpc[Any, Any], handler: Any, lane: str = "verb") -> Router:
    """One verb of the registry, on FastStream's lane or the lean one."""
    router = Router("registry")
    if lane == "lean_verb":
        router.lean_verb(rpc, Benchmark.RUNS)(handler)
    else:
        router.verb(rpc)(handler)
    return router


def a_router_of_batches(handler: Any, **how: Any) -> Router:
    """Log lines in batches."""
    router = Router("runs")
    router.batches(streams.LOG_DRAIN, streams.LOGS, Benchmark.RUNS, **how)(handler)
    return router


def a_command() -> registry.FlowCommand:
    return registry.FlowCommand(tenant_id=TENANT, flow_id=UUID(int=2))


def an_archived_event(flow_id: UUID) -> FlowArchived:
    return FlowArchived(
        event_id=new_id(),
        at=datetime(2026, 1, 1, tzinfo=UTC),
        tenant_id=TENANT,
        flow_id=flow_id,
        flow_group_id=UUID(int=3),
    )


async def publish(bus: Bus, event: FlowArchived) -> None:
    await bus.js.publish(
        event.subject.at(flow_id=event.flow_id),
        event.model_dump_json().encode(),
        stream="EVENTS",
        headers={"Nats-Msg-Id": str(event.event_id)},
        timeout=20,
    )


async def test_a_verb_that_may_take_longer_than_usual_is_waited_for(stack: Stack) -> None:
    async def answer(_: registry.FlowCommand) -> Applied:
        await asyncio.sleep(1)
        return Applied()

    server = Bus(stack.nats_url, service="registry")
    server.include(a_router(replace(registry.ARCHIVE_FLOW, timeout=30.0), answer))
    await server.start()
    asker = Bus(stack.nats_url, service="asker", rpc_timeout=0.1)
    await asker.start()

    usual = await asker.call(registry.ARCHIVE_FLOW, a_command())
    patient = await asker.call(replace(registry.ARCHIVE_FLOW, timeout=30.0), a_command())

    await asker.stop()
    await server.stop()
    assert isinstance(usual, Refused)
    assert patient == Applied()


async def test_nobody_listening_is_an_answer_not_an_exception(asker: Bus) -> None:
    reply = await asker.call(registry.ARCHIVE_FLOW, a_command(), timeout=0.3)

    assert reply == Refused(code=Code.UNAVAILABLE, fields={"service": "registry"})


@pytest.mark.parametrize("lane", ["verb", "lean_verb"])
async def test_a_surprise_in_a_handler_is_answered_without_its_text(
    stack: Stack, asker: Bus, lane: str
) -> None:
    async def handler(_command: registry.FlowCommand) -> Applied:
        raise ZeroDivisionError("secret detail")

    server = Bus(stack.nats_url, service="registry")
    server.include(a_router(registry.UNARCHIVE_FLOW, handler, lane))
    await server.start()

    reply = await asker.call(registry.UNARCHIVE_FLOW, a_command(), timeout=20)
    await server.stop()

    assert isinstance(reply, Refused)
    assert reply.code is Code.INTERNAL
    assert "secret detail" not in reply.model_dump_json()


@pytest.mark.parametrize("lane", ["verb", "lean_verb"])
async def test_a_body_that_does_not_parse_is_refused_with_the_name_of_the_field(
    stack: Stack, asker: Bus, lane: str
) -> None:
    async def handler(_command: registry.FlowCommand) -> Applied:
        return Applied()

    server = Bus(stack.nats_url, service="registry")
    server.include(a_router(registry.DELETE_FLOW, handler, lane))
    await server.start()

    raw = await asker.client.request(registry.DELETE_FLOW.subject.template, b"{}", timeout=20)
    await server.stop()

    reply = Refused.model_validate_json(raw.data)
    assert reply.code is Code.INVALID
    assert reply.fields["reason"].startswith("tenant_id:")


async def test_a_request_that_cannot_be_answered_in_time_is_undone_and_refused(
    stack: Stack, asker: Bus
) -> None:
    undone = asyncio.Event()

    async def handler(_command: registry.FlowCommand) -> Applied:
        try:
            return await asyncio.Future[Applied]()
        finally:
            undone.set()

    server = Bus(stack.nats_url, service="registry", rpc_timeout=0.3)
    server.include(a_router(registry.ARCHIVE_FLOW, handler))
    await server.start()

    reply = await asker.call(registry.ARCHIVE_FLOW, a_command(), timeout=20)

    assert isinstance(reply, Refused)
    assert reply.code is Code.UNAVAILABLE
    assert undone.is_set()
    await eventually(lambda: not server.in_flight)
    await server.stop()


async def test_a_large_request_goes_on_when_its_caller_has_left(stack: Stack, asker: Bus) -> None:
    go_on, done = asyncio.Event(), asyncio.Event()

    async def handler(_command: registry.FlowCommand) -> Applied:
        await go_on.wait()
        done.set()
        return Applied()

    server = Bus(stack.nats_url, service="registry", rpc_timeout=0.1)
    router = Router("registry")
    router.verb(registry.DELETE_FLOW, seconds=LARGE)(handler)
    server.include(router)
    await server.start()

    reply = await asker.call(registry.DELETE_FLOW, a_command(), timeout=0.5)
    go_on.set()
    await asyncio.wait_for(done.wait(), 20)
    await server.stop()

    assert isinstance(reply, Refused)
    assert reply.code is Code.UNAVAILABLE


async def test_who_comes_while_too_many_wait_is_told_to_try_again(
    stack: Stack, asker: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "_WORKERS", 1)
    monkeypatch.setattr(answering, "_WAITING", 2)
    go_on = asyncio.Event()

    async def handler(_command: registry.FlowCommand) -> Applied:
        await go_on.wait()
        return Applied()

    server = Bus(stack.nats_url, service="registry", rpc_timeout=60)
    server.include(a_router(registry.ARCHIVE_FLOW, handler))
    await server.start()
    body = a_command().model_dump_json().encode()
    begun = [
        await asker.client.begin(registry.ARCHIVE_FLOW.subject.template, body, 60) for _ in range(4)
    ]

    turned_away = Refused.model_validate_json((await begun[3]).data)
    assert not any(answer.done() for answer in begun[:3])
    go_on.set()
    answers = [Applied.model_validate_json((await answer).data) for answer in begun[:3]]
    await server.stop()

    assert turned_away == Refused(code=Code.BUSY, fields={"service": "registry"})
    assert answers == [Applied()] * 3


@pytest.mark.parametrize("lane", ["verb", "lean_verb"])
async def test_a_bus_that_stops_answers_all_that_it_was_asked_before(
    stack: Stack, asker: Bus, lane: str
) -> None:
    """FastStream 0.7.8 drops requests that wait when it is stopped; `finish` waits for them first."""
    go_on = asyncio.Event()

    async def handler(_command: registry.FlowCommand) -> Applied:
        await go_on.wait()
        return Applied()

    server = Bus(stack.nats_url, service="registry")
    server.include(a_router(registry.ARCHIVE_FLOW, handler, lane))
    await server.start()
    body = a_command().model_dump_json().encode()
    begun = [
        await asker.client.begin(registry.ARCHIVE_FLOW.subject.template, body, 20)
        for _ in range(500)
    ]
    await asker._settle(timeout=10)

    stopping = asyncio.create_task(server.stop())
    await eventually(lambda: server.in_flight > 0)
    go_on.set()
    answers = [Applied.model_validate_json((await answer).data) for answer in begun]
    await stopping

    assert answers == [Applied()] * 500


async def test_an_answer_that_is_there_before_its_request_is_written_off_is_not_lost(
    stack: Stack, asker: Bus
) -> None:
    """A full socket is waited for in the middle of `publish`, and the answer is read meanwhile."""

    class Slow(LeanClient):
        async def publish(self, *arguments: Any, **named: Any) -> None:
            await super().publish(*arguments, **named)
            if "reply" in named:
                await answered.wait()
                await self.flush()

    answered = asyncio.Event()

    async def echo(message: Msg) -> None:
        await message.respond(message.data)
        await asker.client.flush()
        answered.set()

    await asker.client.subscribe("an.echo", cb=echo)
    await asker.client.flush()
    slow = Slow()
    await asker.open(slow)
    try:
        assert (await (await slow.begin("an.echo", b"hello", 20))).data == b"hello"
    finally:
        await slow.close()


class Away:
    """A service that answers when it is told to, and who asks it over a way that can be cut."""

    def __init__(self, stack: Stack, way: Cut) -> None:
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()
        self.server = Bus(stack.nats_url, service="registry")
        self.server.include(a_router(registry.ARCHIVE_FLOW, self._answer))
        self.far = Bus(way.url, service="asker", rpc_timeout=60)

    async def _answer(self, _command: registry.FlowCommand) -> Applied:
        self.asked.set()
        await self.go_on.wait()
        return Applied()

    async def ask(self) -> "asyncio.Task[Applied | Refused]":
        """A request that has arrived and is not answered yet."""

        async def call() -> Applied | Refused:
            return await self.far.call(registry.ARCHIVE_FLOW, a_command())

        asking = asyncio.create_task(call())
        await self.asked.wait()
        return asking

    async def answer(self) -> None:
        """Send the answer."""
        self.go_on.set()
        await eventually(lambda: not self.server.in_flight)
        await self.server.client.flush()


@pytest.fixture
async def away(stack: Stack) -> AsyncIterator[tuple[Away, Cut]]:
    async with cut_before(stack.nats_url) as way:
        away = Away(stack, way)
        await away.server.start()
        await away.far.start()
        yield away, way
        way.mend()
        await away.far.stop()
        await away.server.stop()


async def test_an_answer_that_was_lost_with_the_connection_is_not_waited_for_till_the_deadline(
    away: tuple[Away, Cut], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lean, "_ANSWERED_LATE", 0.1)
    service, way = away
    asking = await service.ask()

    way.cut()
    await eventually(lambda: not service.far.connected)
    await service.answer()
    way.mend()

    async with asyncio.timeout(20):  # a third of the deadline
        answer = await asking
    assert answer == Refused(code=Code.UNAVAILABLE, fields={"service": "registry"})


async def test_an_answer_that_comes_after_the_connection_is_back_is_heard(
    away: tuple[Away, Cut], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lean, "_ANSWERED_LATE", 30.0)
    service, way = away
    asking = await service.ask()

    way.cut()
    await eventually(lambda: not service.far.connected)
    way.mend()
    await eventually(lambda: service.far.connected)
    await service.far.client.flush()
    await service.answer()

    assert await asking == Applied()


@asynccontextmanager
async def hanging(stack: Stack, *, ping_interval: float) -> AsyncIterator[Bus]:
    """A bus whose broker takes nothing any more, with far more to send than sockets hold."""
    async with cut_before(stack.nats_url) as way:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(connection._RECONNECT, "ping_interval", ping_interval)
            bus = Bus(way.url, service="asker")
        await bus.start()
        assert way.hang() == 1
        for _ in range(300):
            await bus.signal("a.signal", bytes(100_000))
        yield bus


async def test_a_broker_that_hangs_is_left_though_there_is_much_that_it_has_not_taken(
    stack: Stack,
) -> None:
    async with hanging(stack, ping_interval=0.5) as bus:

        async def is_taken() -> bool:
            # A broker without a core for a second is left once more; what was asked of it is asked again then.
            await bus.client.flush(timeout=5)
            return True

        await eventually(lambda: bus.client.stats["reconnects"] >= 1, timeout=20)
        await eventually(is_taken, timeout=60)
        await bus.stop()


async def test_a_bus_stops_though_its_broker_is_away(stack: Stack) -> None:
    async with cut_before(stack.nats_url) as way:
        bus = Bus(way.url, service="asker")
        await bus.start()
        way.cut()
        await eventually(lambda: not bus.connected)
        await bus.signal("a.signal")

        async with asyncio.timeout(20):
            await bus.stop()

    assert bus.client.is_closed
    assert not bus.client._subs  # closed to the end: what nobody can take does not break it off


async def test_a_bus_stops_though_its_broker_hangs(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workarounds, "_LAST_WORDS", 0.2)
    async with hanging(stack, ping_interval=60) as bus:
        async with asyncio.timeout(20):
            await bus.stop()

        assert bus.client.is_closed


async def test_a_bus_stops_though_a_batch_hangs_and_does_not_hear_of_its_cancellation(
    stack: Stack, asker: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As asyncpg does while PostgreSQL hangs."""
    monkeypatch.setattr(connection, "_FINISH", 0.02)
    monkeypatch.setattr(connection, "_LAST_BATCH", 0.02)
    begun, cancelled, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hang(_messages: Sequence[Msg]) -> None:
        begun.set()
        try:
            await asyncio.Future()
        finally:
            cancelled.set()
            await over.wait()

    bus = Bus(stack.nats_url, service="runs")
    bus.include(a_router_of_batches(hang, wait=0.2))
    await bus.start()
    await asker.js.publish(f"hw.lines.{TENANT}.none", b"{}", stream="LOGS", timeout=20)
    await begun.wait()

    async with asyncio.timeout(20):
        await bus.stop()

    assert cancelled.is_set()
    over.set()
    await asker.js.purge_stream("LOGS")


async def test_who_asks_ahead_has_the_next_batches_here_already(stack: Stack, asker: Bus) -> None:
    await asker.js.purge_stream("EVENTS")
    for _ in range(30):
        await publish(asker, an_archived_event(new_id()))
    pull = await Pull.open(asker.client, "EVENTS", ARCHIVED.name)

    taken = [len(await pull.fetch(5, wait=2, ahead=20))]

    async def is_given_out() -> bool:
        info = await asker.js.consumer_info("EVENTS", ARCHIVED.name)
        return bool(info.num_ack_pending == 20)

    await eventually(is_given_out)
    while sum(taken) < 20:
        taken.append(len(await pull.fetch(5, wait=2, ahead=20)))
    await pull.close(settled=lambda: asker._settle(timeout=2))
    await asker.js.purge_stream("EVENTS")

    assert max(taken) <= 5


async def test_what_a_signals_handler_raises_is_logged(stack: Stack, asker: Bus) -> None:
    async def handler(message: bytes) -> None:
        raise ZeroDivisionError(message.decode())

    router = Router("registry")
    router.signal("a.signal")(handler)
    server = Bus(stack.nats_url, service="registry")
    server.include(router)
    with capture_logs() as logged:
        await server.start()
        await asker.signal("a.signal", b"of what")

        async def failure() -> Any:
            return next((line for line in logged if line["event"] == "signal_failed"), None)

        line = await eventually(failure)
        await server.stop()

    assert (line["subject"], line["error"]) == ("a.signal", "of what")


async def test_a_failing_event_is_delivered_again_and_a_poison_one_is_kept_for_a_human(
    stack: Stack, asker: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "RETRY_DELAYS", (0.05,))
    durable = Durable(name=ARCHIVED.name, service="runs", filter=ARCHIVED.filter, max_deliver=3)
    seen: list[UUID] = []
    poison, good = UUID(int=10), UUID(int=11)

    async def handler(event: FlowArchived) -> None:
        seen.append(event.flow_id)
        if event.flow_id == poison:
            msg = "cannot be handled"
            raise ValueError(msg)

    consumer = Bus(stack.nats_url, service="runs")
    router = Router("runs")
    router.durable(durable, streams.EVENTS, {FlowArchived.subject: FlowArchived})(handler)
    consumer.include(router)
    await consumer.start()
    await publish(asker, an_archived_event(poison))
    await publish(asker, an_archived_event(good))
    await asker.js.publish("hw.evt.flow.archived.x", b"not json", stream="EVENTS", timeout=20)

    async def both_buried() -> bool:
        return (await asker.js.stream_info("DLQ")).state.messages == 2

    await eventually(both_buried)
    await consumer.stop()
    assert seen.count(poison) == 3
    assert seen.count(good) == 1


async def test_a_batch_that_fails_is_put_off_and_delivered_whole(
    stack: Stack, asker: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "RETRY_DELAYS", (0.05,))
    attempts: list[int] = []
    kept: list[bytes] = []

    async def handler(messages: Sequence[Msg]) -> None:
        attempts.append(len(messages))
        if len(attempts) == 1:
            raise ConnectionError
        kept.extend(m.data for m in messages)

    consumer = Bus(stack.nats_url, service="runs")
    consumer.include(a_router_of_batches(handler, batch=10, wait=0.2))
    for number in range(5):
        await asker.js.publish("hw.lines.t.r", str(number).encode(), stream="LOGS", timeout=20)
    await consumer.start()

    await eventually(lambda: len(kept) == 5)
    await consumer.stop()
    assert sorted(kept) == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_consumer_rests_between_batches_so_that_the_next_one_gathers(
    stack: Stack, asker: Bus
) -> None:
    rest = 0.3
    moments: list[float] = []
    clock = asyncio.get_running_loop().time

    async def handler(_messages: Sequence[Msg]) -> None:
        moments.append(clock())

    consumer = Bus(stack.nats_url, service="runs")
    consumer.include(a_router_of_batches(handler, batch=10, wait=0.2, rest=rest))
    await consumer.start()
    await asker.js.publish("hw.lines.t.r", b"a line", stream="LOGS", timeout=20)
    await eventually(lambda: len(moments) == 1)
    await asker.js.publish("hw.lines.t.r", b"another", stream="LOGS", timeout=20)
    await eventually(lambda: len(moments) == 2)
    await consumer.stop()

    assert moments[1] - moments[0] >= rest


async def test_what_a_consumer_that_stops_has_not_handled_is_at_once_another_ones(
    stack: Stack, asker: Bus
) -> None:
    durable = streams.LOGS.durables[0]
    began, goes_on = asyncio.Event(), asyncio.Event()
    handled: list[bytes] = []

    async def slow(messages: Sequence[Msg]) -> None:
        began.set()
        await goes_on.wait()
        handled.extend(m.data for m in messages)

    async def put(number: int) -> None:
        await asker.js.publish("hw.lines.t.r", str(number).encode(), stream="LOGS", timeout=20)

    leaving = Bus(stack.nats_url, service="runs")
    leaving.include(a_router_of_batches(slow, batch=10, wait=5))
    await leaving.start()
    await put(0)
    await began.wait()
    for number in range(1, 6):  # its request stands still: these go to it
        await put(number)

    stopping = asyncio.create_task(leaving.stop())
    goes_on.set()
    await stopping
    assert b"0" in handled

    async def quick(messages: Sequence[Msg]) -> None:
        handled.extend(m.data for m in messages)

    staying = Bus(stack.nats_url, service="runs")
    staying.include(a_router_of_batches(quick, batch=10, wait=0.2))
    await staying.start()
    # Without being given back they would come after the durable's ack_wait.
    assert durable.ack_wait.total_seconds() > 25
    await eventually(lambda: len(handled) >= 6, timeout=20)
    await staying.stop()
    assert sorted(handled) == [b"0", b"1", b"2", b"3", b"4", b"5"]
