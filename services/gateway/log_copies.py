"""Copies of accepted log messages, kept until the ledger has them in PostgreSQL: about a second.

When a line is accepted, JetStream has it, and PostgreSQL a second later. In that second only the stream has the line,
and streams do get lost: a wiped volume, a power cut before the disk was synced. So the gateway that accepted a message
keeps a copy, and reads twice a second how far the ledger's durable has acknowledged.

    accepted --keep--> held --the durable's floor has passed it--> forgotten
                        |  ^
                        |  +-- published again, under a new sequence in the stream
                        +-- the durable is another one, or has nothing left and never saw it

A message that is published again though it was stored adds nothing: its lines have the ids and the time of acceptance
that they had, and the drain writes each (id, created) once.

What it does not cover: the store and this gateway lost in the same second, and what does not fit in `limit` bytes while
PostgreSQL is away. Then the oldest copies of the tenant with the most are dropped, and counted; their messages are
still in the stream. So a tenant's flood costs its own copies.

The copies also show how far the ledger is behind. The stream is first come, first served, and accepts lines faster than
PostgreSQL. So while the ledger makes progress, a tenant may have `share` bytes under way, and then waits for its own.
Another tenant's lines wait behind a second of a flood, not behind all of it.
"""

import asyncio
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field, replace
from datetime import datetime

from libs.contracts.streams import Durable, Stream
from libs.runtime import log, metrics
from libs.runtime.bus import Bus
from libs.runtime.failures import is_outage
from services.gateway.shares import BusyError

LIMIT = 64 << 20
"""Bytes; two seconds of 50,000 lines/s with their JSON."""
SHARE = 16 << 20
"""Bytes of a tenant under way: a second of what PostgreSQL takes."""
_PATIENCE = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class _Copy:
    """A message, and its sequence in the stream."""

    subject: str
    body: bytes
    sequence: int


@dataclass(slots=True)
class _Tenant:
    """A tenant's copies, in the order of their keeping."""

    copies: deque[_Copy] = field(default_factory=deque)
    bytes: int = 0


class LogCopies:
    """The messages that this gateway has accepted and the ledger does not have yet."""

    def __init__(
        self, bus: Bus, stream: Stream, durable: Durable, *, limit: int = LIMIT, share: int = SHARE
    ) -> None:
        self._bus = bus
        self._stream = stream
        self._durable = durable
        self._limit = limit
        self._share = share
        self._publishing: Counter[str] = Counter()
        self._moves = True
        self._looked = asyncio.Event()
        self._held: defaultdict[str, _Tenant] = defaultdict(_Tenant)
        self._bytes = 0
        self._made: datetime | None = None
        """When the durable was made, at the last look: identifies its store."""
        self._floor = -1
        """How far the durable had acknowledged then."""
        self._log = log.get("gateway")

    @property
    def held(self) -> int:
        """How many messages it has copies of."""
        return sum(len(tenant.copies) for tenant in self._held.values())

    async def publish(self, subject: str, body: bytes) -> None:
        """Put a message on the stream and keep a copy. Raises when the stream does not acknowledge it.

        BusyError when too much of its tenant is under way for too long.
        """
        tenant = _tenant_of(subject)
        if self._is_full(tenant):
            await self._room(tenant)
        self._publishing[tenant] += len(body)
        try:
            sequence = await self._publish(subject, body)
        finally:
            self._publishing[tenant] -= len(body)
            if not self._publishing[tenant]:
                del self._publishing[tenant]
        self._keep(_Copy(subject, body, sequence))

    def _is_full(self, tenant: str) -> bool:
        """Whether a tenant has used up its share. None has while the ledger makes no progress: waiting would help
        none."""
        held = self._held[tenant].bytes if tenant in self._held else 0
        return self._moves and held + self._publishing[tenant] >= self._share

    async def _room(self, tenant: str) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                while self._is_full(tenant):
                    await self._looked.wait()
        except TimeoutError:
            metrics.SHARES_REFUSED.labels("log_lines").inc()
            msg = "Too many log lines of this tenant are under way; try again soon."
            raise BusyError(msg) from None

    async def tick(self) -> int:
        """Drop copies that the ledger has, publish again messages that the stream has lost; returns how many.

        While the stream is away the copies wait, and that is no failure of this gateway: a loop that fails makes its
        service unready, and a gateway without JetStream still answers all but new lines.
        """
        if self._made is not None and not self._held:
            return 0
        try:
            return await self._look()
        except Exception as error:
            if not is_outage(error):
                raise
            self._moves = False
            self._log.warning("log_copies_wait", held=self.held, error=str(error))
            return 0
        finally:
            looked, self._looked = self._looked, asyncio.Event()
            looked.set()

    async def _look(self) -> int:
        # A copy that comes while the answer is under way may be of a message that the answer does not include.
        counts = {name: len(tenant.copies) for name, tenant in self._held.items()}
        info = await self._bus.js.consumer_info(self._stream.name, self._durable.name)
        if self._made is None:
            self._made = info.created
        floor = info.ack_floor.stream_seq if info.ack_floor is not None else 0
        is_another = info.created != self._made
        is_idle = not info.num_pending and not info.num_ack_pending
        self._moves = floor != self._floor or is_idle
        if floor == self._floor and not is_another and not is_idle:
            return 0  # no progress: a walk over 64 MiB twice a second would only cost time
        self._floor = floor
        lost: list[_Copy] = []
        for name, count in counts.items():
            for _ in range(count):
                copy = self._take(name)
                if copy is None:
                    break
                if is_another or (is_idle and copy.sequence > floor):
                    lost.append(copy)
                elif copy.sequence > floor:
                    self._keep(copy)
        lost.sort(key=lambda copy: copy.sequence)
        await self._restore(lost)
        self._made = info.created
        return len(lost)

    async def _restore(self, lost: list[_Copy]) -> None:
        if not lost:
            return
        self._log.warning("log_messages_lost", count=len(lost), stream=self._stream.name)
        waiting = deque(lost)
        try:
            while waiting:
                copy = waiting[0]
                sequence = await self._publish(copy.subject, copy.body)
                waiting.popleft()
                self._keep(replace(copy, sequence=sequence))
                metrics.LOG_MESSAGES_RESTORED.inc()
        finally:
            for copy in waiting:  # the stream is away again; the next look finds them still missing
                self._keep(copy)

    async def _publish(self, subject: str, body: bytes) -> int:
        answer = await self._bus.js.publish(
            subject,
            body,
            stream=self._stream.name,
            timeout=10,
            headers=self._bus.trace_headers(),
        )
        return answer.seq

    def _keep(self, copy: _Copy) -> None:
        tenant = self._held[_tenant_of(copy.subject)]
        tenant.copies.append(copy)
        tenant.bytes += len(copy.body)
        self._bytes += len(copy.body)
        while self._bytes > self._limit:
            self._take(max(self._held, key=lambda name: self._held[name].bytes))
            metrics.LOG_COPIES_DROPPED.inc()

    def _take(self, name: str) -> _Copy | None:
        """Drop the oldest copy of a tenant."""
        tenant = self._held.get(name)
        if tenant is None:
            return None
        copy = tenant.copies.popleft()
        tenant.bytes -= len(copy.body)
        self._bytes -= len(copy.body)
        if not tenant.copies:
            del self._held[name]
        return copy


def _tenant_of(subject: str) -> str:
    return subject.split(".", 3)[2]
