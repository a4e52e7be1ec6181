"""A durable's messages in batches: fetched, handed over together, acknowledged together."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from typing import Any

import nats.errors
import structlog
from nats.aio.msg import Msg

from libs.contracts.streams import Durable, Stream
from libs.runtime.bus.answering import traceparent_of
from libs.runtime.bus.consumers import retry_delay
from libs.runtime.failures import is_outage
from libs.runtime.nats.lean import LeanClient, Pull
from libs.runtime.trace import Tracing

BatchHandler = Callable[[Sequence[Msg]], Awaitable[None]]
_SIZE = "messaging.batch.message_count"
_BIND_AGAIN = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Batches:
    """Which messages, and how many at once. `Router.batches` says what each field means."""

    durable: Durable
    stream: Stream
    handler: BatchHandler
    _: KW_ONLY
    batch: int
    wait: float
    rest: float
    ahead: int


async def acknowledge(messages: Sequence[Msg]) -> None:
    """Acknowledge handled messages. A handler may do it for a part of its batch."""
    # Messages without an acknowledgement are delivered again.
    with suppress(nats.errors.Error, OSError):
        for message in messages:
            if not message._ackd:
                await message.ack()


class BatchConsumer:
    """Fetches and handles batches until the bus stops.

    `client` gives the connection; `settled` returns when the server has processed everything written before.
    """

    def __init__(
        self,
        wanted: Batches,
        *,
        client: Callable[[], LeanClient],
        settled: Callable[[], Awaitable[None]],
        stopping: asyncio.Event,
        tracing: Tracing | None,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._wanted = wanted
        self._client = client
        self._settled = settled
        self._stopping = stopping
        self._tracing = tracing
        self._log = log
        self._pull: Pull | None = None
        self._failures = 0

    async def run(self) -> None:
        """Run until `stopping` is set; then give back the messages that were not handled."""
        while not self._stopping.is_set():
            messages = await self._fetch()
            if messages and await self._handle(messages) and self._wanted.rest:
                await asyncio.sleep(self._wanted.rest)
        if self._pull is not None and self._client().is_connected:
            with suppress(nats.errors.Error, TimeoutError):
                await self._pull.close(settled=self._settled)

    async def _fetch(self) -> list[Msg]:
        """The next batch; empty when nothing came or the broker is away."""
        wanted = self._wanted
        try:
            if self._pull is None:
                self._pull = await Pull.open(
                    self._client(), wanted.stream.name, wanted.durable.name
                )
            return await self._unless_stopping(
                self._pull.fetch(wanted.batch, wait=wanted.wait, ahead=wanted.ahead)
            )
        except TimeoutError:
            return []
        except Exception as error:
            # The broker is away, or came back without the consumer: bind anew after a pause.
            self._log.warning(
                "fetch_failed",
                durable=wanted.durable.name,
                error=str(error),
                exc_info=not is_outage(error),
            )
            if self._pull is not None:
                await self._pull.abandon()
                self._pull = None
            await asyncio.sleep(_BIND_AGAIN)
            return []

    async def _handle(self, messages: list[Msg]) -> bool:
        """Whether they were handled. If not, they are delivered again later."""
        try:
            await self._traced(messages)
        except Exception as error:
            self._failures += 1
            delay = retry_delay(self._failures)
            self._log.error(
                "batch_failed",
                durable=self._wanted.durable.name,
                size=len(messages),
                error=str(error),
                exc_info=not is_outage(error),
            )
            await asyncio.gather(*(m.nak(delay=delay) for m in messages), return_exceptions=True)
            return False
        self._failures = 0
        await acknowledge(messages)
        return True

    async def _traced(self, messages: list[Msg]) -> None:
        if self._tracing is None:
            await self._wanted.handler(messages)
            return
        causes = [text for m in messages if (text := traceparent_of(m.headers)) is not None]
        with self._tracing.span(
            f"consume {self._wanted.durable.name}",
            "consumer",
            links=causes,
            attributes={_SIZE: len(messages)},
        ):
            await self._wanted.handler(messages)

    async def _unless_stopping(self, fetch: "Coroutine[Any, Any, list[Msg]]") -> list[Msg]:
        """The fetched messages; none when the bus stops first (messages under way are delivered again)."""
        fetching = asyncio.create_task(fetch)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({fetching, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if fetching.done():
                return fetching.result()
            raise TimeoutError
        finally:
            fetching.cancel()
            stopping.cancel()
