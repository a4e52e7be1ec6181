"""Watch our own coverage: confirm it every few seconds, or say why pings may not be heard."""

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from libs.runtime.bus import Bus
from libs.runtime.database import Database
from services.heartbeat.domain.coverage import Coverage, Signs, obstacles
from services.heartbeat.listener import PingListener
from services.heartbeat.settings import HeartbeatSettings
from services.heartbeat.store import Store

LAG = 5  # seconds that a ping may wait in the socket; beyond it we do not keep up


class Watch:
    """This process's coverage, and the row that tells all replicas and Lazarus that some replica hears pings."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        settings: HeartbeatSettings,
        listener: PingListener,
        *,
        monotonic: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self.obstacles: list[str] = []
        self._database = database
        self._bus = bus
        self._settings = settings
        self._listener = listener
        self._monotonic = monotonic
        self._log = log
        self._lapse = settings.heartbeat_lapse.total_seconds()
        self._coverage = Coverage()
        self._gateway_heard: float | None = None
        self._uncovered_since: float | None = None

    def covers(self, period: float) -> bool:
        """Whether this process could receive every ping of the period that ends now."""
        return not self.obstacles and self._coverage.spans(
            period, now=self._monotonic(), lapse=self._lapse
        )

    async def confirm(self) -> list[str]:
        """Confirm that pings are heard; returns the reasons why they may not be."""
        # Taken before the check, which may take seconds: it proves nothing about the time after its start.
        now = self._monotonic()
        self.obstacles = obstacles(await self._signs(now), lapse=self._lapse)
        if self.obstacles:
            if self._uncovered_since is None:
                self._uncovered_since = now
                self._log.warning("pings_not_received", reasons=self.obstacles)
            return self.obstacles
        if self._uncovered_since is not None:
            self._uncovered_since = None
            self._log.info("pings_received_again")
        async with self._database.transaction() as connection:
            await Store(connection).watch(self._settings.heartbeat_lapse)
        self._coverage = self._coverage.confirm(
            now, lapse=self._lapse, connection=self._listener.connection
        )
        return []

    async def _signs(self, now: float) -> Signs:
        heard = self._gateway_heard
        is_listening = self._listener.is_connected
        return Signs(
            is_on_the_bus=self._bus.connected,
            is_listening=is_listening,
            keeps_up=is_listening and await self._listener.keeps_up(LAG),
            gateway_silent_for=None if heard is None else now - heard,
            needs_gateway=self._settings.heartbeat_needs_gateway,
        )

    def on_gateway_alive(self) -> bool:
        """A gateway runs, so pings can come through; returns whether to check the coverage at once."""
        self._gateway_heard = self._monotonic()
        return bool(self.obstacles)

    def failing(self) -> list[str]:
        """The reasons, once they have lasted; a start, or a gateway's restart, does not count."""
        if self._uncovered_since is None or self._monotonic() - self._uncovered_since < self._lapse:
            return []
        return self.obstacles
