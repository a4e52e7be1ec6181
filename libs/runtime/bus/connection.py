"""One NATS connection of one service: opened, kept open, and closed without losing requests."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, cast

import nats.errors
from faststream import AckPolicy
from faststream.nats.subscriber.usecases import CoreSubscriber
from faststream.security import BaseSecurity
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext

from libs.contracts import subjects
from libs.contracts.base import Message, Refused, Rpc
from libs.contracts.streams import WORK, Durable, Stream
from libs.runtime import log
from libs.runtime.bus import batches
from libs.runtime.bus.answering import Answering
from libs.runtime.bus.batches import BatchConsumer
from libs.runtime.bus.consumers import Consuming
from libs.runtime.bus.declarations import Bound
from libs.runtime.bus.draining import finish
from libs.runtime.bus.router import Router
from libs.runtime.bus.rpc import RpcClient
from libs.runtime.bus.streams import BusStreams
from libs.runtime.bus.subscriptions import Subscription as Declared
from libs.runtime.bus.watch import BusWatch
from libs.runtime.nats.address import nats_address
from libs.runtime.nats.lean import LeanBroker, LeanClient
from libs.runtime.nats.workarounds import PatientClient
from libs.runtime.trace import Tracing

Rep = TypeVar("Rep", bound=Message)
Connected = TypeVar("Connected")

_RECONNECT: dict[str, Any] = {
    "max_reconnect_attempts": -1,
    "reconnect_time_wait": 1,
    "connect_timeout": 5,
    # A server that hangs without closing is noticed within 15 s; nats-py's own defaults need six minutes.
    "ping_interval": 5,
    "max_outstanding_pings": 2,
}
_FINISH = 10.0  # seconds that a stopping bus waits for running work
_LAST_BATCH = 5.0  # seconds; without an answer to its cancellation asyncpg waits for thirty


class NotStartedError(ConnectionError):
    """Nothing can be asked of NATS yet."""

    def __init__(self, service: str) -> None:
        super().__init__(f"the bus of {service} is not started")


class Bus:
    """One NATS connection of one service."""

    def __init__(
        self,
        url: str,
        *,
        service: str,
        rpc_timeout: float = 10.0,
        drain_timeout: float = 15.0,
        connect_timeout: float = 30.0,
        tls_ca: str | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.service = service
        self._tracing = tracing
        self._connect_timeout = connect_timeout
        self._address = nats_address(url)
        self._watch = BusWatch(service, monotonic=time.monotonic)
        self._log = log.get(service)
        self._rpc = RpcClient(lambda: self.client, timeout=rpc_timeout, tracing=tracing)
        self._consuming = Consuming(service, lambda: self.js, tracing=tracing, log=self._log)
        self._bound = Bound(
            answering=Answering(service, tracing=tracing, log=self._log),
            consuming=self._consuming,
            reply=self._reply,
            log=self._log,
            rpc_timeout=rpc_timeout,
        )
        self._routers: list[Router] = []
        self._batch_consumers: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lanes: list[PatientClient] = []
        self._starting: asyncio.Task[None] | None = None
        self._tls = ssl.create_default_context(cafile=tls_ca) if tls_ca else None
        self._client: LeanClient | None = None
        self._js: JetStreamContext | None = None
        self._subscriptions: list[Subscription] = []
        self._streams = BusStreams(monotonic=time.monotonic)
        self.broker = LeanBroker(
            self._address,
            callbacks={
                "error_cb": self._watch.on_error,
                "disconnected_cb": self._on_disconnected,
                "reconnected_cb": self._watch.on_reconnected,
                "closed_cb": self._watch.on_closed,
            },
            name=f"headwater-{service}",
            inbox_prefix=subjects.inbox_of(service),  # the only one that its NATS user may read
            ack_policy=AckPolicy.MANUAL,
            **_RECONNECT,
            pending_size=64 << 20,
            graceful_timeout=drain_timeout,
            drain_timeout=5,  # `_leave` has drained the important subscriptions before
            logger=None,
            security=BaseSecurity(ssl_context=self._tls) if self._tls else None,
        )

    def include(self, router: Router) -> None:
        """Subscribe to everything that the router declares. Call it before `start`."""
        router.bind(self._bound)
        for stream, durable, bound in router.needs:
            self._streams.need(stream, durable, bound=bound)
        self._routers.append(router)
        self.broker.include_router(router)

    # start and stop

    async def start(self) -> None:
        """Connect, then start every subscription that was declared before. ConnectionError says why it cannot."""
        await self._patiently(self.broker.connect())
        await self._begin_serving()

    async def start_or_go_on(self, *, after: float) -> None:
        """Like `start`, for a service that is useful without NATS. After this many seconds it returns; the start goes
        on in the background until it succeeds."""
        self._starting = asyncio.create_task(self._begin_serving(), name="bus")
        done, _ = await asyncio.wait({self._starting}, timeout=after)
        if done:
            self._starting.result()
        else:
            last = str(self._watch.last_error or "no answer")
            self._log.warning("nats_start_waits", nats=self._address.hosts, error=last)

    async def _begin_serving(self) -> None:
        client = cast("LeanClient", await self.broker.connect())
        await self._streams.look(client)
        self._streams.check_bound()
        await self.broker.start()
        self._client, self._js = client, client.jetstream()
        for router in self._routers:
            await self._listen(router)
        await self._settle(timeout=10)  # started means serving
        for router in self._routers:
            self._consume_batches(router)

    async def _listen(self, router: Router) -> None:
        """Subscribe to the lanes that are not FastStream's."""
        for subject, begin in router.taken:
            take = partial(self._take, begin)
            self._subscriptions.append(await self.client.take(subject, take, queue=self.service))
        for subject, shared, function in router.heard:
            queue = self.service if shared else ""
            self._subscriptions.append(
                await self.client.subscribe(subject, queue=queue, cb=function)
            )

    def _consume_batches(self, router: Router) -> None:
        for wanted in router.batch_consumers:
            consumer = BatchConsumer(
                wanted,
                client=lambda: self.client,
                settled=partial(self._settle, timeout=2),
                stopping=self._stopping,
                tracing=self._tracing,
                log=self._log,
            )
            self._batch_consumers.append(
                asyncio.create_task(consumer.run(), name=wanted.durable.name)
            )

    def _take(self, begin: Callable[[Msg], Coroutine[Any, Any, None] | None], message: Msg) -> None:
        """Answer in a task of its own, so that reading goes on. A stop waits for it."""
        work = begin(message)
        if work is not None:
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _reply(self, subject: str, body: bytes) -> None:
        client = self.client
        if not client.post(subject, "", body):
            await client.publish(subject, body)

    async def _patiently(self, connecting: Awaitable[Connected]) -> Connected:
        """Await the connection, with a time-out. nats-py would try for ever, so a wrong address would look like a slow
        start."""
        try:
            async with asyncio.timeout(self._connect_timeout):
                return await connecting
        except TimeoutError:
            last = self._watch.last_error
            why = f" ({str(last) or type(last).__name__})" if last is not None else ""
            msg = (
                f"NATS at {self._address.hosts} let nobody in for {self._connect_timeout:g} s{why}"
            )
            raise ConnectionError(msg) from None

    async def stop(self) -> None:
        """Accept nothing new, finish the requests in flight, close."""
        self._watch.stopping()
        self._stopping.set()
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()
            await asyncio.wait({self._starting}, timeout=_FINISH)
        await self._leave()
        if self._batch_consumers:
            _, late = await asyncio.wait(self._batch_consumers, timeout=_FINISH)
            for task in late:
                task.cancel()
            if late:  # on a database that does not answer they end with their connections
                await asyncio.wait(late, timeout=_LAST_BATCH)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_FINISH)
        await self.broker.stop()

    async def open(self, client: PatientClient) -> None:
        """Connect another client as this service, for a lane that shares its socket with nothing else.

        ConnectionError says why it cannot.
        """
        self._lanes.append(client)
        await self._patiently(
            client.connect(
                **self._address.options(),
                name=f"headwater-{self.service}",
                tls=self._tls,
                error_cb=self._watch.on_error,
                **_RECONNECT,
            )
        )

    async def _leave(self) -> None:
        """Leave the queue groups: the server sends new messages to other replicas; those already here are answered.

        Not by nats-py's own `drain`: its PING overtakes the UNSUB (see `_settle`), and messages that come after it are
        dropped.
        """
        if not self.connected:
            return
        theirs = [
            subscriber.subscription
            for router in self._routers
            for subscriber in router.subscribers
            if isinstance(subscriber, CoreSubscriber) and subscriber.subscription is not None
        ]
        with suppress(nats.errors.Error, TimeoutError):
            for subscription in (*self._subscriptions, *theirs):
                await self.client._send_unsubscribe(subscription._id)
            await self._settle(timeout=2)
            async with asyncio.timeout(_FINISH):
                for subscription in (*self._subscriptions, *theirs):
                    await subscription._pending_queue.join()
                for router in self._routers:
                    await finish(router)

    async def _settle(self, *, timeout: int) -> None:  # noqa: ASYNC109 - of each of the two
        """Return when the server has processed everything that was written before.

        Two flushes, because nats-py 2.16 writes the first PING ahead of its own queue, so its PONG proves nothing about
        a SUB or UNSUB. The second PING comes after them.
        """
        for _ in range(2):
            await self.client.flush(timeout=timeout)

    @property
    def client(self) -> LeanClient:
        """The nats-py connection, for hot lanes."""
        if self._client is None:
            raise NotStartedError(self.service)
        return self._client

    @property
    def js(self) -> JetStreamContext:
        """JetStream on the same connection."""
        if self._js is None:
            raise NotStartedError(self.service)
        return self._js

    @property
    def connected(self) -> bool:
        """Whether the broker is reachable right now."""
        return self._client is not None and self._client.is_connected

    @property
    def subscriptions(self) -> list[Declared]:
        """Every subscription, as it was declared."""
        return [each for router in self._routers for each in router.subscriptions]

    @property
    def in_flight(self) -> int:
        """Requests that are being answered."""
        return sum(router.in_flight for router in self._routers)

    def need(self, stream: Stream) -> None:
        """Declare that this service publishes to the stream: `missing` names it when it does not exist. Call it before
        `start`."""
        self._streams.need(stream)

    async def look_at_streams(self) -> None:
        """Check that the streams and consumers of this service exist; free while the last answer is fresh."""
        if self.connected:
            await self._streams.look(self.client)

    def missing(self) -> list[str]:
        """Streams and consumers that NATS did not have at the last look, one sentence each."""
        return self._streams.missing()

    async def _on_disconnected(self) -> None:
        self._streams.changed()
        await self._watch.on_disconnected()

    def failed(self) -> list[str]:
        """Failures that only a new process can end, one sentence each; empty while the connection is maintained."""
        if self._stopping.is_set():
            return []
        starting = self._starting
        if starting is not None and starting.done() and not starting.cancelled():
            error = starting.exception()
            if error is not None:
                return [f"the start on NATS broke off: {error or type(error).__name__}"]
        if self._client is None:
            return []
        reasons = [
            "the connection to NATS is lost, and nothing makes it again"
            for client in (self._client, *self._lanes)
            if client.is_given_up
        ]
        ended = [task.get_name() for task in self._batch_consumers if task.done()]
        return reasons + [f"the consumer {name} has ended" for name in ended]

    # requests

    def call(
        self,
        rpc: Rpc[Any, Rep],
        request: Message,
        *,
        timeout: float | None = None,
    ) -> Coroutine[Any, Any, Rep | Refused]:
        """Ask a service. Absent or silent: `Refused(UNAVAILABLE)`; the request may have been carried out all the
        same."""
        return self._rpc.call(rpc, request, timeout=timeout)

    # consuming

    async def dead_letter(self, durable: Durable, raw: Msg, reason: str) -> None:
        """Keep one poison message of a batch in the DLQ; its delivery ends."""
        await self._consuming.dead_letter(durable, raw, reason)

    async def acknowledge(self, messages: Sequence[Msg]) -> None:
        """End the delivery of messages that are dealt with: a batch's part too, when its handler has come so far."""
        await batches.acknowledge(messages)

    # publishing

    async def publish_work(self, subject: str, body: Message, *, key: str) -> None:
        """Put a command on the WORK stream; `key` deduplicates repeats. Raises when unacknowledged."""
        await self.js.publish(
            subject,
            body.model_dump_json().encode(),
            stream=WORK.name,
            timeout=5,
            headers={"Nats-Msg-Id": key} | (self.trace_headers() or {}),
        )

    def trace_headers(self) -> dict[str, str] | None:
        """Trace headers for messages that are published without this class; None when traces are off."""
        return None if self._tracing is None else self._tracing.headers() or None

    async def signal(self, subject: str, body: bytes = b"") -> None:
        """Publish on core NATS; may be lost."""
        await self.client.publish(subject, body)
