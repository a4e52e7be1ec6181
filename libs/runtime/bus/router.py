"""FastStream's router, on which a service declares its subscriptions: one typed function per subject.

A router belongs to one instance of a service: FastStream does not share them between connections, and several services
of one kind live in one process in tests. So `subscribers.py` makes it in a function.

`lean_*` methods declare lanes that go past FastStream's handler call. They stand in the same list, and each names the
benchmark that justifies it.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from faststream.nats import JStream, NatsMessage, PullSub
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig

from libs.contracts import subjects
from libs.contracts.base import Message
from libs.contracts.streams import Durable, Stream
from libs.contracts.subjects import Subject
from libs.runtime.bus.batches import Batches, BatchHandler
from libs.runtime.bus.benchmarks import Benchmark
from libs.runtime.bus.declarations import Next, as_it_is, handler_of, name_of
from libs.runtime.bus.subscriptions import Kind
from libs.runtime.bus.verbs import Verbs
from libs.runtime.failures import is_outage

Body = TypeVar("Body", bound=Message)
Listener = TypeVar("Listener", bound=Callable[..., Awaitable[Any]])

Bodies = Mapping[Subject, type[Body]]
"""The message classes of a durable, by subject. Messages of other subjects are acknowledged and ignored."""


class Router(Verbs):
    """See the module. All methods are decorators; those not named `lean_*` register a FastStream handler."""

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
                await self.bound.consuming.consume(
                    durable, raw, body, handler_of(call_next, message)
                )

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
                decoder=as_it_is,
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
                decoder=as_it_is,
                no_reply=True,
                title=name_of(subject),
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


def _body_of(subject: str, bodies: "Bodies[Body]") -> "type[Body] | None":
    for known, body in bodies.items():
        if subject.startswith(known.template.split("{", 1)[0]):
            return body
    return None
