"""What a service put on the WORK stream, read as `runs` would read it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import nats
import nats.errors
from nats.aio.client import Client
from nats.js.client import JetStreamContext

from libs.contracts.base import Message

Body = TypeVar("Body", bound=Message)


@dataclass(frozen=True, slots=True)
class WorkReader:
    """Takes messages from the queue of `runs`."""

    subscription: JetStreamContext.PullSubscription

    async def take(self) -> list[tuple[str, bytes]]:
        """Everything that is there now, as (subject, body), acknowledged."""
        taken: list[tuple[str, bytes]] = []
        while True:
            try:
                messages = await self.subscription.fetch(500, timeout=0.2)
            except (TimeoutError, nats.errors.TimeoutError):
                return taken
            for message in messages:
                await message.ack()
                taken.append((message.subject, message.data))

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
        yield WorkReader(await js.pull_subscribe_bind(durable="runs__work", stream="WORK"))
    finally:
        await client.close()
