"""What a service put on the WORK stream, read as `runs` would read it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import nats
from nats.aio.client import Client
from nats.js.client import JetStreamContext

from libs.contracts.base import Message

Body = TypeVar("Body", bound=Message)


@dataclass(frozen=True, slots=True)
class WorkReader:
    """Takes messages from the queue of `runs`."""

    js: JetStreamContext
    subscription: JetStreamContext.PullSubscription

    async def take(self) -> list[tuple[str, bytes]]:
        """Everything that is there now, as (subject, body), acknowledged.

        The stream says when that was all: a fetch that found nothing in time may have been slow.
        """
        taken: list[tuple[str, bytes]] = []
        async with asyncio.timeout(60):
            while (await self.js.stream_info("WORK")).state.messages:
                try:
                    messages = await self.subscription.fetch(500, timeout=1)
                except TimeoutError:
                    continue
                await asyncio.gather(*(message.ack_sync(timeout=30) for message in messages))
                taken += [(message.subject, message.data) for message in messages]
        return taken

    async def take_all(self, body: type[Body], *, verb: str) -> list[Body]:
        """Everything of one verb; the rest is dropped."""
        return [
            body.model_validate_json(data)
            for subject, data in await self.take()
            if subject.startswith(f"hw.work.runs.{verb}.")
        ]


@asynccontextmanager
async def work_of_runs(url: str) -> AsyncIterator[WorkReader]:
    """Stand in for `runs`."""
    client: Client = await nats.connect(url)
    try:
        js = client.jetstream()
        yield WorkReader(js, await js.pull_subscribe_bind(durable="runs__work", stream="WORK"))
    finally:
        await client.close()
