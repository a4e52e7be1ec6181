"""What is pushed to clients: events of the stream and signals of the ledger, to event streams and subscriptions."""

from collections.abc import Callable
from uuid import UUID

from libs.runtime.bus import Bus
from services.gateway.events.access import Access
from services.gateway.events.feed import Feed, signals_of
from services.gateway.events.hub import Hub
from services.gateway.finder import Finder
from services.gateway.identity import Authenticator
from services.gateway.settings import GatewaySettings


class Push:
    """The hub, the feed that fills it, and who may listen."""

    def __init__(
        self, bus: Bus, settings: GatewaySettings, *, monotonic: Callable[[], float]
    ) -> None:
        self.hub = Hub(
            window=settings.event_window,
            of_key=settings.event_streams_per_key,
            in_all=settings.event_streams,
        )
        self._feed = Feed(bus, self.hub, window=settings.event_window, monotonic=monotonic)
        self._access: Access | None = None

    def admit(self, authenticator: Authenticator, finder: Finder) -> Access:
        """From now on callers may listen. Called once, before the port opens."""
        self._access = Access(authenticator, versions=finder.versions, has_run=finder.has_flow_run)
        return self._access

    async def tick(self) -> int:
        """Check that events are read, and that the keys of open streams are still valid."""
        return await self._feed.tick() + await self.check_keys()

    async def check_keys(self) -> int:
        """End the event streams and sockets whose key has ended; how many."""
        return 0 if self._access is None else await self._access.check_keys()

    def signal(self, tenant_id: UUID, data: bytes) -> None:
        """Pass the ledger's signal on (`libs.contracts.runs.Changed`), if anybody of the tenant listens."""
        if self.hub.has_listeners(tenant_id):
            for hint in signals_of(data):
                self.hub.signal(tenant_id, hint)

    def end_streams(self) -> None:
        """End all streams, and admit no new ones."""
        self.hub.close()

    async def stop(self) -> None:
        """Read no more events."""
        await self._feed.close()
