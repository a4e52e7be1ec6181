"""How a service lives: connect, serve, be ready, drain.

A service subclasses `Service`, includes its router in `declare` (before the bus starts) and adds loops.
`run` is the whole of `python -m services.<name>`.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar

import asyncpg
import nats.errors
import structlog
from pydantic import ValidationError

from libs.contracts import streams, subjects
from libs.contracts.alive import Condition, ServiceAlive
from libs.contracts.version import BUILD
from libs.runtime import departed, log, metrics, trace
from libs.runtime.bus import Bus
from libs.runtime.bus.streams import NotProvisionedError
from libs.runtime.clock import Clock, utc_now
from libs.runtime.database import Database
from libs.runtime.departed import Departed, tables_of
from libs.runtime.http import HttpServer, Probe, health_app
from libs.runtime.ids import NewId, new_id
from libs.runtime.loop import Duty, Loop
from libs.runtime.outbox import Relay
from libs.runtime.settings import ServiceSettings, sentence_of

_REASONS = 20
"""Sentences of one word of a service; nobody reads more."""
_RELAY_REST = timedelta(milliseconds=50)
"""Between two ticks of a poked relay: its transaction costs the same for one event as for a hundred."""


class Service(Probe):
    """One of the services. Subclasses give `name`, and override `declare` and (rarely) `on_start` and `on_stop`."""

    name: ClassVar[str]
    has_outbox: ClassVar[bool] = False
    starts_without_nats_after: ClassVar[timedelta | None] = None
    """How long a start waits for NATS, for a service that is useful without it; None: it is not."""

    def __init__(
        self, settings: ServiceSettings, *, clock: Clock = utc_now, ids: NewId = new_id
    ) -> None:
        self.clock = clock
        self.ids = ids
        self.log: structlog.typing.FilteringBoundLogger = log.get(self.name)
        self.tracing = trace.start(self.name, settings.traces)
        self.database = Database(
            settings.postgres_url,
            pool_size=settings.postgres_pool_size,
            name=self.name,
            tracing=self.tracing,
        )
        self.bus = Bus(
            settings.nats_url,
            service=self.name,
            rpc_timeout=settings.rpc_timeout.total_seconds(),
            drain_timeout=settings.drain_timeout.total_seconds(),
            connect_timeout=settings.nats_connect_timeout.total_seconds(),
            tls_ca=settings.nats_tls_ca,
            tracing=self.tracing,
        )
        self.loops: list[Loop] = []
        self.relay: Relay | None = None
        self._relay_loop: Loop | None = None
        if self.has_outbox:
            self.relay = Relay(self.database, self.bus, self.name)
            self._relay_loop = self.add_loop(
                "outbox",
                interval=timedelta(seconds=1),
                tick=self.relay.tick,
                rest=_RELAY_REST,
            )
        if tables_of(self.name):
            self.add_loop(
                "departed_tenants",
                interval=departed.INTERVAL,
                tick=Departed(self.database, self.name).tick,
            )
        self._started = False
        self._alive = ServiceAlive(instance=ids(), version=BUILD)
        self._health = (
            HttpServer(
                host=settings.health_host,
                port=settings.health_port,
                drain_timeout=settings.drain_timeout,
                variable="HEADWATER_HEALTH_PORT",
            )
            if settings.health_port is not None
            else None
        )
        self.add_loop("pulse", interval=settings.alive_every, tick=self._pulse)

    # for subclasses to override

    def declare(self) -> None:
        """Include the router of `subscribers.py` in `self.bus`. No I/O."""

    async def on_start(self) -> None:
        """After connecting, before serving."""

    async def on_stop(self) -> None:
        """After draining, before the connections close."""

    # for subclasses to call

    def add_loop(
        self,
        name: str,
        *,
        interval: timedelta,
        tick: Callable[[], Awaitable[Any]],
        start_after: timedelta | None = None,
        rest: timedelta = timedelta(0),
    ) -> Loop:
        """Add a loop that starts with the service."""
        loop = Loop(
            name,
            interval=interval,
            tick=tick,
            service=self.name,
            start_after=start_after,
            rest=rest,
        )
        self.loops.append(loop)
        return loop

    def add_duties(self, duties: Iterable[Duty]) -> dict[str, Loop]:
        """Add a loop for each; by name."""
        return {
            duty.name: self.add_loop(
                duty.name, interval=duty.interval, tick=duty.tick, start_after=duty.start_after
            )
            for duty in duties
        }

    def committed(self) -> None:
        """Call after a transaction that added events: the relay publishes them now instead of at its next tick."""
        if self._relay_loop is not None:
            self._relay_loop.poke()

    # start and stop

    async def start(self) -> None:
        """Connect, then serve. Raises when PostgreSQL or NATS cannot be reached; the caller says what to do."""
        if self.has_outbox:
            self.bus.need(streams.EVENTS)
        self.declare()
        await self.database.connect()
        await self.on_start()
        if self.starts_without_nats_after is None:
            await self.bus.start()
        else:
            await self.bus.start_or_go_on(after=self.starts_without_nats_after.total_seconds())
        for loop in self.loops:
            loop.start()
        self._started = True
        self._alive = self._alive.model_copy(update={"started_at": self.clock()})
        if self._health is not None:
            await self._health.start(health_app(self))
        self.log.info("service_started")

    async def stop(self) -> None:
        """Drain: accept nothing new, finish the work in flight, then close."""
        self._started = False
        metrics.READY.labels(self.name).set(0)
        metrics.DEGRADED.labels(self.name).set(0)
        await asyncio.gather(*(loop.stop() for loop in self.loops))
        if self.bus.connected:
            # Else it would be missed for as long as one that died.
            with suppress(nats.errors.Error, OSError):
                await self._say(Condition.STOPPED, [])
        await self.bus.stop()
        await self.on_stop()
        await self.database.close()
        if self._health is not None:
            await self._health.stop()
        if self.tracing is not None:
            await self.tracing.stop()
        self.log.info("service_stopped")

    def failed(self) -> list[str]:
        """Parts that have ended for good while the service goes on. The supervisor that reads `/health` restarts it."""
        if not self._started:
            return []
        ended = [f"the loop {loop.name} has ended" for loop in self.loops if loop.has_ended]
        return ended + self.bus.failed()

    async def unready(self) -> list[str]:
        """Why this service is not useful now, one sentence each; empty when it is."""
        if not self._started:
            return [f"{self.name} is not started"]
        return [*self.stale(), *self.bus_failures(), *await self.database_failures()]

    def stale(self) -> list[str]:
        """The loops that have not succeeded for too long, one sentence each."""
        return [f"the loop {loop.name} is stale" for loop in self.loops if loop.is_stale]

    def bus_failures(self) -> list[str]:
        """What is wrong with NATS for this service, one sentence each."""
        lost = [] if self.bus.connected else ["NATS is not connected"]
        return lost + self.bus.missing()

    async def database_failures(self) -> list[str]:
        """What is wrong with PostgreSQL for this service, one sentence each."""
        failure = await self._database_failure()
        return [] if failure is None else [f"PostgreSQL does not answer: {failure}"]

    async def _database_failure(self) -> str | None:
        try:
            await self.database.ping()
        except Exception as error:
            return type(error).__name__  # any exception is the reason
        return None

    async def _pulse(self) -> None:
        """Export the state of the dependencies as metrics, so that alerts see what `/ready` says."""
        up = metrics.DEPENDENCY_UP
        up.labels(self.name, "nats").set(int(self.bus.connected))
        up.labels(self.name, "postgres").set(int(await self._database_failure() is None))
        unready = await self.unready()
        metrics.READY.labels(self.name).set(int(not unready))
        degraded = [] if unready else [*await self.degraded(), *self.disk_failures()]
        metrics.DEGRADED.labels(self.name).set(int(bool(degraded)))
        if self.bus.connected:
            await self.bus.look_at_streams()
            condition = Condition.UNREADY if unready else Condition.DEGRADED
            condition = condition if unready or degraded else Condition.READY
            # The heartbeat service judges no run while it receives no signal of a gateway: pings may not get through.
            # Gateways tell people how every service is (services/gateway/health).
            await self._say(condition, unready or degraded)

    def disk_failures(self) -> list[str]:
        """What is wrong with PostgreSQL's disk for this service, one sentence each."""
        return ["PostgreSQL's disk is full"] if self.database.disk_was_full() else []

    async def _say(self, condition: Condition, reasons: list[str]) -> None:
        changed = condition is not self._alive.condition or self._alive.since is None
        since = self.clock() if changed else self._alive.since
        said = {"condition": condition, "reasons": reasons[:_REASONS], "since": since}
        self._alive = self._alive.model_copy(update=said)
        body = self._alive.model_dump_json().encode()
        await self.bus.signal(subjects.SIG_SERVICE_ALIVE.at(service=self.name), body)


async def serve_until_signal(service: Service) -> None:
    """Start, wait for SIGTERM or SIGINT, stop."""
    stop = asyncio.Event()
    running = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, stop.set)
    await service.start()
    try:
        await stop.wait()
    finally:
        await service.stop()


def collect_less_often() -> None:
    """Let the cyclic garbage collector run much less often: it took a fifth of the ledger's CPU.

    Requests and rows are freed by their reference counts; cycles are rare here and can wait. Called once in a process.
    """
    gc.set_threshold(50_000, 20, 50)


def run(service: Callable[[], Service], *, json_logs: bool) -> None:
    """Run one service as this process, on uvloop."""
    import uvloop  # noqa: PLC0415 - only the process that runs a service needs it

    log.configure(json=json_logs)
    collect_less_often()

    async def main() -> None:
        await serve_until_signal(made)

    try:
        made = service()
        uvloop.run(main())
    except ValidationError as error:
        sys.stderr.write(f"headwater: {sentence_of(error)}\n")
        raise SystemExit(1) from None
    except NotProvisionedError as error:
        sys.stderr.write(f"headwater: {made.name} cannot start: {error}.\n")
        raise SystemExit(1) from None
    except (
        OSError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        nats.errors.Error,
    ) as error:
        sys.stderr.write(
            f"headwater: {made.name} cannot start: {error or type(error).__name__}. Do PostgreSQL and NATS answer at"
            " HEADWATER_POSTGRES_URL and HEADWATER_NATS_URL?\n"
        )
        raise SystemExit(1) from None
