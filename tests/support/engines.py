"""Real engines for tests: one PostgreSQL for the session, a fresh database and a fresh nats-server for each module.

`HEADWATER_TEST_POSTGRES_URL` (an owner that may create databases and roles) and `HEADWATER_TEST_NATS_URL` name servers
to use instead of the embedded ones. They must be the tests' own: roles get new passwords, streams are deleted.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import nats
import orjson

from deploy.engines import FOR_TESTS, DataFolder, EmbeddedEngines
from deploy.engines.supervisor import Supervisor
from deploy.migrate import migrate, role_url, with_database
from deploy.provision import provision
from libs.schema import OWNERS

PASSWORDS = {role: f"test-{role}" for role in (*OWNERS, "reader")}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPostgres:
    """A PostgreSQL with a migrated database to copy. `supervisor` is None if it is not ours to kill."""

    __test__ = False

    owner_url: str
    template: str
    supervisor: Supervisor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A migrated database that no other test module uses."""

    owner_url: str
    admin_pool: "asyncpg.Pool[asyncpg.Record]"
    postgres: Supervisor | None

    def postgres_url(self, role: str) -> str:
        """The URL of a service's role ("runs", "reader", ...) or of the "owner"."""
        if role == "owner":
            return self.owner_url
        return role_url(self.owner_url, role=role, password=PASSWORDS[role])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack(Database):
    """Such a database and provisioned streams."""

    nats_url: str
    nats: Supervisor | None


def make_folder() -> Path:
    """A new folder below the temporary one that the engines' account may enter too when root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="headwater-test-"))
    folder.chmod(0o711)
    return folder


@asynccontextmanager
async def data_folder() -> AsyncIterator[DataFolder]:
    """A claimed data folder that is gone afterwards."""
    path = make_folder()
    folder = DataFolder(path)
    folder.claim()
    try:
        yield folder
    finally:
        folder.release()
        shutil.rmtree(path, ignore_errors=True)


@asynccontextmanager
async def postgres_for_tests() -> AsyncIterator[TestPostgres]:
    """The session's PostgreSQL, with a migrated template."""
    external = os.environ.get("HEADWATER_TEST_POSTGRES_URL")
    if external:
        async with _with_template(external, supervisor=None) as found:
            yield found
        return
    async with data_folder() as folder:
        engines = EmbeddedEngines(folder, FOR_TESTS)
        await engines.postgres.start()
        try:
            url = engines.endpoints.postgres_url(database="postgres")
            async with _with_template(url, supervisor=engines.postgres) as found:
                yield found
        finally:
            await engines.postgres.stop()


@asynccontextmanager
async def _with_template(url: str, *, supervisor: Supervisor | None) -> AsyncIterator[TestPostgres]:
    template = f"headwater_template_{secrets.token_hex(4)}"
    await migrate(with_database(url, template), PASSWORDS)
    try:
        yield TestPostgres(owner_url=url, template=template, supervisor=supervisor)
    finally:
        await _drop(url, template)


@asynccontextmanager
async def nats_for_tests() -> AsyncIterator[tuple[str, Supervisor | None]]:
    """A nats-server without streams, and its URL."""
    external = os.environ.get("HEADWATER_TEST_NATS_URL")
    if external:
        await _delete_streams(external)
        yield external, None
        return
    async with data_folder() as folder:
        engines = EmbeddedEngines(folder, FOR_TESTS)
        await engines.nats.start()
        try:
            yield engines.endpoints.nats_url, engines.nats
        finally:
            await engines.nats.stop()


@asynccontextmanager
async def stack_on(postgres: TestPostgres) -> AsyncIterator[Stack]:
    """A fresh database from the template, and a fresh bus."""
    async with database_on(postgres) as database, nats_for_tests() as (nats_url, nats_supervisor):
        await provision(nats_url)
        yield Stack(
            owner_url=database.owner_url,
            nats_url=nats_url,
            admin_pool=database.admin_pool,
            postgres=database.postgres,
            nats=nats_supervisor,
        )


@asynccontextmanager
async def database_on(postgres: TestPostgres) -> AsyncIterator[Database]:
    """A fresh database from the template."""
    name = f"headwater_test_{secrets.token_hex(6)}"
    url = with_database(postgres.owner_url, name)
    owner = await asyncpg.connect(postgres.owner_url)
    try:
        await owner.execute(
            f"CREATE DATABASE {name} TEMPLATE {postgres.template} STRATEGY FILE_COPY"
        )
    finally:
        await owner.close()
    pool = await asyncpg.create_pool(url, min_size=1, max_size=4, init=json_as_values)
    try:
        yield Database(owner_url=url, admin_pool=pool, postgres=postgres.supervisor)
    finally:
        pool.terminate()
        await _drop(postgres.owner_url, name)


async def _drop(url: str, name: str) -> None:
    owner = await asyncpg.connect(url)
    try:
        await owner.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    finally:
        await owner.close()


async def json_as_values(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Let a pool's connections take and give JSON as Python values."""
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind,
            encoder=lambda value: orjson.dumps(value).decode(),
            decoder=orjson.loads,
            schema="pg_catalog",
        )


async def _delete_streams(url: str) -> None:
    client = await nats.connect(url)
    try:
        js = client.jetstream()
        for stream in await js.streams_info():
            await js.delete_stream(str(stream.config.name))
    finally:
        await client.close()
