"""Hear pings cheaply: 33,000 a second, of which only the subject matters.

nats-py spends some twenty microseconds on a message (two regular expressions on a bytearray, an email parser for the
headers, a `Msg`, a queue and a task), which is 0.8 core for a million live runs. A ping says all in its subject, so the
parser of this connection takes the ids out of the socket's bytes and skips the rest. What is no ping (INFO, PING, PONG,
-ERR) goes to nats-py's own parser, which keeps connecting, logging in, TLS and reconnecting its business.
The lean client's parser (`libs.runtime.nats_client`) would do as well, for half as much again a ping (2.7 us, not 1.7).
"""

import re
from contextlib import suppress
from uuid import UUID

import nats.errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.protocol.parser import Parser

from libs.contracts import subjects
from libs.contracts.heartbeat import REARMED_HEADER, SCHEDULE_HEADER
from libs.runtime.nats_patience import PatientClient

_ID = rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SUBJECT = (
    re.escape(subjects.BEAT.template.encode())
    .replace(rb"\{tenant_id\}", b"(" + _ID + b")")
    .replace(rb"\{flow_run_id\}", b"(" + _ID + b")")
)
_BEAT = re.compile(rb"HMSG " + _SUBJECT + rb" \d+ (?:\S+ )?(\d+) (\d+)\r\n")
# Only the space ends a name: whatever else is white may be in a stranger's subject.
_MESSAGE = re.compile(rb"H?MSG [^ \r\n]+ \d+ (?:[^ \r\n]+ )??(?:\d+ )?(\d+)\r\n")
_SCHEDULE = f"\r\n{SCHEDULE_HEADER}:".encode()
_REARMED = f"\r\n{REARMED_HEADER}:".encode()


class Ear(PatientClient):
    """One connection that hears nothing but pings; `take` tells who pinged since it was called last."""

    def __init__(self) -> None:
        super().__init__()
        self._ps: _PingParser = _PingParser(self)
        self._beats: Subscription

    async def listen(self, queue: str) -> None:
        """Begin to hear, sharing the pings with the other replicas of the queue group."""
        self._beats = await self.subscribe(subjects.BEAT.wildcard, queue=queue)
        await self.flush()

    async def end(self) -> None:
        """Hear no more: the broker sends what follows to others, and what it has sent until then can be taken."""
        with suppress(nats.errors.Error, TimeoutError):
            await self._beats.unsubscribe()
            await self.flush(
                timeout=2
            )  # nats-py writes this PING past the UNSUB that it has queued,
            await self.flush(timeout=2)  # and this one behind it
        await self.close()

    def take(self) -> dict[bytes, bytes]:
        """Run to tenant, as they stood in the subject: lower-case UUIDs with hyphens."""
        heard, self._ps.heard = self._ps.heard, {}
        return heard

    def has_just_heard(self, run: UUID, tenant: UUID) -> bool:
        """Whether the tenant's run pinged since the last `take`."""
        return self._ps.heard.get(str(run).encode()) == str(tenant).encode()

    def give_back(self, heard: dict[bytes, bytes]) -> None:
        """What was taken and could not be used, for the next `take`."""
        self._ps.heard = heard | self._ps.heard

    async def lags(self, seconds: int) -> bool:
        """Whether what the broker sends now is not read within so long.

        The answer to our own PING comes in line behind the pings that wait in the socket.
        """
        if not self.reads:
            return True
        try:
            await self.flush(timeout=seconds)
        except (nats.errors.Error, TimeoutError):
            return True
        return False


class _PingParser(Parser):
    """nats-py's parser, but for messages: those are pings, or of no interest."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.heard: dict[bytes, bytes] = {}
        self._tenants: dict[bytes, bytes] = {}  # one object each, not one a ping

    def reset(self) -> None:
        super().reset()
        self._rest = b""

    async def parse(self, data: bytes = b"") -> None:
        """Take the whole messages and lines; keep the rest until more has come."""
        data = self._rest + data
        at = self._hear(data)
        while (end := data.find(b"\r\n", at)) != -1:
            message = _MESSAGE.match(data, at)
            if message is None:
                line, at = data[at : end + 2], end + 2
                self._rest = data[at:]  # a reset meanwhile is not undone
                await super().parse(line)
                if not self._rest:
                    return
            else:
                past = message.end() + int(message[1]) + 2
                if past > len(data):
                    break
                at = past
            at = self._hear(data, at)
        self._rest = data[at:]

    def _hear(self, data: bytes, at: int = 0) -> int:
        """Note the pings that stand at `at` one behind the other; where they end."""
        heard, beat, size = self.heard, _BEAT.match, len(data)
        one_of = self._tenants.setdefault
        while (found := beat(data, at)) is not None:
            tenant, run, headers, total = found.groups()
            start = found.end()
            past = start + int(total) + 2
            if past > size:
                break
            end = start + int(headers)
            # A message without a schedule disarms, one that the service sent itself is no sign of life.
            if data.find(_SCHEDULE, start, end) != -1 and data.find(_REARMED, start, end) == -1:
                heard[run] = one_of(tenant, tenant)
            at = past
        return at
