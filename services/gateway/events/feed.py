"""Where hints come from: the EVENTS stream, in order and with positions, and the ledger's signals.

Facts are read by a consumer of this gateway's own, which the server forgets by itself. It begins some way back, so that
a gateway that has just started can tell clients of another one what they missed. Its messages are numbered: one that is
missing is noticed at the next message or heartbeat, and reading begins anew after the last one that was heard.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import nats.errors
import orjson
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from libs.contracts import streams
from libs.runtime import log
from libs.runtime.bus import Bus
from services.gateway.events.domain import Hint, life_of

_HEARTBEAT = 2.0  # seconds; the server says so often that the consumer lives
_SILENCE = 7.0  # seconds without a message or a heartbeat after which reading begins anew
_FORGOTTEN_AFTER = 30.0  # seconds after which the server forgets a consumer that nobody listens to
_PATIENCE = 5.0  # seconds for each question to the server
_PREFIX = "hw.evt."


class Listener(Protocol):
    """Takes what is read; the hub."""

    @property
    def position(self) -> tuple[str, int]:
        """The life of the stream and the position of the newest fact that is known."""

    def begin(self, life: str, *, after: int) -> None:
        """A stream that was not known before, from this position on."""

    def lose(self, *, until: int) -> None:
        """What came up to this position can no longer be had."""

    def fact(self, sequence: int, tenant_id: UUID | None, hint: Hint | None) -> None:
        """A fact, or a position that means nothing to any client."""

    def signal(self, tenant_id: UUID, hint: Hint) -> None:
        """Something that has no position."""

    def set_stale(self, reason: str | None) -> None:
        """Why nothing is heard; None when it is."""


@dataclass(slots=True)
class _Reading:
    """One consumer, and how far it has come."""

    subscription: Subscription
    heard_at: float
    end: int
    """Position of the stream's last message when the consumer was made."""
    messages: int = 0
    is_broken: bool = False


class Feed:
    """Reads for a listener. `tick` keeps it reading; it costs nothing while all is well."""

    def __init__(
        self, bus: Bus, listener: Listener, *, window: int, monotonic: Callable[[], float]
    ) -> None:
        self._bus = bus
        self._listener = listener
        self._window = window
        self._monotonic = monotonic
        self._reading: _Reading | None = None
        self._log = log.get("gateway")

    async def tick(self) -> int:
        """Begin to read, or begin anew; 1 where it did."""
        if not self._bus.connected:
            self._listener.set_stale("the message bus is away")
            return 0
        reading = self._reading
        if reading is not None:
            is_silent = self._monotonic() - reading.heard_at > _SILENCE
            if not reading.is_broken and not is_silent:
                return 0
            await self._abandon(reading)
        try:
            await self._begin()
        except (nats.errors.Error, OSError, TimeoutError, ValueError) as error:
            self._listener.set_stale("the event stream does not answer")
            self._log.warning("events_not_read", error=str(error) or type(error).__name__)
            return 0
        return 1

    async def _abandon(self, reading: _Reading) -> None:
        self._reading = None
        # Where it cannot be deleted, the server forgets the consumer by itself.
        with suppress(nats.errors.Error, OSError):
            await reading.subscription.unsubscribe()

    async def _begin(self) -> None:
        name = streams.EVENTS.name
        about = await self._ask(f"$JS.API.STREAM.INFO.{name}", {})
        life = life_of(about["created"])
        first, last = about["state"]["first_seq"], about["state"]["last_seq"]
        known_life, known = self._listener.position
        if life != known_life or last < known:
            known = max(first - 1, last - self._window, 0)
            self._listener.begin(life, after=known)
        elif known < first - 1:
            known = first - 1
            self._listener.lose(until=known)
        client = self._bus.client
        inbox = client.new_inbox()
        # Set before the consumer is made: its first message may come before the answer.
        subscription = await client.take(inbox, self._take)
        self._reading = _Reading(subscription, self._monotonic(), last)
        try:
            await self._ask(
                f"$JS.API.CONSUMER.CREATE.{name}",
                {
                    "stream_name": name,
                    "config": {
                        "deliver_subject": inbox,
                        "deliver_policy": "by_start_sequence",
                        "opt_start_seq": known + 1,
                        "ack_policy": "none",
                        "replay_policy": "instant",
                        "mem_storage": True,
                        "num_replicas": 1,
                        "idle_heartbeat": int(_HEARTBEAT * 1e9),
                        "inactive_threshold": int(_FORGOTTEN_AFTER * 1e9),
                    },
                },
            )
        except BaseException:
            if self._reading is not None:
                await self._abandon(self._reading)
            raise
        if known >= last:
            self._listener.set_stale(None)

    async def _ask(self, subject: str, request: dict[str, Any]) -> dict[str, Any]:
        reply = await self._bus.client.request(subject, orjson.dumps(request), timeout=_PATIENCE)
        answer: dict[str, Any] = orjson.loads(reply.data)
        if "error" in answer:
            raise nats.errors.Error(str(answer["error"].get("description", "refused")))
        return answer

    def _take(self, message: Msg) -> None:
        reading = self._reading
        # What an abandoned consumer still sends is read again by the next one.
        if reading is None or reading.is_broken or message._sid != reading.subscription._id:
            return
        reading.heard_at = self._monotonic()
        if not message.reply:
            self._heartbeat(message, reading)
            return
        # $JS.ACK.<stream>.<consumer>.<times>.<position>.<number>.<time>.<left>
        tokens = message.reply.split(".")
        sequence, number = int(tokens[-4]), int(tokens[-3])
        if number != reading.messages + 1:
            reading.is_broken = True
            return
        reading.messages = number
        self._listener.fact(sequence, *fact_of(message.subject, message.data))
        if sequence >= reading.end:
            self._listener.set_stale(None)

    def _heartbeat(self, message: Msg, reading: _Reading) -> None:
        headers = message.headers or {}
        sent = int(headers.get("Nats-Last-Consumer", reading.messages))
        reading.is_broken = headers.get("Status") != "100" or sent != reading.messages

    async def close(self) -> None:
        """Read no more."""
        if self._reading is not None:
            async with asyncio.timeout(_PATIENCE):
                await self._abandon(self._reading)


def fact_of(subject: str, data: bytes) -> tuple[UUID | None, Hint | None]:
    """The tenant and the hint of an event, by its subject `hw.evt.<kind>.<change>.<id>`; None for what is no such."""
    if not subject.startswith(_PREFIX):
        return None, None
    try:
        kind, change, text = subject.removeprefix(_PREFIX).split(".")
        body = orjson.loads(data)
        hint = Hint(
            kind=kind,
            id=UUID(text),
            change=change,
            version=body.get("version"),
            state=body.get("state"),
            flow_id=_uuid(body, "flow_id", unless=kind == "flow"),
            flow_group_id=_uuid(body, "flow_group_id", unless=kind == "flow_group"),
        )
        return UUID(body["tenant_id"]), hint
    except (ValueError, KeyError, AttributeError, TypeError):
        return None, None


def signals_of(data: bytes) -> list[Hint]:
    """The hints of the ledger's signal (`libs.contracts.runs.Changed`); none where it does not parse."""
    try:
        body = orjson.loads(data)
        changed = [
            Hint(
                kind="task_run",
                id=UUID(run["id"]),
                change="state_changed",
                version=run["version"],
                state=run["state"],
                flow_run_id=UUID(run["flow_run_id"]),
            )
            for run in body.get("task_runs", ())
        ]
        changed += [
            Hint(kind="log", id=UUID(run), change="written", flow_run_id=UUID(run))
            for run in body.get("logs", ())
        ]
        changed += [
            Hint(kind="agent", id=UUID(agent), change="changed") for agent in body.get("agents", ())
        ]
    except (ValueError, KeyError, AttributeError, TypeError):
        return []
    return changed


def _uuid(body: dict[str, Any], name: str, *, unless: bool) -> UUID | None:
    text = body.get(name)
    return None if text is None or unless else UUID(text)
