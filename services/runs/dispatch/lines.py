"""Log lines of native agents: published into the stream, and acknowledged in an inbox of the agent's tenant.

Agents do not publish into the stream themselves. The broker would send its acknowledgement to any reply subject, with
its own rights: it could be a ping for another tenant's run, a signal to its agents, an event. So only services publish
into the stream, and of an agent's message only the body is passed on, without its headers.

A message of which nothing could be stored is refused with the reason, since the stream's reader could tell nobody.

A tenant has a rate, and a bound of what waits for the stream; what is beyond is refused, and agents send it again.

The acknowledgement has JetStream's form, which agents expect.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from uuid import UUID

import nats.errors
import nats.js.errors
import orjson
from nats.aio.msg import Msg

from libs.contracts import agent_access, subjects
from libs.contracts.streams import LOGS
from libs.runtime import metrics
from libs.runtime.bus import Bus
from services.runs.domain.line_rate import LineRate
from services.runs.log_rows import fault_of_message

LARGEST = 4 << 20
"""Bytes of one message; an agent reads a quarter of a mebibyte of output at once."""
WAITING = 64 << 20
"""Bytes waiting for the stream, of all tenants."""
WAITING_OF_ONE = 16 << 20
"""Of them, those of one tenant."""
_STORED_WITHIN = 4.0  # seconds; agents wait five
_MALFORMED, _TOO_LARGE, _UNAVAILABLE = 400, 413, 503


class AgentLines:
    """Takes messages on `hw.log`. `spawn` runs the slower part."""

    def __init__(self, bus: Bus, *, spawn: Callable[[Awaitable[None]], None]) -> None:
        self._bus = bus
        self._spawn = spawn
        self._waiting: Counter[UUID] = Counter()
        self._rate = LineRate()

    async def on_lines(self, message: Msg) -> None:
        """Publish the lines, or answer why not; an agent without an answer sends them again."""
        tenant_id, flow_run_id = _ids_of(message.subject)
        if tenant_id is None or not agent_access.is_answerable(tenant_id, message.reply):
            metrics.REPLIES_REFUSED.inc()
            return
        size = len(message.data)
        if flow_run_id is None or size > LARGEST:
            what = f"at most {LARGEST} bytes" if flow_run_id else "the id of a flow run"
            await message.respond(_refusal(_TOO_LARGE, f"a message of log lines has {what}"))
        elif self._is_full(tenant_id, size) or not self._rate.spend(
            tenant_id, size, now=asyncio.get_running_loop().time()
        ):
            await message.respond(_refusal(_UNAVAILABLE, "too many log lines wait; try again"))
        else:
            self._waiting[tenant_id] += size
            self._spawn(self._keep(message, tenant_id, flow_run_id))

    def _is_full(self, tenant_id: UUID, size: int) -> bool:
        return (
            self._waiting[tenant_id] + size > WAITING_OF_ONE
            or self._waiting.total() + size > WAITING
        )

    async def _keep(self, message: Msg, tenant_id: UUID, flow_run_id: UUID) -> None:
        subject = subjects.LINES.at(tenant_id=tenant_id, flow_run_id=flow_run_id)
        try:
            # Not on the event loop: a message has up to four mebibytes, and states wait for none of them.
            fault = await asyncio.to_thread(fault_of_message, message.data, str(tenant_id))
            if fault is not None:
                await message.respond(_refusal(_MALFORMED, fault))
                return
            kept = await self._bus.js.publish(
                subject,
                message.data,
                stream=LOGS.name,
                timeout=_STORED_WITHIN,
                headers=self._bus.trace_headers(),
            )
            answer = orjson.dumps({"stream": kept.stream, "seq": kept.seq})
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
            answer = _refusal(_UNAVAILABLE, f"the log stream: {error or type(error).__name__}")
        finally:
            self._waiting[tenant_id] -= len(message.data)
            if not self._waiting[tenant_id]:
                del self._waiting[tenant_id]
        await message.respond(answer)


def _refusal(code: int, description: str) -> bytes:
    return orjson.dumps({"error": {"code": code, "description": description}})


def _ids_of(subject: str) -> tuple[UUID | None, UUID | None]:
    """The tenant and the flow run in the subject, None for a token that is not an id."""
    _, _, tenant, run = subject.split(".")
    return _uuid(tenant), _uuid(run)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
