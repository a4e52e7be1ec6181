"""What a router keeps of its declarations, and how they reach FastStream's subscribers."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import structlog
from faststream import AckPolicy, BaseMiddleware
from faststream.nats import NatsMessage, NatsRouter
from nats.aio.msg import Msg

from libs.contracts import subjects
from libs.contracts.base import Message, Rpc
from libs.contracts.streams import Durable, Stream
from libs.contracts.subjects import Subject
from libs.runtime.bus.answering import Answering
from libs.runtime.bus.batches import Batches
from libs.runtime.bus.benchmarks import Benchmark
from libs.runtime.bus.consumers import Consuming
from libs.runtime.bus.subscriptions import Kind, Subscription

Next = Callable[[Any], Awaitable[Any]]
Chain = Callable[[Next, NatsMessage], Awaitable[Any]]
"""What happens to a message before and after the function of its subject."""
Begin = Callable[[Msg], Coroutine[Any, Any, None] | None]
"""The work for a message that was just read; None: nothing to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The parts of a bus that a router needs to answer and consume; set when the bus includes it."""

    answering: Answering
    consuming: Consuming
    reply: Callable[[str, bytes], Awaitable[None]]
    log: structlog.typing.FilteringBoundLogger
    rpc_timeout: float


class Declarations(NatsRouter):
    """The lists of a router, from which the bus subscribes."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.subscriptions: list[Subscription] = []
        self.in_flight = 0
        self.needs: list[tuple[Stream, Durable | None, bool]] = []
        self.taken: list[tuple[str, Begin]] = []
        self.heard: list[tuple[str, bool, Callable[[Msg], Awaitable[None]]]] = []
        self.batch_consumers: list[Batches] = []
        self._chains: dict[Any, Chain] = {}
        self._bound: Bound | None = None
        chains = self._chains

        class Chained(BaseMiddleware):
            """Each message goes to the handler of its subject."""

            async def consume_scope(self, call_next: Any, msg: Any) -> Any:
                return await chains[self.context.get_local("handler_")](call_next, msg)

        super().__init__(middlewares=(Chained,), ack_policy=AckPolicy.MANUAL)

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


def handler_of(call_next: Next, message: NatsMessage) -> Callable[[Any], Awaitable[Any]]:
    """The function of the subject, called with a body that has been read already."""

    async def handle(body: Any) -> Any:
        message.body = body
        return await call_next(message)

    return handle


async def as_it_is(message: NatsMessage) -> Any:
    """Replaces FastStream's decoding: the body has been parsed before."""
    return message.body


def name_of(subject: Subject | str) -> str | None:
    known = vars(subjects).items()
    return next((name.lower() for name, value in known if value == subject), None)
