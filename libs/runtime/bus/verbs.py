"""A router's verbs: requests that a service answers, asked by services or by native agents."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar
from uuid import UUID

from faststream.nats import NatsMessage
from nats.aio.msg import Msg

from libs.contracts.base import Message, Refused, Rpc
from libs.contracts.subjects import Subject
from libs.runtime.bus.answering import AT_ONCE, Turns, within
from libs.runtime.bus.benchmarks import Benchmark
from libs.runtime.bus.declarations import (
    Chain,
    Declarations,
    Next,
    as_it_is,
    handler_of,
    name_of,
)
from libs.runtime.bus.subscriptions import Kind

Req = TypeVar("Req", bound=Message)
Rep = TypeVar("Rep", bound=Message)
Listener = TypeVar("Listener", bound=Callable[..., Awaitable[Any]])

Answer = Callable[[Req], Awaitable[Rep | Refused]]
AgentAnswer = Callable[[UUID, Req, str], Awaitable[Rep | Refused | None]]
"""Gets the tenant, the request and the reply subject."""

LARGE = 60.0
"""Seconds for a verb whose work may be large: it goes on after its caller has left, who asks again and finds it."""


class Verbs(Declarations):
    """The decorators of verbs; those not named `lean_*` register a FastStream handler."""

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
                    turns.bounded(handler_of(call_next, message)),
                )
                await self._answer(rpc, message.raw_message, handle)

            self._through_faststream(rpc.subject.template, function, chain)
            return function

        return declare

    def lean_verb(
        self, rpc: Rpc[Req, Rep], benchmark: Benchmark
    ) -> Callable[[Answer[Req, Rep]], Answer[Req, Rep]]:
        """Like `verb`, without a limit on concurrency or a timer: for functions that join a group commit.

        A timer for each request costs 2% of a state transition. Here the queue is bounded, what has waited there for
        longer than callers do is not done any more (`GroupCommit(deadline=...)`), and PostgreSQL bounds each statement
        (`libs/schema/roles.py`).
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
                handle = turns.bounded(handler_of(call_next, message))
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
    ) -> Callable[[AgentAnswer[Req, Rep]], AgentAnswer[Req, Rep]]:
        """Like `agent_verb`, without a limit on concurrency.

        It gets tenant, request and reply subject. To answer later by itself it returns None.
        """

        def declare(function: AgentAnswer[Req, Rep]) -> AgentAnswer[Req, Rep]:
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

    def _through_faststream(
        self,
        template: str,
        function: Callable[..., Awaitable[Any]],
        chain: Chain,
    ) -> None:
        """A request. FastStream may hold enough of them that `Turns` makes the decision to refuse."""
        subscriber = self.subscriber(
            template,
            queue=self.service,
            max_workers=AT_ONCE,
            decoder=as_it_is,
            no_reply=True,  # `_answer` parses it: a body that does not parse needs an answer too
            title=name_of(Subject(template)),
        )
        subscriber(function)
        self._chains[subscriber] = chain
