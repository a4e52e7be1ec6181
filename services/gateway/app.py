"""Constructs the gateway: pools, schema, read path, HTTP server."""

import asyncio
from datetime import timedelta
from typing import Any

from starlette.types import ASGIApp

from libs.contracts import streams
from libs.runtime.clock import Clock, utc_now
from libs.runtime.database import Database
from libs.runtime.http import HttpServer
from libs.runtime.http_limits import HttpLimits
from libs.runtime.ids import NewId, new_id
from libs.runtime.service import Service
from services.gateway import subscribers
from services.gateway.agent_login import Issuer
from services.gateway.agent_logins import AgentLogins
from services.gateway.bootstrap import bootstrap
from services.gateway.browsers import WebPages
from services.gateway.bulk import Bulk
from services.gateway.bulk.selection import Selection
from services.gateway.bulk.store import BulkStore
from services.gateway.bulk.worker import BulkWorker
from services.gateway.context import Shared
from services.gateway.dashboard import Dashboard
from services.gateway.downloads.lines import Lines
from services.gateway.downloads.routes import Downloads
from services.gateway.downloads.tables import Tables
from services.gateway.events.access import Access
from services.gateway.events.endpoint import Events
from services.gateway.events.feed import Feed
from services.gateway.events.hub import Hub
from services.gateway.finder import Finder
from services.gateway.graphql.schema import build_schema
from services.gateway.health.board import Board, as_json
from services.gateway.http import build_app
from services.gateway.identity import Authenticator, KeyAuthenticator, OpenAuthenticator, Tenants
from services.gateway.lease_checks import LeaseChecks
from services.gateway.log_copies import LogCopies
from services.gateway.loops import duties
from services.gateway.off_loop import OffLoop
from services.gateway.operations import Operations
from services.gateway.page_headers import base_path_of
from services.gateway.people import people
from services.gateway.reads import Reader
from services.gateway.rows import Rows
from services.gateway.settings import GatewaySettings
from services.gateway.store import Store
from services.gateway.subscriptions.endpoint import Sockets
from services.gateway.subscriptions.operations import Subscriptions
from services.gateway.tokens import Seal
from services.gateway.vault import Vault


class Gateway(Service):
    """GraphQL over HTTP. Reads go straight to PostgreSQL, writes become commands on NATS."""

    name = "gateway"
    # Queries need only PostgreSQL, so a gateway must be able to start while NATS is away.
    starts_without_nats_after = timedelta(seconds=5)

    def __init__(
        self, settings: GatewaySettings, *, clock: Clock = utc_now, ids: NewId = new_id
    ) -> None:
        super().__init__(settings, clock=clock, ids=ids)
        self._settings = settings
        self._store = Store(self.database)
        self._reader = Reader(
            settings.reader_postgres_url,
            pool_size=settings.reader_pool_size,
            answer_limit=settings.answer_limit,
            tracing=self.tracing,
        )
        self._reader_database = Database(
            settings.reader_postgres_url, pool_size=2, name="gateway-rows", tracing=self.tracing
        )
        self._http = HttpServer(
            host=settings.host,
            port=settings.port,
            drain_timeout=settings.drain_timeout,
            variable="HEADWATER_PORT",
            websockets=True,
            limits=HttpLimits(
                connections=settings.connections,
                connections_of_address=settings.connections_of_address,
            ),
        )
        self._seal = Seal(settings.pepper)
        self._log_copies = LogCopies(self.bus, streams.LOGS, streams.LOG_DRAIN)
        self._off_loop = OffLoop()
        self._bulk_store = BulkStore(self.database)
        self._bulk_worker = BulkWorker(
            self._bulk_store,
            self.bus,
            clock=clock,
            id_=ids(),
            retention=settings.bulk_retention,
        )
        self._hub = Hub(
            window=settings.event_window,
            of_key=settings.event_streams_of_key,
            in_all=settings.event_streams,
        )
        self._feed = Feed(
            self.bus,
            self._hub,
            window=settings.event_window,
            monotonic=_monotonic,
        )
        self._access: Access | None = None
        self._board = Board(
            self.database, self.bus, folder=settings.data_folder, clock=clock, monotonic=_monotonic
        )
        self.add_duties(
            duties(
                settings, self._log_copies, self._bulk_worker, self.follow_events, self._board.tick
            )
        )
        self._authenticator: Authenticator | None = None
        self._leases = LeaseChecks(self._store.held)
        self.port = settings.port

    async def on_start(self) -> None:
        """Open the read pools, make the first tenant and key."""
        await self._reader.connect()
        await self._reader_database.connect()
        made = await bootstrap(self._settings, self._store, self.ids)
        if made is not None:
            self.log.info("first_key_made", key_id=str(made.id))

    async def start(self) -> None:
        """Everything of a service, then HTTP: the port opens when an answer can be given."""
        await super().start()
        holder: list[Rows] = []

        def nested(table: str, attribute: str) -> Any:
            async def resolve(payload: Any, info: Any) -> Any:
                return await holder[0].nested(table, attribute)(payload, info)

            return resolve

        schema, reads = build_schema(
            nested,
            cache_size=self._settings.document_cache,
            cache_bytes=self._settings.document_cache_bytes,
        )
        rows = Rows(reads, self._reader, self._reader_database)
        holder.append(rows)
        tenants = Tenants(self._store)
        authenticator = self._authenticator = self._make_authenticator(tenants)
        shared = Shared(
            authenticator=authenticator,
            pepper=self._settings.pepper,
            bus=self.bus,
            clock=self.clock,
            ids=self.ids,
            settings=self._settings,
            store=self._store,
            tenants=tenants,
            rows=rows,
            vault=Vault(self._settings.pepper),
            seal=self._seal,
            log_copies=self._log_copies,
            leases=self._leases,
            off_loop=self._off_loop,
            board=self._board,
            bulk=Bulk(self._bulk_store, Selection(reads, self._reader), self._bulk_worker),
            downloads=Downloads(authenticator, Lines(self._reader), Tables(reads, self._reader)),
        )
        operations = Operations(
            schema,
            reads,
            self._reader,
            cache_size=self._settings.document_cache,
            cache_bytes=self._settings.document_cache_bytes,
            ids=self.ids,
            tracing=self.tracing,
        )
        await self._http.start(self._make_app(shared, authenticator, operations))
        self.port = self._http.port

    def _make_app(
        self, shared: Shared, authenticator: Authenticator, operations: Operations
    ) -> ASGIApp:
        """GraphQL, and the routes for people and their browsers."""
        finder = Finder(self.database)
        access = self._access = Access(
            authenticator, versions=finder.versions, has_run=finder.has_flow_run
        )
        base_path = base_path_of(self._settings.public_url)
        dashboard = Dashboard(base_path)
        for_people = people(shared, authenticator, finder, Events(self._hub, access), dashboard)
        pages = WebPages(
            keys_required=self._settings.keys_required, origins=self._settings.page_origins
        )
        return build_app(
            shared,
            authenticator,
            operations,
            self,
            people=for_people,
            sockets=Sockets(
                shared,
                Subscriptions(operations),
                hub=self._hub,
                access=access,
                sessions=for_people.sessions,
                pages=pages,
                base_path=base_path,
            ),
            pages=pages,
            dashboard=dashboard,
            tracing=self.tracing,
        )

    def _make_authenticator(self, tenants: Tenants) -> Authenticator:
        if not self._settings.keys_required:
            return OpenAuthenticator(tenants, seal=self._seal, clock=self.clock)
        return KeyAuthenticator(
            self._store,
            pepper=self._settings.pepper,
            seal=self._seal,
            clock=self.clock,
            monotonic=asyncio.get_running_loop().time,
        )

    def declare(self) -> None:
        """Declare its subscriptions."""
        logins = None
        if self._settings.keys_required and self._settings.nats_issuer_seed is not None:
            seed = bytes.fromhex(self._settings.nats_issuer_seed.get_secret_value())
            logins = AgentLogins(
                Issuer(seed),
                lambda: self._authenticator,
                lifetime=self._settings.nats_login_lifetime,
                clock=self.clock,
                ids=self.ids,
                log=self.log,
            )
        self.bus.include(
            subscribers.router(
                self.name,
                lambda: self._authenticator,
                logins,
                hub=self._hub,
                check_streams=self.check_streams,
                hear=self._board.hear,
            )
        )

    async def follow_events(self) -> int:
        """Check that events are read, and that the keys of open streams are still valid."""
        return await self._feed.tick() + await self.check_streams()

    async def check_streams(self) -> int:
        """End the event streams and sockets whose key has ended; how many."""
        return 0 if self._access is None else await self._access.check_keys()

    async def stop(self) -> None:
        """Close the port first, answer the requests in flight, then close the rest."""
        self._hub.close()
        await self._http.stop()
        await self._leases.stop()
        await self._bulk_worker.stop()
        await self._feed.close()
        await super().stop()

    async def on_stop(self) -> None:
        """Close the read pools and the thread."""
        self._off_loop.close()
        await self._reader.close()
        await self._reader_database.close()

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
            reasons = await self._reader_failures()
        return reasons

    async def degraded(self) -> list[str]:
        """Without NATS queries are answered, and without the read-only role mutations."""
        return [*self.stale(), *self.bus_failures(), *await self._reader_failures()]

    async def _reader_failures(self) -> list[str]:
        try:
            await self._reader_database.ping()
        except Exception as error:  # any exception is the reason
            return [f"the read-only role does not answer: {type(error).__name__}"]
        return []


def _monotonic() -> float:
    return asyncio.get_running_loop().time()


def build(settings: GatewaySettings) -> Gateway:
    """A gateway that is ready to start."""
    return Gateway(settings)
