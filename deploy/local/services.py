"""The services: how each is configured here, and how they are run together or one process each."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from signal import Signals
from typing import Any, Protocol, cast

import structlog
from pydantic import ValidationError

from deploy.engines import DataFolder, Endpoints, EngineError
from deploy.engines.pauses import Pauses
from deploy.engines.spawn import spawn
from deploy.local.bus import GuardedBus
from deploy.migrate import role_url
from deploy.say import sentence
from libs.contracts.services import SERVICES, START_ORDER

_STOP_WITHIN = 12.0  # seconds for all services together; engines and the rest keep it under 20
_ANSWER_WITHIN = 60.0  # seconds for the start of a service's process

log = structlog.get_logger(service="local")


class _Service(Protocol):
    """The needed part of `libs.runtime.service.Service`, without importing it before the engines have been started."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The configuration of the services."""

    endpoints: Endpoints
    bus: GuardedBus | None = None
    """The users of nats-server; None: all services are its one user."""
    passwords: Mapping[str, str]
    host: str
    port: int
    health_port: int | None = None
    """The port for health and metrics; None: on the gateway's public port."""
    keys: Mapping[str, Any]
    """The gateway's settings of API keys: auth, key_pepper, and bootstrap_key when keys are on."""
    data_folder: Path | None = None
    """Where the engines keep their data, whose disk is watched."""

    def settings_of(self, service: str) -> dict[str, Any]:
        """The settings of one service, by field name."""
        settings: dict[str, Any] = {
            "postgres_url": self._url(service),
            "nats_url": self.nats_url_of(service),
            "drain_timeout": timedelta(seconds=_STOP_WITHIN - 2),
            "health_port": None,
        }
        if service == "gateway":
            settings |= {
                "reader_postgres_url": self._url("reader"),
                "host": self.host,
                "port": self.port,
                "health_port": self.health_port,  # the one registry of this process has them all
                "watched_folder": None if self.data_folder is None else str(self.data_folder),
                **self.keys,
            }
            # A user's own one is for agents that come from elsewhere.
            if not os.environ.get("HEADWATER_NATS_PUBLIC_URL"):
                settings["nats_public_url"] = f"nats://127.0.0.1:{self.endpoints.nats_port}"
            if self.bus is not None:
                settings["nats_issuer_seed"] = self.bus.issuer_seed
        return settings

    def nats_url_of(self, user: str) -> str:
        """Where this user of nats-server finds it."""
        if self.bus is None:
            return self.endpoints.nats_url
        return self.endpoints.nats_url_of(user, self.bus.passwords[user])

    def settings_of_process(self, service: str) -> dict[str, Any]:
        """The settings of one service in a process of its own, which has health and metrics of its own."""
        settings = self.settings_of(service)
        if self.health_port is not None:
            settings["health_port"] = self.health_port + SERVICES.index(service)
        return settings

    def _url(self, role: str) -> str:
        return role_url(
            self.endpoints.postgres_socket_url(), role=role, password=self.passwords[role]
        )


def import_all() -> None:
    """Import every service; takes most of a start, so it is done while the engines come up."""
    for name in START_ORDER:
        try:
            import_module(f"services.{name}.app")
        except ModuleNotFoundError as error:
            msg = f"The package {error.name} is not installed; run `make setup`."
            raise EngineError(msg) from error


@dataclass(slots=True)
class InProcess:
    """All services in this process, on its event loop."""

    surroundings: Surroundings
    _running: dict[str, _Service] = field(default_factory=dict)

    async def start(self) -> None:
        """Start all except the gateway together, then the gateway; if one cannot start, none is left running."""
        from libs.runtime.service import collect_less_often  # noqa: PLC0415 - imported while the engines start

        collect_less_often()
        try:
            outcomes = await asyncio.gather(
                *(self._start(name) for name in START_ORDER if name != "gateway"),
                return_exceptions=True,
            )
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
            await self._start("gateway")
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Drain the gateway, then the rest together."""
        gateway = self._running.pop("gateway", None)
        rest = list(self._running.values())
        self._running.clear()
        try:
            async with asyncio.timeout(_STOP_WITHIN):
                if gateway is not None:
                    await gateway.stop()
                outcomes = await asyncio.gather(
                    *(service.stop() for service in rest), return_exceptions=True
                )
        except TimeoutError:
            log.warning("services_did_not_drain", within=_STOP_WITHIN)
            return
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                log.error("service_stop_failed", error=repr(outcome))

    async def _start(self, name: str) -> None:
        app = import_module(f"services.{name}.app")
        of_service = getattr(import_module(f"services.{name}.settings"), _settings_class(name))
        try:
            service = cast("_Service", app.build(of_service(**self.surroundings.settings_of(name))))
            self._running[name] = service
            await service.start()
        except ValidationError as error:
            # Its own text would show all values, with passwords and the pepper.
            raise EngineError(sentence(error)) from None
        except Exception as error:
            log.exception("service_did_not_start", name=name)
            msg = f"The service {name} could not start ({type(error).__name__}: {error}); the log has more."
            raise EngineError(msg) from error


@dataclass(slots=True)
class Processes:
    """One process for each service, restarted when it ends."""

    surroundings: Surroundings
    folder: DataFolder
    _processes: dict[str, Process] = field(default_factory=dict)
    _keepers: list["asyncio.Task[None]"] = field(default_factory=list)

    async def start(self) -> None:
        """Start all; returns when the gateway listens. Raises with the name of a service that ends before that."""
        try:
            for name in START_ORDER:
                await self._start(name)
            await self._until_gateway_listens()
        except BaseException:
            await self.stop()
            raise
        self._keepers = [
            asyncio.create_task(self._keep(name), name=f"keep-{name}") for name in START_ORDER
        ]

    async def stop(self) -> None:
        """SIGTERM to all, so that they drain; SIGKILL to the remaining ones in the end."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for number in (Signals.SIGTERM, Signals.SIGKILL):
            alive = [p for p in self._processes.values() if p.returncode is None]
            for process in alive:
                with suppress(ProcessLookupError):
                    process.send_signal(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_WITHIN):
                    await asyncio.gather(*(process.wait() for process in alive))

    async def _start(self, name: str) -> None:
        self.folder.turn_over_log(name)
        self._processes[name] = await spawn(
            [sys.executable, "-m", f"services.{name}"],
            account=None,
            death_signal=Signals.SIGTERM,
            cwd=Path(__file__).parents[2],
            log=self.folder.log(name),
            environment=_environment(self.surroundings.settings_of_process(name)),
        )

    async def _keep(self, name: str) -> None:
        """Start the service again whenever it ends. Ends only by cancellation."""
        pauses = Pauses()
        now = asyncio.get_running_loop().time
        process: Process | None = self._processes[name]
        while True:
            if process is None:
                pause = pauses.after(0.0)
            else:
                started = now()
                code = await process.wait()
                pause = pauses.after(now() - started)
                log.error(
                    "service_crashed",
                    name=name,
                    exit_code=code,
                    pause=pause,
                    log=str(self.folder.log(name)),
                )
            await asyncio.sleep(pause)
            process = await self._start_again(name)

    async def _start_again(self, name: str) -> Process | None:
        """The new process; None when it cannot be started, for example because disk, memory or process table is
        full."""
        try:
            await self._start(name)
        except (EngineError, OSError) as error:
            log.error("service_restart_failed", name=name, reason=str(error))
            return None
        return self._processes[name]

    async def _until_gateway_listens(self) -> None:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                while not await listens(self.surroundings.host, self.surroundings.port):
                    for name, process in self._processes.items():
                        if process.returncode is not None:
                            raise self._crash(name, process.returncode)
                    await asyncio.sleep(0.1)
        except TimeoutError:
            msg = f"The gateway did not listen within {_ANSWER_WITHIN:.0f} s; see {self.folder.log('gateway')}."
            raise EngineError(msg) from None

    def _crash(self, name: str, code: int) -> EngineError:
        return EngineError(
            f"The service {name} ended with exit code {code} while it started; the reason is at the end of "
            f"{self.folder.log(name)}."
        )


async def listens(host: str, port: int) -> bool:
    """Whether a server accepts connections there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


def _settings_class(service: str) -> str:
    return f"{service.capitalize()}Settings"


def _environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """The user's settings for services, overridden by ours."""
    given = {k: v for k, v in os.environ.items() if k.startswith(("HEADWATER_", "OTEL_"))}
    given.pop("HEADWATER_HEALTH_PORT", None)
    return given | {
        f"HEADWATER_{key.upper()}": _as_variable(value)
        for key, value in settings.items()
        if value is not None
    }


def _as_variable(value: object) -> str:
    match value:
        case timedelta():
            return f"PT{value.total_seconds()}S"  # ISO 8601, as pydantic reads it
        case str():
            return value
        case _:
            return json.dumps(value)
