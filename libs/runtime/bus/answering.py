"""How a request is answered, from a service or an agent: within a span, timed, and always with a message.

A body that does not parse is `Refused(INVALID)` with the field; an unexpected error is logged once and answered with
`Refused(INTERNAL)` and its error id; a lost database, or a deadline that has passed, is `Refused(UNAVAILABLE)`; a
request that finds too many others waiting gets `Refused(BUSY)`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TypeVar

import structlog
from pydantic import ValidationError

from libs.contracts.base import Message, Refused, Rpc
from libs.contracts.errors import Code
from libs.runtime import metrics, trace
from libs.runtime.failures import is_outage, refusal_of
from libs.runtime.ids import new_id
from libs.runtime.trace import Tracing

Req = TypeVar("Req", bound=Message)
Rep = TypeVar("Rep", bound=Message)
Asked = TypeVar("Asked")

OUTCOME = "headwater.outcome"
"""The span attribute with the outcome of a request."""
_WORKERS = 64  # requests of one verb handled at once; the database pool is the real bound
_WAITING = 1000
"""Requests of one verb that wait for their turn. Further ones are refused with the advice to retry."""
AT_ONCE = 2 * (_WORKERS + _WAITING)
"""Requests of one verb that FastStream may hold: enough that the first one over the limit is refused at once."""


class Turns:
    """Admission for one verb: a number of requests is handled at once, a number waits, the next is refused with
    `BUSY`."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._workers = asyncio.Semaphore(_WORKERS)
        self._present = 0

    def bounded(
        self, handler: "Callable[[Asked], Awaitable[Rep | Refused | None]]"
    ) -> "Callable[[Asked], Awaitable[Rep | Refused | None]]":
        """The handler, called when it is its turn."""

        async def in_turn(request: Asked) -> Rep | Refused | None:
            if self._present >= _WORKERS + _WAITING:
                return Refused(code=Code.BUSY, fields={"service": self._service})
            self._present += 1
            try:
                async with self._workers:
                    return await handler(request)
            finally:
                self._present -= 1

        return in_turn


def within(
    seconds: float, handler: "Callable[[Asked], Awaitable[Rep | Refused | None]]"
) -> "Callable[[Asked], Awaitable[Rep | Refused | None]]":
    """The handler, with a deadline that includes the wait for its turn. A later answer would have no reader."""

    async def in_time(request: Asked) -> Rep | Refused | None:
        async with asyncio.timeout(seconds):
            return await handler(request)

    return in_time


class Answering:
    """The answers of one service."""

    def __init__(
        self,
        service: str,
        *,
        tracing: Tracing | None,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._service = service
        self._tracing = tracing
        self._log = log

    async def answer(
        self,
        rpc: Rpc[Req, Rep],
        handler: "Callable[[Req], Awaitable[Rep | Refused | None]]",
        body: bytes,
        headers: dict[str, str] | None,
        *,
        read: Callable[[bytes], Req] | None = None,
    ) -> bytes | None:
        """The answer to one request; None where the handler answers later, by itself.

        `read` parses the body, where it is more than JSON of the message; it raises ValidationError.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        read = read or rpc.request.model_validate_json
        if self._tracing is None:
            answer = await self._decide(rpc, handler, body, read)
        else:
            with self._tracing.span(
                f"handle {rpc.subject.template}", "server", within=traceparent_of(headers)
            ) as span:
                answer = await self._decide(rpc, handler, body, read)
                span.set_attribute(OUTCOME, outcome_of(answer))
        verb = rpc.subject.template.rpartition(".")[2]
        _timer(self._service, verb, outcome_of(answer))(clock() - started)
        return None if answer is None else answer.encoded()

    async def _decide(
        self,
        rpc: Rpc[Req, Rep],
        handler: "Callable[[Req], Awaitable[Rep | Refused | None]]",
        body: bytes,
        read: Callable[[bytes], Req],
    ) -> Rep | Refused | None:
        try:
            request = read(body)
        except ValidationError as error:
            return Refused(code=Code.INVALID, fields={"reason": first_error(error)})
        try:
            return await handler(request)
        # The outermost try: every unexpected error is answered, and logged once.
        except Exception as error:
            refused = refusal_of(error, service=self._service, error_id=new_id())
            self._log.error(
                "request_failed",
                subject=rpc.subject.template,
                **refused.fields,
                error=str(error),
                exc_info=not is_outage(error),
            )
            return refused


@cache
def _timer(service: str, verb: str, outcome: str) -> Callable[[float], None]:
    """Found once: looking labels up costs more than the observation."""
    return metrics.observer(metrics.REQUEST_SECONDS.labels(service, verb, outcome))


def outcome_of(answer: Message | None) -> str:
    """The outcome of a request in one word: a metric's label."""
    if answer is None:
        return "waits"
    return answer.code.value if isinstance(answer, Refused) else "applied"


def traceparent_of(headers: dict[str, str] | None) -> str | None:
    """The trace that a message belongs to."""
    return headers.get(trace.HEADER) if headers else None


def first_error(error: ValidationError) -> str:
    """The field that is wrong, and what is wrong with it."""
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    return f"{path}: {first['msg']}" if path else first["msg"]
