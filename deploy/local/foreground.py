"""`run`: everything in order, until a signal, and back in the opposite order."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from deploy.engines import DURABLE, DataFolder, EmbeddedEngines, Endpoints, EngineError
from deploy.engines.folder import free_port
from deploy.local import record, services
from deploy.local.bus import GuardedBus
from deploy.local.settings import LocalSettings
from deploy.migrate import migrate
from deploy.nats_users import PROVISION
from deploy.provision import provision
from libs.contracts.services import SERVICES

Tell = Callable[[str], None]


async def run(settings: LocalSettings, *, processes: bool, tell: Tell) -> None:
    """Start, print the address, wait for SIGTERM or SIGINT, stop. Raises `EngineError` when it cannot start."""
    stop = _stop_at_signals(tell)
    folder = DataFolder(settings.data)
    folder.claim()
    try:
        record.clear(folder)
        port = _api_port(settings)
        imports = (lambda: None) if processes else services.import_all
        bus = GuardedBus.of(folder) if settings.keys_required else None
        async with _engines(folder, bus, tell, meanwhile=imports) as engines:
            surroundings = _surroundings(folder, engines, bus, settings, port)
            starting = asyncio.create_task(
                _start_services(folder, surroundings, processes=processes, tell=tell)
            )
            running = await _unless_stopped(starting, stop)
            if running is None:
                return
            try:
                url = f"http://{_shown(settings.host)}:{port}"
                record.write(
                    folder,
                    _record(engines, url, processes=processes, keys=settings.keys_required),
                )
                tell(f"Headwater is ready: {url}/graphql")
                if settings.keys_required:
                    tell(
                        f"API keys are on; the first is gateway.first_key in {folder.path}/secrets.json"
                    )
                await stop.wait()
            finally:
                record.clear(folder)
                await running.stop()
    finally:
        folder.release()
    tell("stopped")


@asynccontextmanager
async def _engines(
    folder: DataFolder, bus: GuardedBus | None, tell: Tell, *, meanwhile: Callable[[], None]
) -> AsyncIterator[EmbeddedEngines]:
    """The engines, running; `meanwhile` is done in a thread while they come up."""
    began = time.monotonic()
    engines = EmbeddedEngines(
        folder,
        DURABLE,
        nats_authorization=None if bus is None else bus.authorization,
        tell=tell,
    )
    importing = asyncio.create_task(asyncio.to_thread(meanwhile))
    try:
        await engines.start()
        tell(
            f"PostgreSQL on port {engines.postgres.port}, NATS on port {engines.nats.port} "
            f"({time.monotonic() - began:.1f} s)"
        )
        await importing
        yield engines
    finally:
        with suppress(Exception):  # report the failure of the start itself
            await importing
        await engines.stop()


def _surroundings(
    folder: DataFolder,
    engines: EmbeddedEngines,
    bus: GuardedBus | None,
    settings: LocalSettings,
    port: int,
) -> services.Surroundings:
    return services.Surroundings(
        endpoints=engines.endpoints,
        bus=bus,
        passwords=_passwords(folder),
        host=settings.host,
        port=port,
        health_port=settings.health_port,
        keys=_keys(folder, required=settings.keys_required),
        data_folder=folder.path,
    )


async def _start_services(
    folder: DataFolder, surroundings: services.Surroundings, *, processes: bool, tell: Tell
) -> services.InProcess | services.Processes:
    migrated, _ = await asyncio.gather(
        migrate(surroundings.endpoints.postgres_url(), surroundings.passwords),
        provision(surroundings.nats_url_of(PROVISION)),
    )
    tell("database migrated" if migrated else "database at the present schema")
    began = time.monotonic()
    running = (
        services.Processes(surroundings, folder) if processes else services.InProcess(surroundings)
    )
    await running.start()
    if surroundings.bus is not None:
        tell(
            f"API keys are required; the first one is gateway.first_key in {folder.path}/secrets.json"
        )
    tell(f"{len(SERVICES)} services started ({time.monotonic() - began:.1f} s)")
    return running


async def _unless_stopped(
    starting: "asyncio.Task[services.InProcess | services.Processes]", stop: asyncio.Event
) -> services.InProcess | services.Processes | None:
    """The started parts; None if a signal came first, with everything stopped again."""
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            return starting.result()
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        return None
    finally:
        stopped.cancel()


def _stop_at_signals(tell: Tell) -> asyncio.Event:
    """An event that SIGTERM and SIGINT set; a second signal ends the process, and then the kernel ends the engines."""
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(1)
        tell("stopping (once more to stop at once)")
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return stop


def _api_port(settings: LocalSettings) -> int:
    """The API's port, which must be free now: checked before anything is started."""
    if settings.port == 0:
        return free_port()
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
            probe.listen()
        except PermissionError:
            msg = f"This account may not listen on port {settings.port}; set HEADWATER_PORT to one above 1023."
            raise EngineError(msg) from None
        except socket.gaierror:
            msg = f"HEADWATER_HOST is {settings.host}, which is no address of this machine; set it to 127.0.0.1."
            raise EngineError(msg) from None
        except OSError as error:
            msg = (
                f"Port {settings.port} on {settings.host} cannot be used ({error.strerror}); "
                "stop the program that uses it or set HEADWATER_PORT to a free port."
            )
            raise EngineError(msg) from None
    return settings.port


def _passwords(folder: DataFolder) -> dict[str, str]:
    from libs.schema import OWNERS  # noqa: PLC0415 - imports every table; by now the services have

    return {role: folder.secret(f"postgres.{role}") for role in (*OWNERS, "reader")}


def _keys(folder: DataFolder, *, required: bool) -> dict[str, str]:
    """The gateway's settings of API keys; the first key is made here and stays in the folder's secrets."""
    pepper = {"key_pepper": folder.secret("gateway.key_pepper")}
    if not required:
        return pepper | {"auth": "off"}
    return pepper | {"auth": "required", "bootstrap_key": folder.secret("gateway.first_key")}


def _record(engines: EmbeddedEngines, url: str, *, processes: bool, keys: bool) -> record.Record:
    found: Endpoints = engines.endpoints
    return record.Record(
        pid=os.getpid(),
        url=url,
        home=str(engines.home),
        postgres_port=found.postgres_port,
        nats_port=engines.nats.port,
        processes=processes,
        keys_required=keys,
    )


def _shown(host: str) -> str:
    """An address that a browser on this machine can open."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
