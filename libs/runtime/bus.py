"""NATS as services use it: request/reply, durable consumers, batches, signals.

FastStream carries one-by-one consumers and signals. Requests and hot lanes (states, logs, pings) use nats-py under it
on the same connection: its handler call per message costs more there than the work itself, and when it is stopped it
throws away what has arrived.

What this module promises so that no handler has to:
* a request is always answered: a body that does not parse is `Refused(INVALID)`, a surprise is logged once and answered
  with `Refused(INTERNAL)` and its error id, a lost database is `Refused(UNAVAILABLE)`;
* nobody listening is not an exception: `call` waits for a responder within its time-out, then answers `Refused`;
* a consumer never loses a message: it is acknowledged after its handler, put off with a growing delay when the handler
  fails, and kept in the DLQ when it cannot be parsed or has failed `max_deliver` times;
* the connection reconnects for ever, and what happens to it is logged and counted (`bus_watch`). If it is ever
  *closed*, readiness fails.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from functools import cache, partial
from typing import Any, TypeVar, cast
from uuid import UUID

import nats.errors
from faststream import AckPolicy
from faststream.nats import JStream, NatsMessage, PullSub
from faststream.security import BaseSecurity
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig
from pydantic import TypeAdapter, ValidationError

from libs.contracts import subjects
from libs.contracts.base import Message, Refused, Rpc
from libs.contracts.errors import Code
from libs.contracts.streams import Durable, Stream
from libs.runtime import log, metrics
from libs.runtime.answering import (
    OUTCOME,
    Answering,
    first_error,
    outcome_of,
    traceparent_of,
)
from libs.runtime.bus_streams import BusStreams
from libs.runtime.bus_watch import BusWatch
from libs.runtime.failures import is_outage
from libs.runtime.nats_address import nats_address
from libs.runtime.nats_client import LeanBroker, LeanClient, Pull, Take
from libs.runtime.nats_patience import PatientClient
from libs.runtime.trace import Tracing

Req = TypeVar("Req", bound=Message)
Rep = TypeVar("Rep", bound=Message)
Body = TypeVar("Body", bound=Message)
Connected = TypeVar("Connected")

RETRY_DELAYS = (0.2, 1.0, 5.0, 15.0, 30.0)  # seconds; the last one repeats
_ENDURANCE: dict[str, Any] = {
    "max_reconnect_attempts": -1,
    "reconnect_time_wait": 1,
    "connect_timeout": 5,
    # A server that hangs without closing is noticed within 15 s; nats-py's own defaults need six minutes.
    "ping_interval": 5,
    "max_outstanding_pings": 2,
}
_FINISH = 10.0  # seconds for what a bus that stops has begun
_LAST_BATCH = 5.0  # seconds; without an answer to its cancellation asyncpg waits for thirty


@cache
def _reply_adapter(rpc: Rpc[Any, Any]) -> TypeAdapter[Any]:
    return rpc.adapter()


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
        self._rpc_timeout = rpc_timeout
        self._log = log.get(service)
        self._answering = Answering(service, tracing=tracing, log=self._log)
        self._batch_consumers: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._lanes: list[PatientClient] = []
        self._starting: asyncio.Task[None] | None = None
        self._tls = ssl.create_default_context(cafile=tls_ca) if tls_ca else None
        self._client: LeanClient | None = None
        self._js: JetStreamContext | None = None
        self._subscriptions: list[Subscription] = []
        self._hot: list[tuple[str, Take]] = []
        self._heard: list[tuple[str, str, Callable[[Msg], Awaitable[None]]]] = []
        self._batches: list[_Batches] = []
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
            **_ENDURANCE,
            pending_size=64 << 20,
            graceful_timeout=drain_timeout,
            drain_timeout=5,  # what matters has been drained before (`_leave`)
            logger=None,
            security=BaseSecurity(ssl_context=self._tls) if self._tls else None,
        )

    # life

    async def start(self) -> None:
        """Connect, then start every subscription that was declared before. ConnectionError says why it cannot."""
        await self._patiently(self.broker.connect())
        await self._begin_serving()

    async def start_or_go_on(self, *, after: float) -> None:
        """Like `start`, for a service that does something useful without NATS: who is not let in for so many seconds
        goes on, and the start is done whenever it can be."""
        self._starting = asyncio.create_task(self._begin_serving(), name="bus")
        done, _ = await asyncio.wait({self._starting}, timeout=after)
        if done:
            self._starting.result()
        else:
            last = str(self._watch.last_error or "no answer")
            self._log.warning("bus_start_waits", nats=self._address.place, error=last)

    async def _begin_serving(self) -> None:
        client = cast("LeanClient", await self.broker.connect())
        await self._streams.look(client)
        self._streams.check_bound()
        await self.broker.start()
        self._client, self._js = client, client.jetstream()
        for subject, take in self._hot:
            self._subscriptions.append(await client.take(subject, take, queue=self.service))
        for subject, queue, callback in self._heard:
            self._subscriptions.append(await client.subscribe(subject, queue=queue, cb=callback))
        await self._settle(timeout=10)  # started means serving
        for wanted in self._batches:
            self._batch_consumers.append(
                asyncio.create_task(self._consume_batches(wanted), name=wanted.durable.name)
            )

    async def _patiently(self, connecting: Awaitable[Connected]) -> Connected:
        """What connecting brings. nats-py would try for ever, so that a wrong address would look like a slow start."""
        try:
            async with asyncio.timeout(self._connect_timeout):
                return await connecting
        except TimeoutError:
            last = self._watch.last_error
            why = f" ({str(last) or type(last).__name__})" if last is not None else ""
            msg = (
                f"NATS at {self._address.place} let nobody in for {self._connect_timeout:g} s{why}"
            )
            raise ConnectionError(msg) from None

    async def stop(self) -> None:
        """Take nothing new, finish what is in flight, close."""
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
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=_FINISH)
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
                **_ENDURANCE,
            )
        )

    async def _leave(self) -> None:
        """Leave the queue groups: the server sends what follows to others, and what it has sent is answered here.

        Not by nats-py's own `drain`: its PING overtakes the UNSUB (see `_settle`), and what then comes is thrown away.
        """
        if not self.connected:
            return
        with suppress(nats.errors.Error, TimeoutError):
            for subscription in self._subscriptions:
                await self.client._send_unsubscribe(subscription._id)
            await self._settle(timeout=2)
            async with asyncio.timeout(5):
                for subscription in self._subscriptions:
                    await subscription._pending_queue.join()

    async def _settle(self, *, timeout: int) -> None:  # noqa: ASYNC109 - of each of the two
        """Return when the server has done all that was written before.

        Two flushes, because nats-py 2.16 writes the first PING past what it has queued, so that its PONG proves nothing
        about a SUB or UNSUB; the second PING comes after.
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

    def need(self, stream: Stream) -> None:
        """This service publishes to the stream: where it is missing, `missing` says so. Declare before `start`."""
        self._streams.need(stream)

    async def look_at_streams(self) -> None:
        """Ask whether what this service publishes to and consumes is there; costs nothing while that is known."""
        if self.connected:
            await self._streams.look(self.client)

    def missing(self) -> list[str]:
        """Streams and consumers that NATS did not have at the last look, one sentence each."""
        return self._streams.missing()

    async def _on_disconnected(self) -> None:
        self._streams.changed()
        await self._watch.on_disconnected()

    def failed(self) -> list[str]:
        """Why only a new process would help, one sentence each; empty while everything here is kept alive."""
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

    # asking

    async def call(
        self,
        rpc: Rpc[Any, Rep],
        request: Message,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the wire's own deadline
    ) -> Rep | Refused:
        """Ask a service. An absent or silent one is `Refused(UNAVAILABLE)`; it may have happened then."""
        if self._tracing is None:
            return await self._call(rpc, request, timeout=timeout, headers=None)
        with self._tracing.span(f"request {rpc.subject.template}", "client") as span:
            headers = self._tracing.headers()
            answer = await self._call(rpc, request, timeout=timeout, headers=headers)
            span.set_attribute(OUTCOME, outcome_of(answer))
            return answer

    async def _call(
        self,
        rpc: Rpc[Any, Rep],
        request: Message,
        *,
        timeout: float | None,  # noqa: ASYNC109 - the wire's own deadline
        headers: dict[str, str] | None,
    ) -> Rep | Refused:
        deadline = asyncio.get_running_loop().time() + (timeout or self._rpc_timeout)
        body = request.model_dump_json().encode()
        while True:
            left = deadline - asyncio.get_running_loop().time()
            try:
                reply = await self.client.request(
                    rpc.subject.template, body, timeout=max(left, 0.01), headers=headers
                )
            except nats.errors.NoRespondersError:
                # Nobody took it, so asking again is safe: the service is starting, or changing hands.
                if left <= 0.05:
                    return self._unavailable(rpc)
                await asyncio.sleep(0.05)
            except (nats.errors.Error, TimeoutError, ConnectionError):
                return self._unavailable(rpc)
            else:
                answer: Rep | Refused = _reply_adapter(rpc).validate_json(reply.data)
                return answer

    @staticmethod
    def _unavailable(rpc: Rpc[Any, Any]) -> Refused:
        service = rpc.subject.template.split(".")[2]
        return Refused(code=Code.UNAVAILABLE, fields={"service": service})

    # answering

    def serve(
        self, rpc: Rpc[Req, Rep], handler: "Callable[[Req], Awaitable[Rep | Refused]]"
    ) -> None:
        """Answer a verb, one handler call per request, in this service's queue group. Declare before `start`.

        Who finds too many waiting is refused at once with `BUSY`.
        """
        self._serve(rpc, self._answering.in_turn(handler))

    def serve_hot(
        self, rpc: Rpc[Req, Rep], handler: "Callable[[Req], Awaitable[Rep | Refused]]"
    ) -> None:
        """Like `serve`, as many at once as come: for verbs whose handler joins a group commit."""

        self._serve(rpc, handler)

    def _serve(
        self, rpc: Rpc[Req, Rep], handler: "Callable[[Req], Awaitable[Rep | Refused | None]]"
    ) -> None:
        async def respond(message: Msg) -> None:
            answer = await self._answering.answer(rpc, handler, message.data, message.headers)
            if message.reply and answer is not None:
                await self.client.publish(message.reply, answer)

        self._hot.append((rpc.subject.template, lambda message: self._begin(respond(message))))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it beside the reading; a stop waits for it."""
        task = asyncio.create_task(work)
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    def serve_tenants(
        self,
        rpc: Rpc[Req, Rep],
        handler: "Callable[[UUID, Req, str], Awaitable[Rep | Refused | None]]",
        *,
        whose: Callable[[Msg], UUID | None],
        read: Callable[[bytes], Req] | None = None,
        hot: bool = False,
    ) -> None:
        """Answer a verb that programs of a tenant call, whose id is a token of the subject. Declare before `start`.

        `whose` says which tenant asks; None: the request stays unanswered. `handler` is given tenant, request and the
        subject of the answer, and may answer later by itself: then it returns None. It has as long as a caller of ours
        waits (`rpc_timeout`), its turn included: what comes later is answered to nobody.
        `hot`: as many at once as come, as with `serve_hot`.
        """

        async def respond(message: Msg, tenant_id: UUID) -> None:
            async def in_time(request: Req) -> Rep | Refused | None:
                async with asyncio.timeout(self._rpc_timeout):
                    return await handle((tenant_id, request, message.reply))

            answer = await self._answering.answer(
                rpc, in_time, message.data, message.headers, read=read
            )
            if answer is not None:
                await self.client.publish(message.reply, answer)

        async def call(asked: tuple[UUID, Req, str]) -> Rep | Refused | None:
            return await handler(*asked)

        handle = call if hot else self._answering.in_turn(call)

        def take(message: Msg) -> None:
            tenant_id = whose(message)
            if tenant_id is not None:
                self._begin(respond(message, tenant_id))

        self._hot.append((rpc.subject.wildcard, take))

    def hear(
        self,
        subject: subjects.Subject,
        callback: Callable[[Msg], Awaitable[None]],
        *,
        shared: bool = True,
    ) -> None:
        """Hand each message of a subject, its tokens as wildcards, to `callback`, straight on nats-py.

        One replica gets it, or each where it is not `shared`. The callback must not wait. Declare before `start`.
        """
        self._heard.append((subject.wildcard, self.service if shared else "", callback))

    # consuming

    def consume(
        self,
        durable: Durable,
        stream: Stream,
        bodies: "Callable[[str], type[Body] | None]",
        handler: "Callable[[Body], Awaitable[None]]",
    ) -> None:
        """Handle a durable's messages one by one; `bodies` gives the class for a subject, or None to skip it."""
        self._streams.need(stream, durable, bound=True)

        async def endpoint(message: NatsMessage) -> None:
            raw = message.raw_message
            body_type = bodies(raw.subject)
            if self._tracing is None or body_type is None:
                await self._handle(durable, stream, raw, body_type, handler)
                return
            with self._tracing.span(
                f"consume {durable.name}", "consumer", within=traceparent_of(raw.headers)
            ):
                await self._handle(durable, stream, raw, body_type, handler)

        self.broker.subscriber(
            durable.filter,
            stream=JStream(stream.name, declare=False),
            durable=durable.name,
            config=ConsumerConfig(
                ack_wait=durable.ack_wait.total_seconds(), max_ack_pending=durable.max_ack_pending
            ),
            pull_sub=PullSub(batch_size=20, timeout=5.0),
            inbox_prefix=f"{subjects.inbox_of(self.service)}.".encode(),
            no_reply=True,  # a header `reply_to` is a stranger's text
        )(endpoint)

    async def _handle(
        self,
        durable: Durable,
        stream: Stream,
        raw: Msg,
        body_type: type[Body] | None,
        handler: "Callable[[Body], Awaitable[None]]",
    ) -> None:
        if body_type is None:
            await raw.ack()
            return
        delivered = raw.metadata.num_delivered or 1
        try:
            body = body_type.model_validate_json(raw.data)
        except ValidationError as error:
            await self._bury(durable, raw, first_error(error))
            return
        try:
            await handler(body)
        except Exception as error:
            self._log.error(
                "consume_failed",
                durable=durable.name,
                subject=raw.subject,
                delivered=delivered,
                error=str(error),
                exc_info=not is_outage(error),
            )
            # An outage is nobody's poison: only a message that fails on a healthy system is buried.
            if delivered >= durable.max_deliver and not is_outage(error):
                await self._bury(durable, raw, str(error))
            else:
                await raw.nak(delay=RETRY_DELAYS[min(delivered, len(RETRY_DELAYS)) - 1])
            return
        metrics.CONSUMED.labels(durable.name, "handled").inc()
        await raw.ack()

    async def _bury(self, durable: Durable, raw: Msg, reason: str) -> None:
        """Keep a poison message for a human, then stop its delivery."""
        await self.js.publish(
            subjects.DLQ.at(service=self.service, noun=durable.name),
            raw.data,
            stream="DLQ",
            timeout=5,
            headers={"Hw-Subject": raw.subject, "Hw-Reason": reason[:500].replace("\n", " ")},
        )
        metrics.BURIED.labels(durable.name).inc()
        self._log.error("message_buried", durable=durable.name, subject=raw.subject, reason=reason)
        await raw.term()

    def consume_batches(
        self,
        durable: Durable,
        stream: Stream,
        handler: "BatchHandler",
        *,
        batch: int = 500,
        wait: float = 1.0,
        rest: float = 0.0,
        ahead: int = 0,
    ) -> None:
        """Hand a durable's messages to `handler` in batches, acknowledged together after it returns.

        After each batch it rests so many seconds, in which the next one gathers. `ahead`: how many messages may wait
        here, for a broker that takes longer to answer than a batch takes to handle.
        The handler must be idempotent and must itself skip what it cannot parse (`bury` keeps it). When it raises,
        all that it has not acknowledged is put off, so it should only raise for an outage.
        """
        self._streams.need(stream, durable)
        self._batches.append(
            _Batches(durable, stream, handler, batch=batch, wait=wait, rest=rest, ahead=ahead)
        )

    async def bury(self, durable: Durable, raw: Msg, reason: str) -> None:
        """Keep one poison message of a batch in the DLQ; its delivery ends."""
        await self._bury(durable, raw, reason)

    async def acknowledge(self, messages: Sequence[Msg]) -> None:
        """End the delivery of messages that are dealt with: a batch's part too, when its handler has come so far."""
        with suppress(nats.errors.Error, OSError):  # what is not acknowledged is delivered again
            for message in messages:
                if not message._ackd:
                    await message.ack()

    async def _consume_batches(self, wanted: "_Batches") -> None:
        durable, stream = wanted.durable, wanted.stream
        pull: Pull | None = None
        failures = 0
        while True:
            if self._stopping.is_set():
                if pull is not None and self.connected:
                    with suppress(nats.errors.Error, TimeoutError):
                        await pull.close(settled=partial(self._settle, timeout=2))
                return
            try:
                if pull is None:
                    pull = await Pull.open(self.client, stream.name, durable.name)
                messages = await self._unless_stopping(
                    pull.fetch(wanted.batch, wait=wanted.wait, ahead=wanted.ahead)
                )
            except TimeoutError:
                continue
            except Exception as error:
                # The broker is away, or came back without the consumer: bind anew after a pause.
                self._log.warning(
                    "fetch_failed",
                    durable=durable.name,
                    error=str(error),
                    exc_info=not is_outage(error),
                )
                if pull is not None:
                    await pull.abandon()
                    pull = None
                await asyncio.sleep(1)
                continue
            try:
                await self._handle_batch(durable, messages, wanted.handler)
            except Exception as error:
                failures += 1
                delay = RETRY_DELAYS[min(failures, len(RETRY_DELAYS)) - 1]
                self._log.error(
                    "batch_failed",
                    durable=durable.name,
                    size=len(messages),
                    error=str(error),
                    exc_info=not is_outage(error),
                )
                await asyncio.gather(
                    *(m.nak(delay=delay) for m in messages), return_exceptions=True
                )
                continue
            failures = 0
            await self.acknowledge(messages)
            if wanted.rest:
                await asyncio.sleep(wanted.rest)

    async def _handle_batch(
        self, durable: Durable, messages: list[Msg], handler: "BatchHandler"
    ) -> None:
        if self._tracing is None:
            await handler(messages)
            return
        causes = [text for m in messages if (text := traceparent_of(m.headers)) is not None]
        with self._tracing.span(
            f"consume {durable.name}", "consumer", links=causes, attributes={_SIZE: len(messages)}
        ):
            await handler(messages)

    async def _unless_stopping(self, fetch: "Coroutine[Any, Any, list[Msg]]") -> list[Msg]:
        """What the fetch brings; nothing when the bus stops first (what was on its way is delivered again)."""
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

    # telling

    async def publish_work(self, subject: str, body: Message, *, key: str) -> None:
        """Put a command on the WORK stream; `key` deduplicates repeats. Raises when unacknowledged."""
        await self.js.publish(
            subject,
            body.model_dump_json().encode(),
            stream="WORK",
            timeout=5,
            headers={"Nats-Msg-Id": key} | (self.trace_headers() or {}),
        )

    def trace_headers(self) -> dict[str, str] | None:
        """Headers for what is published past this class, so that its consumer knows the cause; None when off."""
        return None if self._tracing is None else self._tracing.headers() or None

    async def signal(self, subject: str, body: bytes = b"") -> None:
        """Publish on core NATS; may be lost."""
        await self.client.publish(subject, body)

    def on_signal(
        self, subject: str, handler: "Callable[[Msg], Awaitable[None]]", *, queue: str = ""
    ) -> None:
        """Hear a lossy signal. Declare before `start`. What `handler` raises is logged: the signal is lost with it.

        A handler answers by itself, or not at all: FastStream's own answer would be a second one.
        """

        async def endpoint(message: NatsMessage) -> None:
            try:
                await handler(message.raw_message)
            except Exception as error:  # FastStream has no logger here, so it would swallow it
                self._log.error(
                    "signal_failed",
                    subject=subject,
                    error=str(error),
                    exc_info=not is_outage(error),
                )

        self.broker.subscriber(subject, queue=queue, no_reply=True)(endpoint)


BatchHandler = Callable[[Sequence[Msg]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Batches:
    """A durable's messages as `consume_batches` was asked for them."""

    durable: Durable
    stream: Stream
    handler: BatchHandler
    _: KW_ONLY
    batch: int
    wait: float
    rest: float
    ahead: int


_SIZE = "messaging.batch.message_count"
