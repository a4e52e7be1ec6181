"""Several PostgreSQL hosts for a test: a primary with a streaming standby, and a host that never answers."""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from deploy.engines import FOR_TESTS, EmbeddedEngines
from deploy.engines.folder import free_port
from deploy.engines.postgres import Postgres
from deploy.engines.spawn import spawn
from tests.support.engines import data_folder
from tests.support.eventually import eventually

START_WITHIN = 60.0  # seconds; the machine may be busy


@dataclass(slots=True)
class Host:
    """A PostgreSQL process on a store that is there already."""

    program: Postgres
    port: int
    owner_url: str
    _process: Process | None = field(default=None)

    @property
    def place(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The postmaster, if it runs."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start it; returns when it takes connections, standby or not."""
        self.program.before_start(self.port)
        self._process = await spawn(
            self.program.command(self.port),
            account=self.program.account,
            death_signal=self.program.death_signal,
            cwd=self.program.store,
            log=self.program.log,
        )
        await eventually(self._answers, timeout=START_WITHIN)

    async def stop(self) -> None:
        """End it at once, also if it is frozen."""
        if self._process is None or self._process.returncode is not None:
            return
        for number in (signal.SIGCONT, signal.SIGQUIT):
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
        try:
            async with asyncio.timeout(START_WITHIN):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def execute(self, sql: str) -> object:
        """A statement as the owner; its value."""
        connection = await asyncpg.connect(self.owner_url, timeout=START_WITHIN)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    async def _answers(self) -> bool:
        connection = await asyncpg.connect(self.owner_url, timeout=5)
        await connection.close()
        return True


@asynccontextmanager
async def primary() -> AsyncIterator[Host]:
    """A fresh PostgreSQL with its database `postgres`."""
    async with data_folder() as folder:
        engines = EmbeddedEngines(folder, FOR_TESTS)
        program = engines.postgres.program
        assert isinstance(program, Postgres)
        await program.prepare()
        port = free_port()
        host = Host(program, port, at(engines.endpoints.postgres_url(database="postgres"), port))
        try:
            await host.start()
            yield host
        finally:
            await host.stop()


@asynccontextmanager
async def standby_of(leader: Host) -> AsyncIterator[Host]:
    """A hot standby that streams from `leader`."""
    async with data_folder() as folder:
        program = EmbeddedEngines(folder, FOR_TESTS).postgres.program
        assert isinstance(program, Postgres)
        program.store.mkdir(mode=0o700)
        if program.account is not None:
            os.chown(program.store, program.account.uid, program.account.gid)
        copy = await spawn(
            [
                str(program.binaries / "pg_basebackup"),
                *("--pgdata", str(program.store), "--dbname", leader.owner_url),
                *("--write-recovery-conf", "--checkpoint", "fast", "--no-sync"),
            ],
            account=program.account,
            death_signal=signal.SIGKILL,
            cwd=program.store,
            log=program.log,
        )
        assert await copy.wait() == 0, program.log.read_text()
        port = free_port()
        host = Host(program, port, at(leader.owner_url, port))
        try:
            await host.start()
            yield host
        finally:
            await host.stop()


@asynccontextmanager
async def silent_host() -> AsyncIterator[str]:
    """host:port of a listener that accepts connections and never says a word."""
    held: list[asyncio.StreamWriter] = []

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in held:
            writer.transport.abort()


def at(url: str, *places: int | str) -> str:
    """The same user and database on these hosts; a number is a port of this machine."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    hosts = ",".join(f"127.0.0.1:{p}" if isinstance(p, int) else p for p in places)
    return urlunsplit(parts._replace(netloc=f"{user}@{hosts}"))
