"""Provisioning: everything that is declared, and nothing lost by doing it again."""

from dataclasses import replace
from datetime import timedelta

import nats
import nats.js.errors
import pytest
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, RetentionPolicy

from deploy.engines import EngineError
from deploy.provision import provision
from libs.contracts.streams import ALL, EVENTS, LOGS, WORK, Durable, Retention, Stream
from tests.support.engines import Stack

pytestmark = pytest.mark.usefixtures("stack")


async def test_every_declared_stream_and_durable_exists(stack: Stack) -> None:
    async with _Js(stack) as js:
        durables = {
            stream.name: {info.name for info in await js.consumers_info(stream.name)}
            for stream in ALL
        }

    assert durables == {
        stream.name: {durable.name for durable in stream.durables} for stream in ALL
    }


async def test_provisioning_again_keeps_every_message_and_every_position(stack: Stack) -> None:
    async with _Js(stack) as js:
        await js.publish("hw.work.runs.kept", b"{}", stream="WORK")
        durable = WORK.durables[0]
        subscription = await js.pull_subscribe_bind(durable=durable.name, stream="WORK")
        await subscription.fetch(1, timeout=20)

        await provision(stack.nats_url)

        assert (await js.stream_info("WORK")).state.messages == 1
        assert (await js.consumer_info("WORK", durable.name)).num_ack_pending == 1


async def test_a_changed_declaration_is_applied_in_place(stack: Stack) -> None:
    longer = replace(
        EVENTS,
        max_age=timedelta(days=5),
        durables=(
            replace(EVENTS.durables[0], ack_wait=timedelta(seconds=77)),
            *EVENTS.durables[1:],
        ),
    )

    await provision(stack.nats_url, streams=[longer])

    async with _Js(stack) as js:
        assert (await js.stream_info("EVENTS")).config.max_age == timedelta(days=5).total_seconds()
        found = await js.consumer_info("EVENTS", EVENTS.durables[0].name)
        assert found.config.ack_wait == 77


async def test_a_durable_that_is_no_longer_declared_is_removed(stack: Stack) -> None:
    async with _Js(stack) as js:
        await js.add_consumer("EVENTS", ConsumerConfig(durable_name="scheduler__forgotten"))

        await provision(stack.nats_url)

        with pytest.raises(nats.js.errors.NotFoundError):
            await js.consumer_info("EVENTS", "scheduler__forgotten")


async def test_the_broker_never_gives_up_a_message_by_itself(stack: Stack) -> None:
    async with _Js(stack) as js:
        found = [info.config for stream in ALL for info in await js.consumers_info(stream.name)]

    assert {config.max_deliver for config in found} == {-1}


async def test_a_change_that_the_broker_refuses_is_said_and_changes_nothing(stack: Stack) -> None:
    other = Stream(
        name="DLQ", subjects=("hw.dlq.>",), retention=Retention.WORK_QUEUE,
        durables=(Durable(name="nobody__dlq", service="nobody", filter="hw.dlq.>"),),
    )  # fmt: skip

    with pytest.raises(EngineError, match="NATS refuses what Headwater needs"):
        await provision(stack.nats_url, streams=[other])

    async with _Js(stack) as js:
        assert (await js.stream_info("DLQ")).config.retention == RetentionPolicy.LIMITS


async def test_an_absent_nats_is_said(stack: Stack) -> None:
    with pytest.raises(EngineError, match=r"NATS at 127\.0\.0\.1:1 does not answer"):
        await provision("nats://127.0.0.1:1", wait=timedelta(0))


async def test_a_wrong_password_is_said(stack: Stack) -> None:
    wrong = stack.nats_url.replace("nats://", "nats://x", 1)

    with pytest.raises(EngineError, match="NATS"):
        await provision(wrong, wait=timedelta(0))


async def test_lines_that_the_release_before_kept_are_handed_to_the_ledger(stack: Stack) -> None:
    """They lie under the subject that agents publish to, which no stream takes any more."""
    drain = LOGS.durables[0]
    before = replace(LOGS, subjects=("hw.log.>",), durables=(replace(drain, filter="hw.log.>"),))
    async with _Js(stack) as js:
        await js.delete_stream("LOGS")
        await provision(stack.nats_url, streams=[before])
        await js.publish("hw.log.t.r", b"{}", stream="LOGS")

        await provision(stack.nats_url)

        assert (await js.stream_info("LOGS")).config.subjects == list(LOGS.subjects)
        await js.publish("hw.lines.t.r", b"{}", stream="LOGS")
        subscription = await js.pull_subscribe_bind(durable=drain.name, stream="LOGS")
        handed = await subscription.fetch(2, timeout=20)
        assert [message.subject for message in handed] == ["hw.log.t.r", "hw.lines.t.r"]
        for message in handed:
            await message.ack()


class _Js:
    """JetStream on a connection of its own."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    async def __aenter__(self) -> JetStreamContext:
        self._client = await nats.connect(self._stack.nats_url)
        return self._client.jetstream()

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
