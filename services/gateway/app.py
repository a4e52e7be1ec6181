"""The gateway, put together."""

import asyncio
from datetime import timedelta
from typing import Any, ClassVar

from libs.contracts import streams
from libs.runtime.clock import Clock, utc_now
from libs.runtime.ids import NewId, new_id
from libs.runtime.service import Service
from services.gateway import subscribers
from services.gateway.agent_logins import agent_logins
from services.gateway.api import Api, Resources
from services.gateway.bootstrap import bootstrap
from services.gateway.bulk.store import BulkStore
from services.gateway.bulk.worker import BulkWorker
from services.gateway.for_automations import ForAutomations
from services.gateway.health.board import Board, as_json
from services.gateway.log_copies import LogCopies
from services.gateway.loops import duties
from services.gateway.push import Push
from services.gateway.read_pools import ReadPools
from services.gateway.settings import GatewaySettings
from services.gateway.store import Store
from services.gateway.vault import Vault


class Gateway(Service):
    """See the package's page."""

    name: ClassVar[str] = "gateway"
    # Queries need only PostgreSQL, so a gateway must be able to start while NATS is away.
    starts_without_nats_after: ClassVar[timedelta | None] = timedelta(seconds=5)

    def __init__(
        self, settings: GatewaySettings, *, clock: Clock = utc_now, ids: NewId = new_id
    ) -> None:
        super().__init__(settings, clock=clock, ids=ids)
        self._settings = settings
        self._store = Store(self.database)
        self._reads = ReadPools(settings, tracing=self.tracing)
        self._push = Push(self.bus, settings, monotonic=_monotonic)
        self._log_copies = LogCopies(self.bus, streams.LOGS, streams.LOG_DRAIN)
        self._bulk_store = BulkStore(self.database)
        self._bulk_worker = BulkWorker(
            self._bulk_store, self.bus, clock=clock, id_=ids(), retention=settings.bulk_retention
        )
        self._board = Board(
            self.database, self.bus, folder=settings.watched_folder, clock=clock, monotonic=_monotonic,
        )  # fmt: skip
        resources = Resources(
            store=self._store, reads=self._reads, push=self._push, log_copies=self._log_copies,
            bulk_store=self._bulk_store, bulk_worker=self._bulk_worker, board=self._board,
        )  # fmt: skip
        self._api = Api(self, settings, resources)
        self.add_duties(
            duties(
                settings, self._log_copies, self._bulk_worker, self._push.tick, self._board.tick,
                forget_former_hooks=self._store.forget_former_hooks,
            )
        )  # fmt: skip

    @property
    def port(self) -> int:
        """Where HTTP is answered; the one that was found, once the port is open."""
        return self._api.port

    def declare(self) -> None:
        """Declare its subscriptions."""
        logins = agent_logins(
            self._settings,
            lambda: self._api.authenticator,
            clock=self.clock, ids=self.ids, log=self.log,
        )  # fmt: skip
        self.bus.include(
            subscribers.router(
                self.name, lambda: self._api.authenticator, logins,
                push=self._push, hear=self._board.hear,
                for_automations=ForAutomations(
                    self._store, Vault(self._settings.pepper), ids=self.ids
                ),
            )
        )  # fmt: skip

    async def on_start(self) -> None:
        """Open the read pools, make the first tenant and key."""
        await self._reads.connect()
        made = await bootstrap(self._settings, self._store, self.ids)
        if made is not None:
            self.log.info("first_key_made", key_id=str(made.id))

    async def start(self) -> None:
        """Everything of a service, then HTTP: the port opens when an answer can be given."""
        await super().start()
        await self._api.start()

    async def stop(self) -> None:
        """Close the port first, answer the requests in flight, then close the rest."""
        self._push.end_streams()
        await self._api.stop()
        await self._bulk_worker.stop()
        await self._push.stop()
        await super().stop()

    async def on_stop(self) -> None:
        """Close the read pools and the thread."""
        self._api.close()
        await self._reads.close()

    # what it says of itself

    async def details(self) -> dict[str, Any]:
        """How every service and engine is, for whoever reaches the health port."""
        return as_json(await self._board.report())

    async def unready(self) -> list[str]:
        """Without PostgreSQL no caller can be authenticated; without both NATS and the read-only role no operation
        works."""
        if not self._started:
            return [f"{self.name} is not started"]
        reasons = await self.database_failures()
        if not reasons and not self.bus.connected:
            reasons = await self._reads.failures()
        return reasons

    async def degraded(self) -> list[str]:
        """Without NATS queries are answered, and without the read-only role mutations."""
        return [*self.stale(), *self.bus_failures(), *await self._reads.failures()]


def _monotonic() -> float:
    return asyncio.get_running_loop().time()


def build(settings: GatewaySettings) -> Gateway:
    """The service, ready to start."""
    return Gateway(settings)
