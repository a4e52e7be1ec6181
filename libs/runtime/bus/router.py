"""FastStream's router, on which a service declares its subscriptions: one typed function per subject.

A router belongs to one instance of a service: FastStream does not share them between connections, and several services
of one kind live in one process in tests. So `subscribers.py` makes it in a function.

`lean_*` methods declare lanes that go past FastStream's handler call. They stand in the same list, and each names the
benchmark that justifies it.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import structlog
from faststream import AckPolicy, BaseMiddleware
from faststream.nats import JStream, NatsMessage, NatsRouter, PullSub
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig

from libs.contracts import subjects
from libs.contracts.base import Message, Refused, Rpc
from libs.contracts.streams import Durable, Stream
from libs.contracts.subjects import Subject
from libs.runtime.bus.answering import AT_ONCE, Answering, Turns, within
from libs.runtime.bus.batches import Batches, BatchHandler
from libs.runtime.bus.benchmarks import Benchmark
from libs.runtime.bus.consumers import Consuming
from libs.runtime.bus.subscriptions import Kind, Subscription
from libs.runtime.failures import is_outage

Req = TypeVar("Req", bound=Message)
Rep = TypeVar("Rep", bound=Message)
Body = TypeVar("Body", bound=Message)
Listener = TypeVar("Listener", bound=Callable[..., Awaitable[Any]])

Bodies = Mapping[Subject, type[Body]]
"""The message classes of a durable, by subject. Messages of other subjects are acknowledged and ignored."""
Answer = Callable[[Req], Awaitable[Rep | Refused]]
Next = Callable[[Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The parts of a bus that a router needs to answer and consume; set when the bus includes it."""

    answering: Answering
    consuming: Consuming
    reply: Callable[[str, bytes], Awaitable[None]]
    log: structlog.typing.FilteringBoundLogger
    rpc_timeout: float


LARGE = 60.0
"""Seconds for a verb whose work may be large: it goes on after its caller has left, who asks again and finds it."""

Begin = Callable[[Msg], Coroutine[Any, Any, None] | None]
"""The work for a message that was just read; None: nothing to do."""


class Router(NatsRouter):
    """See the module. All methods are decorators; those not named `lean_*` register a FastStream handler."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.subscriptions: list[Subscription] = []
        self.in_flight = 0
        self.needs: list[tuple[Stream, Durable | None, bool]] = []
        self.taken: list[tuple[str, Begin]] = []
        self.heard: list[tuple[str, bool, Callable[[Msg], Awaitable[None]]]] = []
        self.batch_consumers: list[Batches] = []
        self._chains: dict[Any, Callable[[Next, NatsMessage], Awaitable[Any]]] = {}
        self._bound: Bound | None = None
        chains = self._chains

        class Chain(BaseMiddleware):
            """Each message goes to the handler of its subject."""

            async def consume_scope(self, call_next: Any, msg: Any) -> Any:
                return await chains[self.context.get_local("handler_")](call_next, msg)

        super().__init__(middlewares=(Chain,), ack_policy=AckPolicy.MANUAL)

    def bind(self, bound: Bound) -> None:
        """Kept by the bus."""
        self._bound = bound

    @property
    def bound(self) -> Bound:
        """Parts of the bus."""
        if self._bound is None:
            msg = f"no bus includes the router of {self.service}"
            raise RuntimeError(msg)
        return self._bound

    def publishes(self, stream: Stream) -> None:
        """The service publishes to the stream; readiness fails while it does not exist."""
        self.needs.append((stream, None, False))

    # verbs

    def verb(
        self, rpc: Rpc[Req, Rep], *, seconds: float | None = None
    ) -> Callable[[Answer[Req, Rep]], Answer[Req, Rep]]:
        """Answer a verb, one call per request, in this service's queue group. Refused when too many wait.

        The function has so many seconds, its turn included: as long as a caller of ours waits (`rpc_timeout`), unless
        it is given more (`LARGE`). What is then not done is undone, and refused as unavailable.
        """

        def declare(function: Answer[Req, Rep]) -> Answer[Req, Rep]:
            self._note(rpc.subject, Kind.VERB, function, rpc=rpc)
            turns = Turns(self.service)

            async def chain(call_next: Next, message: NatsMessage) -> None:
                handle = within(
                    self.bound.rpc_timeout if seconds is None else seconds,
                    turns.bounded(_on(call_next, message)),
                )
                await self._answer(rpc, message.raw_message, handle)

            self._through_faststream(rpc.subject.template, function, chain)
            return function

        return declare

    def lean_verb(
        self, rpc: Rpc[Req, Rep], benchmark: Benchmark
    ) -> Callable[[Answer[Req, Rep]], Answer[Req, Rep]]:
        """Like `verb`, without a limit on concurrency or time: for functions that join a group commit.

        Its queue says "busy" to what would wait too long, and PostgreSQL bounds its statements. A deadline for each
        request costs 2% of a state transition.
        """

        def declare(function: Answer[Req, Rep]) -> Answer[Req, Rep]:
            self._note(rpc.subject, Kind.VERB, function, rpc=rpc, lean=benchmark)
            self.taken.append(
                (rpc.subject.template, lambda message: self._answer(rpc, message, function))
            )
            return function

        return declare

    def agent_verb(
        self,
        rpc: Rpc[Req, Rep],
        *,
        whose: Callable[[Msg], UUID | None],
        read: Callable[[bytes], Req] | None = None,
    ) -> Callable[[Listener], Listener]:
        """Answer a verb that agents call. The tenant's id is a token of the subject and a parameter of the function.

        `whose` gives the tenant that asks; None: no answer is sent. `read` parses the body, where it is more than JSON.
        The function has as long as a caller waits (`rpc_timeout`), including the wait for its turn.
        """

        def declare(function: Listener) -> Listener:
            self._note(rpc.subject, Kind.AGENT_VERB, function, rpc=rpc)
            turns = Turns(self.service)

            async def chain(call_next: Next, message: NatsMessage) -> None:
                raw = message.raw_message
                if whose(raw) is None:
                    return
                handle = turns.bounded(_on(call_next, message))
                await self._answer(rpc, raw, within(self.bound.rpc_timeout, handle), read=read)

            self._through_faststream(rpc.subject.template, function, chain)
            return function

        return declare

    def lean_agent_verb(
        self,
        rpc: Rpc[Req, Rep],
        benchmark: Benchmark,
        *,
        whose: Callable[[Msg], UUID | None],
    ) -> Callable[
        [Callable[[UUID, Req, str], Awaitable[Rep | Refused | None]]],
        Callable[[UUID, Req, str], Awaitable[Rep | Refused | None]],
    ]:
        """Like `agent_verb`, without a limit on concurrency.

        It gets tenant, request and reply subject. To answer later by itself it returns None.
        """

        def declare(
            function: Callable[[UUID, Req, str], Awaitable[Rep | Refused | None]],
        ) -> Callable[[UUID, Req, str], Awaitable[Rep | Refused | None]]:
            self._note(rpc.subject, Kind.AGENT_VERB, function, rpc=rpc, lean=benchmark)

            def begin(message: Msg) -> Coroutine[Any, Any, None] | None:
                tenant_id = whose(message)
                if tenant_id is None:
                    return None

                async def handle(request: Req) -> Rep | Refused | None:
                    return await function(tenant_id, request, message.reply)

                return self._answer(rpc, message, within(self.bound.rpc_timeout, handle))

            self.taken.append((rpc.subject.wildcard, begin))
            return function

        return declare

    async def _answer(
        self,
        rpc: Rpc[Req, Rep],
        message: Msg,
        handler: Callable[[Req], Awaitable[Rep | Refused | None]],
        *,
        read: Callable[[bytes], Req] | None = None,
    ) -> None:
        self.in_flight += 1
        try:
            answer = await self.bound.answering.answer(
                rpc, handler, message.data, message.headers, read=read
            )
            if message.reply and answer is not None:
                await self.bound.reply(message.reply, answer)
        finally:
            self.in_flight -= 1

    # durables

    def durable(
        self, durable: Durable, stream: Stream, bodies: "Bodies[Body]"
    ) -> Callable[[Callable[[Body], Awaitable[None]]], Callable[[Body], Awaitable[None]]]:
        """Handle a durable's messages one by one; the function is idempotent. `bodies` gives the class by subject."""

        def declare(
            function: Callable[[Body], Awaitable[None]],
        ) -> Callable[[Body], Awaitable[None]]:
            self._note(
                durable.filter,
                Kind.DURABLE,
                function,
                bodies=tuple(dict.fromkeys(bodies.values())),
                durable=durable,
            )
            self.needs.append((stream, durable, True))

            async def chain(call_next: Next, message: NatsMessage) -> None:
                raw = message.raw_message
                body = _body_of(raw.subject, bodies)
                await self.bound.consuming.consume(durable, raw, body, _on(call_next, message))

            subscriber = self.subscriber(
                durable.filter,
                stream=JStream(stream.name, declare=False),
                durable=durable.name,
                config=ConsumerConfig(
                    ack_wait=durable.ack_wait.total_seconds(),
                    max_ack_pending=durable.max_ack_pending,
                ),
                pull_sub=PullSub(batch_size=20, timeout=5.0),
                inbox_prefix=f"{subjects.inbox_of(self.service)}.".encode(),
                decoder=_as_it_is,
                no_reply=True,  # the header `reply_to` comes from outside: not trusted
                title=durable.name,
            )
            subscriber(function)
            self._chains[subscriber] = chain
            return function

        return declare

    def batches(
        self,
        durable: Durable,
        stream: Stream,
        benchmark: Benchmark,
        *,
        bodies: tuple[type[Message], ...] = (),
        batch: int = 500,
        wait: float = 1.0,
        rest: float = 0.0,
        ahead: int = 0,
    ) -> Callable[[BatchHandler], BatchHandler]:
        """Hand a durable's messages to the function in batches, acknowledged together after it returns.

        `batch`: most messages at once; `wait`, `rest`: seconds to wait for them, and to pause after each batch.
        `ahead`: messages that may wait here, for a broker that takes longer to answer than a batch takes to handle. The
        function must be idempotent and must itself skip what it cannot parse (`Bus.dead_letter` keeps it). When it
        raises, everything that it has not acknowledged is delivered again later, so it should only raise for an outage.
        """

        def declare(function: BatchHandler) -> BatchHandler:
            self._note(
                durable.filter,
                Kind.BATCHES,
                function,
                bodies=bodies,
                durable=durable,
                lean=benchmark,
            )
            self.needs.append((stream, durable, False))
            self.batch_consumers.append(
                Batches(durable, stream, function, batch=batch, wait=wait, rest=rest, ahead=ahead)
            )
            return function

        return declare

    # signals

    def signal(
        self, subject: Subject | str, *, shared: bool = False
    ) -> Callable[[Listener], Listener]:
        """Subscribe to a signal, which may be lost: every replica gets it, or one of them when `shared`.

        The subject's tokens are parameters of the function (`Annotated[UUID, Path()]`). An exception is logged, and the
        signal is lost. Returned bytes are the answer, if the sender asked for one.
        """

        def declare(function: Listener) -> Listener:
            self._note(subject, Kind.SIGNAL, function)
            template = subject.template if isinstance(subject, Subject) else subject

            async def chain(call_next: Next, message: NatsMessage) -> None:
                raw = message.raw_message
                try:
                    answer = await call_next(message)
                # FastStream has no logger here, so it would swallow it.
                except Exception as error:
                    self.bound.log.error(
                        "signal_failed",
                        subject=raw.subject,
                        error=str(error),
                        exc_info=not is_outage(error),
                    )
                    return
                if raw.reply and isinstance(answer, bytes):
                    await self.bound.reply(raw.reply, answer)

            subscriber = self.subscriber(
                template,
                queue=self.service if shared else "",
                decoder=_as_it_is,
                no_reply=True,
                title=_name_of(subject),
            )
            subscriber(function)
            self._chains[subscriber] = chain
            return function

        return declare

    def lean_signal(
        self, subject: Subject, benchmark: Benchmark, *, shared: bool = False
    ) -> Callable[[Callable[[Msg], Awaitable[None]]], Callable[[Msg], Awaitable[None]]]:
        """Hand each message of a subject to the function, straight on nats-py. It must not wait."""

        def declare(function: Callable[[Msg], Awaitable[None]]) -> Callable[[Msg], Awaitable[None]]:
            self._note(subject, Kind.SIGNAL, function, lean=benchmark)
            self.heard.append((subject.wildcard, shared, function))
            return function

        return declare

    def own_connection(
        self, subject: Subject, benchmark: Benchmark, function: Callable[..., Awaitable[Any]]
    ) -> None:
        """A signal that the service receives on a connection of its own (`Bus.open`). Declared here for the list
        only."""
        self._note(subject, Kind.SIGNAL, function, lean=benchmark)

    # for FastStream

    def _through_faststream(
        self,
        template: str,
        function: Callable[..., Awaitable[Any]],
        chain: Callable[[Next, NatsMessage], Awaitable[Any]],
    ) -> None:
        """A request. FastStream may hold enough of them that `Turns` makes the decision to refuse."""
        subscriber = self.subscriber(
            template,
            queue=self.service,
            max_workers=AT_ONCE,
            decoder=_as_it_is,
            no_reply=True,  # `_answer` parses it: a body that does not parse needs an answer too
            title=_name_of(Subject(template)),
        )
        subscriber(function)
        self._chains[subscriber] = chain

    def _note(
        self,
        subject: Subject | str,
        kind: Kind,
        function: Callable[..., Any],
        *,
        bodies: tuple[type[Message], ...] = (),
        durable: Durable | None = None,
        rpc: Rpc[Any, Any] | None = None,
        lean: Benchmark | None = None,
    ) -> None:
        self.subscriptions.append(
            Subscription(
                subject=subject,
                kind=kind,
                function=getattr(function, "__qualname__", str(function)).rpartition("<locals>.")[
                    2
                ],
                bodies=bodies if rpc is None else (rpc.request,),
                durable=durable,
                rpc=rpc,
                lean=lean,
            )
        )


def _on(call_next: Next, message: NatsMessage) -> Callable[[Any], Awaitable[Any]]:
    """The function of the subject, called with a body that has been read already."""

    async def handle(body: Any) -> Any:
        message.body = body
        return await call_next(message)

    return handle


async def _as_it_is(message: NatsMessage) -> Any:
    """Replaces FastStream's decoding: the body has been parsed before."""
    return message.body


def _body_of(subject: str, bodies: "Bodies[Body]") -> "type[Body] | None":
    for known, body in bodies.items():
        if subject.startswith(known.template.split("{", 1)[0]):
            return body
    return None


def _name_of(subject: Subject | str) -> str | None:
    known = vars(subjects).items()
    return next((name.lower() for name, value in known if value == subject), None)
