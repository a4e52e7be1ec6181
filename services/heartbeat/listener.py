"""Hear the pings, on a connection that carries nothing else: 33,000 a second, of which only the subject matters."""

from contextlib import suppress

import nats.errors
from nats.aio.msg import Msg

from libs.contracts import subjects
from libs.runtime.nats_client import LeanClient
from services.heartbeat.domain.last_heard import key_in


class PingListener(LeanClient):
    """Every replica hears every ping: what it remembers is whole, and no replica depends on another's memory."""

    def __init__(self) -> None:
        super().__init__()
        self._heard: set[bytes] = set()

    async def listen(self) -> None:
        """Begin to hear."""
        await self.take(subjects.BEAT.wildcard, self._note)
        await self.flush()

    def _note(self, message: Msg) -> None:
        key = key_in(message.subject)
        if key is not None:
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
