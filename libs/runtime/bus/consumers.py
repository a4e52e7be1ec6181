"""How a message of a durable consumer ends: acknowledged, delayed and delivered again, or kept in the DLQ."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from pydantic import ValidationError

from libs.contracts import subjects
from libs.contracts.base import Message
from libs.contracts.streams import DLQ, Durable
from libs.runtime import metrics
from libs.runtime.bus.answering import first_error, traceparent_of
from libs.runtime.failures import is_outage
from libs.runtime.trace import Tracing

Body = TypeVar("Body", bound=Message)

RETRY_DELAYS = (0.2, 1.0, 5.0, 15.0, 30.0)  # seconds; the last one repeats
_REASON_LIMIT = 500  # characters of a header


def retry_delay(failures: int) -> float:
    """Seconds until a message that has failed this many times is delivered again."""
    return RETRY_DELAYS[min(failures, len(RETRY_DELAYS)) - 1]


class Consuming:
    """The durable consumers of one service. `js` gives JetStream, or raises ConnectionError."""

    def __init__(
        self,
        service: str,
        js: Callable[[], JetStreamContext],
        *,
        tracing: Tracing | None,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._service = service
        self._js = js
        self._tracing = tracing
        self._log = log

    async def consume(
        self,
        durable: Durable,
        raw: Msg,
        body_type: type[Body] | None,
        handler: "Callable[[Body], Awaitable[object]]",
    ) -> None:
        """Handle one message. With `body_type` None it does not concern this service and is acknowledged."""
        if self._tracing is None or body_type is None:
            await self._consume(durable, raw, body_type, handler)
            return
        with self._tracing.span(
            f"consume {durable.name}", "consumer", within=traceparent_of(raw.headers)
        ):
            await self._consume(durable, raw, body_type, handler)

    async def _consume(
        self,
        durable: Durable,
        raw: Msg,
        body_type: type[Body] | None,
        handler: "Callable[[Body], Awaitable[object]]",
    ) -> None:
        if body_type is None:
            await raw.ack()
            return
        delivered = raw.metadata.num_delivered or 1
        try:
            body = body_type.model_validate_json(raw.data)
        except ValidationError as error:
            await self.dead_letter(durable, raw, first_error(error))
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
            # A failure during an outage does not count: only a message that fails on a healthy system goes to the DLQ.
            if delivered >= durable.max_deliver and not is_outage(error):
                await self.dead_letter(durable, raw, str(error))
            else:
                await raw.nak(delay=retry_delay(delivered))
            return
        metrics.CONSUMED.labels(durable.name, "handled").inc()
        await raw.ack()

    async def dead_letter(self, durable: Durable, raw: Msg, reason: str) -> None:
        """Put a poison message into the DLQ for a human, then stop its delivery."""
        short = reason[:_REASON_LIMIT].replace("\n", " ")
        await self._js().publish(
            subjects.DLQ.at(service=self._service, noun=durable.name),
            raw.data,
            stream=DLQ.name,
            timeout=5,
            headers={"Hw-Subject": raw.subject, "Hw-Reason": short},
        )
        metrics.DEAD_LETTERED.labels(durable.name).inc()
        self._log.error(
            "message_dead_lettered", durable=durable.name, subject=raw.subject, reason=reason
        )
        await raw.term()
