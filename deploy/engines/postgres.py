"""PostgreSQL: its store, its command, its readiness."""

import asyncio
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.engines.account import Account
from deploy.engines.errors import EngineError, explain_os_error, last_words
from deploy.engines.folder import write_private
from deploy.engines.programs import POSTGRES_MAJOR
from deploy.engines.spawn import postmaster_pid, spawn

SUPERUSER = "headwater"
"""Owns the database and its objects; services log in with roles of their own (`deploy.migrate`)."""

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",  # all services by pool, a second copy of each, and people
    "superuser_reserved_connections": "3",
    "shared_buffers": "128MB",
    "max_locks_per_transaction": "256",  # a query over years of partitions locks each of them
    "jit": "off",  # costs more than our short statements take
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %q%u ",
    "random_page_cost": "1.1",
    # Group commit: few, large transactions. Wide-apart checkpoints keep full-page images rare.
    "synchronous_commit": "on",
    "wal_buffers": "16MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "autovacuum_naptime": "15s",  # runs are updated in place; their dead rows must not accumulate
    "cluster_name": "headwater",
}
_UNSAFE_AND_FAST = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
"""For data of tests."""

_SOCKET_PATH_LIMIT = 100
"""Bytes; the kernel's limit for a socket's path is 104 (macOS) or 108 (Linux)."""


@dataclass(slots=True, kw_only=True)
class Postgres:
    """A `program.Program`."""

    binaries: Path
    store: Path
    account: Account | None
    password: str
    durable: bool
    log: Path
    name: str = "postgres"
    # Fast shutdown: orderly, without waiting for clients.
    death_signal: signal.Signals = signal.SIGINT
    stop_signals: tuple[tuple[signal.Signals, float], ...] = (
        (signal.SIGINT, 10.0),
        (signal.SIGQUIT, 4.0),
        (signal.SIGKILL, 2.0),
    )

    async def prepare(self) -> None:
        """Run initdb unless there is a store; an incomplete one of an interrupted start is removed first."""
        version = self.store / "PG_VERSION"
        if version.exists():
            self._check_version(version.read_text().strip())
            self._take_over()
            return
        fresh = self.store.with_name(self.store.name + ".new")
        password_file = self.store.with_name("password")
        try:
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o700)
            if self._initdb_as is not None:
                self._initdb_as.take(fresh)
        except OSError as error:
            raise explain_os_error(error, path=fresh, wanted="create") from None
        write_private(password_file, self.password, owner=self._initdb_as)
        try:
            await self._initdb(fresh, password_file)
        finally:
            password_file.unlink(missing_ok=True)
        if self.account is not None:
            self.account.take(fresh)
        fresh.rename(self.store)

    def before_start(self, port: int) -> None:
        """Remove the lock file if its pid now belongs to another program: PostgreSQL would take that for itself.

        Only if no process of the old one runs: it would write to the store that the new one recovers.
        """
        pid = postmaster_pid(self.store)
        if pid is not None and psutil.pid_exists(pid) and not self._is_in_use():
            (self.store / "postmaster.pid").unlink(missing_ok=True)
        socket_folder = self.socket_folder
        if socket_folder is not None and not socket_folder.exists():
            socket_folder.mkdir(mode=0o700)
            if self.account is not None:
                os.chown(socket_folder, self.account.uid, self.account.gid)

    def command(self, port: int) -> list[str]:
        """The postmaster with all settings on its command line, so that no settings file of an older version counts."""
        settings = {
            **_SETTINGS,
            **({} if self.durable else _UNSAFE_AND_FAST),
            "port": str(port),
            "unix_socket_directories": str(self.socket_folder or ""),
        }
        pairs = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.binaries / "postgres"), "-D", str(self.store), *pairs]

    async def is_ready(self, port: int, pid: int) -> bool:
        """PostgreSQL writes its state to its lock file."""
        try:
            lines = (self.store / "postmaster.pid").read_text().splitlines()
            served_by = int(lines[0])
            return lines[7].strip() == "ready" and (
                served_by == pid or psutil.Process(served_by).ppid() == pid
            )
        except (OSError, IndexError, ValueError, psutil.Error):
            return False

    @property
    def socket_folder(self) -> Path | None:
        """The path of its socket; none if it is too long."""
        folder = self.store.with_name("run")
        return folder if len(os.fsencode(folder / ".s.PGSQL.65535")) <= _SOCKET_PATH_LIMIT else None

    @property
    def _initdb_as(self) -> Account | None:
        return None if self.account is None else self.account.for_initdb

    def _take_over(self) -> None:
        """Files that an older Headwater's engines made as `nobody` get the new owner."""
        if self.account is None or self.account.owns(self.store):
            return
        folder = self.socket_folder
        if folder is not None and folder.exists():
            self.account.take(folder)
        self.account.take(self.store)

    def _check_version(self, found: str) -> None:
        if found != POSTGRES_MAJOR:
            msg = (
                f"The data in {self.store} is of PostgreSQL {found} and this Headwater brings {POSTGRES_MAJOR}; "
                "set HEADWATER_DATA to a new folder, or dump it with the older version and load it into the new one."
            )
            raise EngineError(msg)

    def _is_in_use(self) -> bool:
        return any(
            process.info["name"] == "postgres" and process.info["cwd"] == str(self.store)
            for process in psutil.process_iter(["name", "cwd"])
        )

    async def _initdb(self, fresh: Path, password_file: Path) -> None:
        command = [
            str(self.binaries / "initdb"),
            *("--pgdata", str(fresh), "--username", SUPERUSER, "--pwfile", str(password_file)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8"),
            # Byte order and full Unicode case mapping, the same on every machine and version of the C library.
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
            *(() if self.durable else ("--no-sync",)),
        ]
        process = await spawn(
            command, account=self._initdb_as, death_signal=signal.SIGKILL, cwd=fresh, log=self.log
        )
        async with asyncio.timeout(120):
            code = await process.wait()
        if code != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            said = last_words(self.log)
            msg = f"PostgreSQL could not create its store in {self.store}: {said} (more in {self.log})."
            raise EngineError(msg)
