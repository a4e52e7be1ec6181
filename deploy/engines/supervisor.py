"""Keep one engine running: start it, wait until it is ready, restart it when it dies, stop it gently.

stopped --start()--> starting --ready--> running --dies--> waiting (0, 0.2, 0.4 ... 5 s) --> starting
                        |                   |
                        +-----stop()--------+--> stopped
"""

import asyncio
from asyncio.subprocess import Process
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import structlog

from deploy.engines.errors import EngineError, last_words
from deploy.engines.folder import DataFolder, is_free
from deploy.engines.pauses import Pauses
from deploy.engines.program import Program
from deploy.engines.spawn import end_orphan, remember, spawn

_READY_WITHIN = 120.0  # seconds; recovery of a large WAL after a crash takes its time
_PORT_TRIES = 5
_POLL = 0.02  # seconds

log = structlog.get_logger(service="engines")


class State(StrEnum):
    """The phases of an engine."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"


class Supervisor:
    """One engine on one port."""

    def __init__(self, program: Program, folder: DataFolder) -> None:
        self.program = program
        self.state = State.STOPPED
        self.restarts = 0
        self.port = 0
        self._folder = folder
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The engine's process, if one runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the engine and return when it is ready; raises `EngineError` if it cannot be."""
        self._folder.turn_over_log(self.program.name)
        if end_orphan(self._pid_file, self.program.store, self.program.stop_signals):
            log.info("orphaned_engine_ended", engine=self.program.name)
        await self.program.prepare()
        self.port = self._folder.port(self.program.name)
        for attempt in range(_PORT_TRIES):
            try:
                await self._run()
            except EngineError:
                # Another program may have taken the port between our check and the engine's start.
                if attempt + 1 == _PORT_TRIES or is_free(self.port):
                    raise
                self.port = self._folder.port(self.program.name, not_this=self.port)
            else:
                break
        self._keeper = asyncio.create_task(self._keep(), name=f"keep-{self.program.name}")

    async def stop(self) -> None:
        """Stop the engine, gently first; returns when it has ended."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        await self._end()
        self._pid_file.unlink(missing_ok=True)
        self.state = State.STOPPED

    async def _keep(self) -> None:
        """Start the engine again whenever it ends. Ends only by cancellation."""
        pauses = Pauses()
        now = asyncio.get_running_loop().time
        while True:
            process = self._process
            if process is None:
                pause = pauses.after(0.0)
            else:
                started = now()
                code = await process.wait()
                pause = pauses.after(now() - started)
                log.error("engine_died", engine=self.program.name, exit_code=code, pause=pause)
            self.state = State.WAITING
            await asyncio.sleep(pause)
            try:
                await self._run()
            except (EngineError, OSError) as error:
                log.error("engine_restart_failed", engine=self.program.name, reason=str(error))
                self._process = None
            else:
                self.restarts += 1
                log.info("engine_restarted", engine=self.program.name, port=self.port)

    async def _run(self) -> None:
        """Start the process and wait until it accepts clients."""
        self.state = State.STARTING
        self.program.before_start(self.port)
        offset = self._log_size()
        self._process = await spawn(
            self.program.command(self.port),
            account=self.program.account,
            death_signal=self.program.death_signal,
            cwd=self.program.store,
            log=self._log,
        )
        remember(self._pid_file, self._process.pid)
        try:
            await self._until_ready(self._process, offset)
        except BaseException:
            await self._end()
            raise
        self.state = State.RUNNING

    async def _until_ready(self, process: Process, log_offset: int) -> None:
        deadline = asyncio.get_running_loop().time() + _READY_WITHIN
        while asyncio.get_running_loop().time() < deadline:
            if process.returncode is not None:
                raise self._failure(log_offset)
            if await self.program.is_ready(self.port, process.pid):
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _POLL)
        msg = f"{self.program.name} was not ready within {_READY_WITHIN:.0f} s; see {self._log}."
        raise EngineError(msg)

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        for number, patience in self.program.stop_signals:
            if process.returncode is not None:
                break
            with suppress(ProcessLookupError):
                process.send_signal(number)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), patience)

    def _failure(self, log_offset: int) -> EngineError:
        """The sentence for an engine that ended before it was ready, from the end of its log."""
        said = self._log.read_bytes()[log_offset:].decode(errors="replace")
        if "No space left on device" in said:
            return EngineError(
                f"The disk that holds {self.program.store} is full; free some space and start again."
            )
        if "ddress already in use" in said:
            return EngineError(
                f"Port {self.port}, which {self.program.name} is to use, has been taken by another program; "
                "stop that program or start again."
            )
        words = last_words(self._log, since=log_offset)
        return EngineError(
            f"{self.program.name} did not start; it said: {words} (more in {self._log})."
        )

    @property
    def _log(self) -> Path:
        return self._folder.log(self.program.name)

    def _log_size(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0

    @property
    def _pid_file(self) -> Path:
        return self.program.store.with_name(f"{self.program.name}.pid")
