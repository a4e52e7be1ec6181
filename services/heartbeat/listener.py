"""Receive pings, on a connection of their own: 33,000 a second. Only the subject is read."""

from collections.abc import Iterable
from contextlib import suppress
from uuid import UUID

import nats.errors

from libs.contracts import subjects
from libs.runtime.nats.lean import LeanClient
from services.heartbeat.domain.last_heard import key_in, tenant_text_in


class PingListener(LeanClient):
    """Every replica receives every ping: its memory is complete, and does not depend on another replica."""

    def __init__(self) -> None:
        super().__init__()
        self._heard: set[bytes] = set()
        self._counts: dict[bytes, int] = {}
        self._everybody: int | None = None
        # Subscriptions of single tenants, while some tenants are left out.
        self._of_tenant: dict[UUID, int] = {}
        self._pings: set[int] = set()

    async def listen(self) -> None:
        """Subscribe to all tenants."""
        if self._everybody is None:
            self._forget_left()
            self._everybody = await self._hear(subjects.BEAT.wildcard)
            for tenant in tuple(self._of_tenant):
                await self._leave(self._of_tenant.pop(tenant))
            await self.flush()

    async def listen_to(self, tenants: Iterable[UUID]) -> None:
        """Subscribe to these tenants only, until the next `listen`: the broker sends no pings of others."""
        wanted = set(tenants)
        if self._everybody is not None:
            self._forget_left()
        for tenant in wanted - self._of_tenant.keys():
            self._of_tenant[tenant] = await self._hear(
                subjects.BEAT.at(tenant_id=tenant, flow_run_id="*")
            )
        for tenant in self._of_tenant.keys() - wanted:
            await self._leave(self._of_tenant.pop(tenant))
        # Last, so that the other tenants have no gap.
        if self._everybody is not None:
            everybody, self._everybody = self._everybody, None
            await self._leave(everybody)

    async def _hear(self, subject: str) -> int:
        sid: int = (await self.subscribe(subject))._id
        self._pings.add(sid)
        return sid

    def _forget_left(self) -> None:
        """Subscriptions that ended a while ago bring nothing more."""
        self._pings = {*self._of_tenant.values()}
        if self._everybody is not None:
            self._pings.add(self._everybody)

    async def _leave(self, sid: int) -> None:
        """Unsubscribe; it stays in `_pings`, because pings under way still count."""
        await self._send_unsubscribe(sid)
        self._remove_sub(sid)

    async def deliver(
        self, sid: int, subject: bytes, reply: bytes, body: bytes, headers: bytes
    ) -> None:
        """Note the key of each ping. A message object for each would double all other costs (`bench heartbeat`)."""
        if sid not in self._pings:
            await super().deliver(sid, subject, reply, body, headers)
            return
        tenant = tenant_text_in(subject)
        self._counts[tenant] = self._counts.get(tenant, 0) + 1
        if (key := key_in(subject)) is not None:
            self._heard.add(key)

    def collect(self) -> set[bytes]:
        """The keys that pinged since the last call."""
        heard, self._heard = self._heard, set()
        return heard

    def counts(self) -> dict[bytes, int]:
        """The number of pings of each tenant since the last call, also those without a valid run."""
        counted, self._counts = self._counts, {}
        found: dict[bytes, int] = {}
        for text, count in counted.items():
            with suppress(ValueError):
                tenant = UUID(text.decode()).bytes
                found[tenant] = found.get(tenant, 0) + count
        return found

    def has_just_heard(self, key: bytes) -> bool:
        """Whether the run pinged since the last `collect`."""
        return key in self._heard

    @property
    def connection(self) -> int:
        """The number of this connection, counted from the first."""
        return int(self.stats["reconnects"])

    async def keeps_up(self, seconds: int) -> bool:
        """Whether messages of the broker are read within this time.

        The answer to our own PING comes after the pings that wait in the socket.
        """
        if not self.reads:
            return False
        try:
            await self.flush(timeout=seconds)
        except (nats.errors.Error, TimeoutError):
            return False
        return True

    async def end(self) -> None:
        """Stop receiving; pings read until then can still be collected."""
        with suppress(nats.errors.Error, TimeoutError):
            await self.close()
