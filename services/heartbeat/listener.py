"""Hear the pings, on a connection that carries nothing else: 33,000 a second, of which only the subject matters."""

from contextlib import suppress

import nats.errors

from libs.contracts import subjects
from libs.runtime.nats.lean import LeanClient
from services.heartbeat.domain.last_heard import key_in


class PingListener(LeanClient):
    """Every replica hears every ping: what it remembers is whole, and no replica depends on another's memory."""

    def __init__(self) -> None:
        super().__init__()
        self._heard: set[bytes] = set()
        self._pings: int | None = None

    async def listen(self) -> None:
        """Begin to hear."""
        self._pings = (await self.subscribe(subjects.BEAT.wildcard))._id
        await self.flush()

    async def deliver(
        self, sid: int, subject: bytes, reply: bytes, body: bytes, headers: bytes
    ) -> None:
        """Note who pings. Making a message of each would cost as much again as all the rest (`bench heartbeat`)."""
        if sid != self._pings:
            await super().deliver(sid, subject, reply, body, headers)
        elif (key := key_in(subject)) is not None:
            self._heard.add(key)

    def collect(self) -> set[bytes]:
        """Who pinged since it was called last."""
        heard, self._heard = self._heard, set()
        return heard

    def has_just_heard(self, key: bytes) -> bool:
        """Whether the run pinged since the last `collect`."""
        return key in self._heard

    @property
    def connection(self) -> int:
        """Which connection this is, counted from the first."""
        return int(self.stats["reconnects"])

    async def keeps_up(self, seconds: int) -> bool:
        """Whether what the broker sends now is read within so long.

        The answer to our own PING comes in line behind the pings that wait in the socket.
        """
        if not self.reads:
            return False
        try:
            await self.flush(timeout=seconds)
        except (nats.errors.Error, TimeoutError):
            return False
        return True

    async def end(self) -> None:
        """Hear no more; what was read until then can be collected."""
        with suppress(nats.errors.Error, TimeoutError):
            await self.close()
