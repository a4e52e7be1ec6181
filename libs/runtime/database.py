"""PostgreSQL through asyncpg: one pool per service and role, SQL in files, one transaction per message.

Stores never commit: the caller opens `Database.transaction()`. Statements are in files.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from libs.runtime import exact_json, postgres_hosts
from libs.runtime.trace import Tracing
from libs.runtime.watched_sql import watched_connection

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:  # the class is generic for type checkers only
    Connection = asyncpg.pool.PoolConnectionProxy


_PROBE_LIMIT = 3.0  # seconds
_FULL_FOR = 60.0  # seconds after the last refusal for a full disk
_FAREWELL = 5.0  # seconds in which a pool must close; its users have ended before
JSONB_VERSION = b"\x01"  # what PostgreSQL puts before the text when it sends jsonb in binary


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Give every connection the JSON codec: jsonb parameters and results are Python values.

    In the binary format, the only one that COPY takes.
    """
    await connection.set_type_codec(
        "jsonb",
        encoder=lambda value: JSONB_VERSION + exact_json.dumps(value),
        decoder=lambda raw: exact_json.loads(raw[len(JSONB_VERSION) :]),
        schema="pg_catalog",
        format="binary",
    )
    await connection.set_type_codec(
        "json",
        encoder=exact_json.dumps,
        decoder=exact_json.loads,
        schema="pg_catalog",
        format="binary",
    )


async def _leave_as_is(connection: object) -> None:
    """Nothing to clean up when a connection goes back to the pool: no code here sets session state.

    asyncpg rolls back what is open in any case; its own clean-up statement would be one more round trip for each
    transaction, on the hot path one in five.
    """


def _connection_class(tracing: Tracing | None) -> "type[asyncpg.Connection[asyncpg.Record]]":
    """asyncpg's own connections, or traced ones when traces are on."""
    if tracing is None:
        return asyncpg.Connection
    from libs.runtime.trace_sql import traced_connection  # noqa: PLC0415 - only when on

    return traced_connection(tracing, names)


async def open_pool(
    url: str, *, tracing: Tracing | None, full: Callable[[], None] = lambda: None, **options: Any
) -> "asyncpg.Pool[asyncpg.Record]":
    """A pool on one or several hosts. It renews its connections when their server is no longer the primary.

    `options` are those of `asyncpg.create_pool`; `full` is called when the disk is full. Raises what asyncpg raises
    when PostgreSQL is not there.
    """

    async def expire() -> None:
        # Connections in use go on; idle ones are replaced at their next use.
        await pool.expire_connections()

    # Any: the stubs know no function but asyncpg's own.
    connect: Any = postgres_hosts.connect
    pool: asyncpg.Pool[asyncpg.Record] = asyncpg.create_pool(
        url,
        connect=connect,
        connection_class=watched_connection(_connection_class(tracing), expire, full),
        **options,
    )
    await pool
    return pool


class Database:
    """A pool that is opened once and survives restarts and failovers of PostgreSQL: dead connections are replaced."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int,
        name: str,
        tracing: Tracing | None = None,
        session: Mapping[str, str] | None = None,
    ) -> None:
        self._url = url
        self._pool_size = pool_size
        self._name = name
        self._tracing = tracing
        self._session = session or {}
        self._full = self._disk_is_full
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._probe: asyncio.Task[Any] | None = None
        self._full_at: float | None = None

    def another(self, name: str, *, pool_size: int, session: Mapping[str, str]) -> "Database":
        """A second pool with the same role on the same server, whose connections have these settings of PostgreSQL."""
        other = Database(
            self._url, pool_size=pool_size, name=name, tracing=self._tracing, session=session
        )
        # They share the disk, and one of them is asked about it.
        other._full = self._full
        return other

    async def connect(self) -> None:
        """Open the pool; raises what asyncpg raises when PostgreSQL is not there."""
        self._pool = await open_pool(
            self._url,
            tracing=self._tracing,
            full=self._full,
            min_size=1,
            max_size=self._pool_size,
            init=self._prepare,
            reset=_leave_as_is,
            command_timeout=30,
            server_settings={"application_name": f"headwater-{self._name}", "timezone": "UTC"},
        )

    async def _prepare(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        await _prepare(connection)
        # Not as start-up parameters, which a pooler between us and PostgreSQL may refuse.
        for name, value in self._session.items():
            await connection.execute("SELECT set_config($1, $2, false)", name, value)

    async def close(self) -> None:
        """Close the pool after the transactions in flight; a server that hangs is abandoned after a few seconds."""
        if self._probe is not None:
            self._probe.cancel()  # one that hangs all the same ends with its connection
        if self._pool is not None:
            # Cancelled or failed, asyncpg drops the connections that are still open.
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                async with asyncio.timeout(_FAREWELL):
                    await self._pool.close()
            self._pool = None

    @property
    def pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        """The pool, for reads that need no transaction."""
        if self._pool is None:
            msg = f"the database of {self._name} is not connected"
            raise RuntimeError(msg)
        return self._pool

    def disk_was_full(self) -> bool:
        """Whether PostgreSQL refused a write of ours for a full disk in the last minute; `ping` only reads."""
        now = asyncio.get_running_loop().time()
        return self._full_at is not None and now - self._full_at < _FULL_FOR

    def _disk_is_full(self) -> None:
        self._full_at = asyncio.get_running_loop().time()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction on one connection; commits at the end, rolls back on any exception.

        A caller may cancel a BEGIN that takes too long: the connection is closed, not given to the next caller.
        """
        async with self.pool.acquire() as connection, AsyncExitStack() as transaction:
            try:
                await transaction.enter_async_context(connection.transaction())
            except BaseException:
                # asyncpg would wait for the server's reply to BEGIN, which may never come, before it releases the
                # connection.
                # A lost connection is back in the pool already
                with suppress(asyncpg.InterfaceError):
                    connection.terminate()
                raise
            yield connection

    async def ping(self) -> None:
        """Raise unless PostgreSQL answers within a few seconds. Works with every kind of hang.

        The probe is a task of its own, and is abandoned: with a server that hangs, asyncpg would not cancel it, nor
        give us a connection while all wait for replies.
        """
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self.pool.fetchval("SELECT 1", timeout=2))
            self._probe.add_done_callback(_look_at)
        answered, _ = await asyncio.wait({self._probe}, timeout=_PROBE_LIMIT)
        if not answered:
            raise TimeoutError
        await self._probe


def _look_at(probe: "asyncio.Task[Any]") -> None:
    """asyncio would log the failure of an abandoned probe with its stack: one every few seconds."""
    if not probe.cancelled():
        probe.exception()


@cache
def statement(module_file: str, name: str) -> str:
    """The text of `queries/<name>.sql` beside the module: `statement(__file__, "claim")`."""
    folder = Path(module_file).parent
    text = (folder / "queries" / f"{name}.sql").read_text()
    names[text] = f"{folder.name}/{name}"
    return text


names: dict[str, str] = {}
"""The statements in files by their text, so that a trace can call them by name."""
