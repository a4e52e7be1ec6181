"""Requests to another service. There is always an answer: the reply, or `Refused`."""

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import nats.errors
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

    async def call(
        self,
        rpc: Rpc[Any, Rep],
        request: Message,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the wire's own deadline
    ) -> Rep | Refused:
        """Ask a service. Absent or silent: `Refused(UNAVAILABLE)`; the request may have been carried out all the
        same."""
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
        clock = asyncio.get_running_loop().time
        deadline = clock() + (timeout or self._timeout)
        body = request.model_dump_json().encode()
        while True:
            left = deadline - clock()
            try:
                reply = await self._client().request(
                    rpc.subject.template, body, timeout=max(left, 0.01), headers=headers
                )
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


def _unavailable(rpc: Rpc[Any, Any]) -> Refused:
    service = rpc.subject.template.split(".")[2]
    return Refused(code=Code.UNAVAILABLE, fields={"service": service})
