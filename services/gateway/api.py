"""The port: the schema, the read path, the callers, and the HTTP server before them. Constructed when it opens.

It opens last, when an answer can be given, and closes first.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp

from libs.runtime.http import HttpServer
from libs.runtime.http_limits import HttpLimits
from libs.runtime.service import Service
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
from services.gateway.events.endpoint import Events
from services.gateway.finder import Finder
from services.gateway.graphql.schema import build_schema
from services.gateway.health.board import Board
from services.gateway.http import build_app
from services.gateway.identity import Authenticator, KeyAuthenticator, OpenAuthenticator, Tenants
from services.gateway.lease_checks import LeaseChecks
from services.gateway.log_copies import LogCopies
from services.gateway.off_loop import OffLoop
from services.gateway.operations import Operations
from services.gateway.page_headers import base_path_of
from services.gateway.people import people
from services.gateway.push import Push
from services.gateway.read_pools import ReadPools
from services.gateway.reads import ReadPath
from services.gateway.rows import Rows
from services.gateway.settings import GatewaySettings
from services.gateway.store import Store
from services.gateway.subscriptions.endpoint import Sockets
from services.gateway.subscriptions.operations import Subscriptions
from services.gateway.tokens import Seal
from services.gateway.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What requests reach, and what lives longer than the open port."""

    store: Store
    reads: ReadPools
    push: Push
    log_copies: LogCopies
    bulk_store: BulkStore
    bulk_worker: BulkWorker
    board: Board


class Api:
    """Answers HTTP and WebSockets between `start` and `stop`."""

    def __init__(self, service: Service, settings: GatewaySettings, resources: Resources) -> None:
        self._service = service
        self._settings = settings
        self._resources = resources
        self.authenticator: Authenticator | None = None
        """None until the port opens."""
        self.port = settings.port
        self.seal = Seal(settings.pepper)
        self.off_loop = OffLoop()
        self._leases = LeaseChecks(resources.store.held)
        self._http = HttpServer(
            host=settings.host,
            port=settings.port,
            drain_timeout=settings.drain_timeout,
            variable="HEADWATER_PORT",
            websockets=True,
            limits=HttpLimits(
                connections=settings.connections,
                connections_per_address=settings.connections_per_address,
            ),
        )

    async def start(self) -> None:
        """Open the port."""
        settings, service = self._settings, self._service
        rows = LateRows()
        schema, reads = build_schema(
            rows.nested,
            cache_size=settings.document_cache,
            cache_bytes=settings.document_cache_bytes,
        )
        pools = self._resources.reads
        rows.known = Rows(reads, pools.reader, pools.rows)
        tenants = Tenants(self._resources.store)
        authenticator = self.authenticator = self._make_authenticator(tenants)
        operations = Operations(
            schema,
            reads,
            pools.reader,
            cache_size=settings.document_cache,
            cache_bytes=settings.document_cache_bytes,
            ids=service.ids,
            tracing=service.tracing,
        )
        shared = self._shared(authenticator, tenants, reads, rows.known)
        await self._http.start(self._make_app(shared, authenticator, operations))
        self.port = self._http.port

    async def stop(self) -> None:
        """Close the port, and answer the requests in flight."""
        await self._http.stop()
        await self._leases.stop()

    def close(self) -> None:
        """End the thread beside the event loop."""
        self.off_loop.close()

    def _make_authenticator(self, tenants: Tenants) -> Authenticator:
        if not self._settings.keys_required:
            return OpenAuthenticator(tenants, seal=self.seal, clock=self._service.clock)
        return KeyAuthenticator(
            self._resources.store,
            pepper=self._settings.pepper,
            seal=self.seal,
            clock=self._service.clock,
            monotonic=asyncio.get_running_loop().time,
        )

    def _shared(
        self, authenticator: Authenticator, tenants: Tenants, reads: ReadPath, rows: Rows
    ) -> Shared:
        """What all requests share."""
        settings, service, resources = self._settings, self._service, self._resources
        reader = resources.reads.reader
        return Shared(
            authenticator=authenticator,
            pepper=settings.pepper,
            bus=service.bus,
            clock=service.clock,
            ids=service.ids,
            settings=settings,
            store=resources.store,
            tenants=tenants,
            rows=rows,
            vault=Vault(settings.pepper),
            seal=self.seal,
            log_copies=resources.log_copies,
            leases=self._leases,
            off_loop=self.off_loop,
            board=resources.board,
            bulk=Bulk(resources.bulk_store, Selection(reads, reader), resources.bulk_worker),
            downloads=Downloads(authenticator, Lines(reader), Tables(reads, reader)),
        )

    def _make_app(
        self, shared: Shared, authenticator: Authenticator, operations: Operations
    ) -> ASGIApp:
        """GraphQL, and the routes for people and their browsers."""
        settings, hub = self._settings, self._resources.push.hub
        finder = Finder(self._service.database)
        access = self._resources.push.admit(authenticator, finder)
        base_path = base_path_of(settings.public_url)
        dashboard = Dashboard(base_path)
        for_people = people(
            shared, authenticator, finder, Events(hub, access), dashboard,
            monotonic=asyncio.get_running_loop().time,
        )  # fmt: skip
        pages = WebPages(keys_required=settings.keys_required, origins=settings.page_origins)
        sockets = Sockets(
            shared,
            Subscriptions(operations),
            hub=hub,
            access=access,
            sessions=for_people.sessions,
            pages=pages,
            base_path=base_path,
        )
        return build_app(
            shared,
            authenticator,
            operations,
            self._service,
            people=for_people,
            sockets=sockets,
            pages=pages,
            dashboard=dashboard,
            tracing=self._service.tracing,
        )


class LateRows:
    """Resolves relations below payloads. The schema needs it before the read path is there, of which rows are made."""

    known: Rows

    def nested(self, table: str, attribute: str) -> Any:
        """A resolver, which looks up `known` when it is called first."""

        async def resolve(payload: Any, info: Any) -> Any:
            return await self.known.nested(table, attribute)(payload, info)

        return resolve
