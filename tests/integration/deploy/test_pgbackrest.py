"""The runbook of production: pgBackRest brings Headwater's database back to a point in time (deploy/README.md).

Needs Debian's packages pgbackrest and postgresql-15, and root, which they are run without.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from deploy.migrate import migrate, role_url
from tests.support.engines import PASSWORDS, make_folder
from tests.support.eventually import eventually
from tests.support.ports import free_port

BINARIES = Path("/usr/lib/postgresql/15/bin")
WITHIN = 120.0  # seconds for one program
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("pgbackrest") is None or not BINARIES.exists(),
    reason="needs root and apt-get install pgbackrest postgresql-15",
)


_LATER = "SELECT clock_timestamp() > $1::timestamptz + interval '1 second'"


class Server:
    """A PostgreSQL of Debian whose WAL pgBackRest archives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/headwater"
        self.config = folder / "pgbackrest.conf"

    def run(self, *words: str) -> str:
        """Run a program as the user of PostgreSQL."""
        return subprocess.run(  # noqa: S603 - our own commands
            ["runuser", "-u", "postgres", "--", *words],  # noqa: S607 - the system's
            cwd=self.folder,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=WITHIN,
        ).stdout

    def backrest(self, *words: str) -> str:
        return self.run(
            "pgbackrest",
            f"--config={self.config}",
            "--stanza=headwater",
            "--log-level-file=off",
            *words,
        )

    def prepare(self) -> None:
        shutil.chown(self.folder, "postgres", "postgres")
        self.config.write_text(
            f"[global]\nrepo1-path={self.folder}/repo\nlock-path={self.folder}/lock\nstart-fast=y\n"
            f"spool-path={self.folder}/spool\nrepo1-retention-full=2\n\n[headwater]\npg1-path={self.data}\n"
            f"pg1-port={self.port}\npg1-socket-path={self.folder}\n"
        )
        self.run(
            str(BINARIES / "initdb"),
            "-D",
            str(self.data),
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--auth=trust",
        )
        push = f"pgbackrest --config={self.config} --stanza=headwater --log-level-file=off archive-push %p"
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(
                f"port={self.port}\nlisten_addresses='127.0.0.1'\nunix_socket_directories='{self.folder}'\n"
                f"archive_mode=on\narchive_command='{push}'\nmax_locks_per_transaction=256\n"
            )

    def control(self, verb: str) -> None:
        log = str(self.folder / "log")
        self.run(str(BINARIES / "pg_ctl"), "-D", str(self.data), "-l", log, "-w", "-t", "100", verb)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(make_folder())
    server.prepare()
    server.control("start")
    try:
        yield server
    finally:
        if (server.data / "postmaster.pid").exists():
            server.control("stop")
        shutil.rmtree(server.folder, ignore_errors=True)


@asynccontextmanager
async def connected(url: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(url, timeout=30)
    try:
        yield connection
    finally:
        await connection.close()


async def add_tenant(url: str, slug: str) -> None:
    async with connected(url) as owner:
        await owner.execute(
            "INSERT INTO gateway.tenant (id, name, slug) VALUES (gen_random_uuid(), $1, $1)", slug
        )


async def test_the_database_is_brought_back_to_a_point_in_time(server: Server) -> None:
    await migrate(server.url, PASSWORDS)
    await asyncio.to_thread(server.backrest, "stanza-create")
    await asyncio.to_thread(server.backrest, "check")
    await asyncio.to_thread(server.backrest, "backup", "--type=full")
    async with connected(server.url) as owner:
        backed_up = await owner.fetchval("SELECT clock_timestamp()")

        async def next_second() -> bool:
            # pgBackRest looks for a backup that ended before the second of the target.
            return bool(await owner.fetchval(_LATER, backed_up))

        await eventually(next_second)
        await add_tenant(server.url, "kept")
        target = await owner.fetchval("SELECT clock_timestamp()::text")
    await add_tenant(server.url, "since")

    await asyncio.to_thread(server.control, "stop")
    restore = ("--delta", "--type=time", f"--target={target}", "--target-action=promote", "restore")
    await asyncio.to_thread(server.backrest, *restore)
    await asyncio.to_thread(server.control, "start")
    async with connected(server.url) as owner:
        tenants = {row["slug"] for row in await owner.fetch("SELECT slug FROM gateway.tenant")}
    changed = await migrate(server.url, PASSWORDS)

    assert "kept" in tenants
    assert "since" not in tenants
    assert changed is False
    reader_url = role_url(server.url, role="reader", password=PASSWORDS["reader"])
    async with connected(reader_url) as reader:
        assert await reader.fetchval("SELECT count(*) FROM gateway.tenant") == len(tenants)
