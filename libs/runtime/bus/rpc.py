"""Requests to another service. There is always an answer: the reply, or `Refused`."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache
from typing import Any, TypeVar

import nats.errors
from nats.aio.msg import Msg
from pydantic import TypeAdapter

from libs.contracts.base import Message, Refused, Rpc
from libs.contracts.errors import Code
from libs.runtime.bus.answering import OUTCOME, outcome_of
from libs.runtime.nats.lean import LeanClient
from libs.runtime.trace import Tracing

Rep = TypeVar("Rep", bound=Message)

_ASK_AGAIN = 0.05  # seconds between attempts while there is no responder


@cache
def _reply_adapter(rpc: Rpc[Any, Any]) -> TypeAdapter[Any]:
    return rpc.adapter()


class RpcClient:
    """The requests of one service. `timeout` is in seconds; `client` gives the connection or raises ConnectionError."""

    def __init__(
        self, client: Callable[[], LeanClient], *, timeout: float, tracing: Tracing | None
    ) -> None:
        self._client = client
        self._timeout = timeout
        self._tracing = tracing

    def call(
        self,
        rpc: Rpc[Any, Rep],
        request: Message,
        *,
        timeout: float | None = None,
    ) -> Coroutine[Any, Any, Rep | Refused]:
        """Ask a service. Absent or silent: `Refused(UNAVAILABLE)`; the request may have been carried out all the
        same."""
        if self._tracing is None:
            return self._call(rpc, request, timeout=timeout, headers=None)
        return self._traced(self._tracing, rpc, request, timeout=timeout)

    async def _traced(
        self,
        tracing: Tracing,
        rpc: Rpc[Any, Rep],
        request: Message,
        *,
        timeout: float | None,  # noqa: ASYNC109 - the wire's own deadline
    ) -> Rep | Refused:
        with tracing.span(f"request {rpc.subject.template}", "client") as span:
            headers = tracing.headers()
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
        clock = asyncio.get_running_loop().time
        deadline = clock() + (timeout or rpc.timeout or self._timeout)
        body = request.encoded()
        while True:
            left = deadline - clock()
            try:
                reply = await self._ask(rpc.subject.template, body, max(left, 0.01), headers)
                if reply.headers and reply.headers.get("Status") == "503":
                    raise nats.errors.NoRespondersError
            except nats.errors.NoRespondersError:
                # No responder took it, so a retry is safe: the service is starting or being replaced.
                if left <= _ASK_AGAIN:
                    return _unavailable(rpc)
                await asyncio.sleep(_ASK_AGAIN)
            except (nats.errors.Error, TimeoutError, ConnectionError):
                return _unavailable(rpc)
            else:
                answer: Rep | Refused = _reply_adapter(rpc).validate_json(reply.data)
                return answer

    def _ask(
        self, subject: str, body: bytes, seconds: float, headers: dict[str, str] | None
    ) -> Awaitable[Msg]:
        client = self._client()
        if headers is None:
            asked = client.ask(subject, body, seconds)
            if asked is not None:
                return asked
        return client.request(subject, body, timeout=seconds, headers=headers)


def _unavailable(rpc: Rpc[Any, Any]) -> Refused:
    service = rpc.subject.template.split(".")[2]
    return Refused(code=Code.UNAVAILABLE, fields={"service": service})
