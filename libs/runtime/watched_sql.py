"""Connections that report when their server may no longer be the primary, so that their pool renews itself.

A full disk is remembered, too: it can be read, so nothing else would tell.

Two events make a server doubtful: it takes no writes (the primary was made a standby in place, and its connections live
on), or none within a command's time (it is frozen). The other connections of the pool lead to the same server.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

_DOUBTS = (asyncpg.ReadOnlySQLTransactionError, TimeoutError)
_METHODS = ("execute", "executemany", "fetch", "fetchval", "fetchrow", "copy_records_to_table")


def watched_connection(
    base: "type[asyncpg.Connection[asyncpg.Record]]",
    doubt: Callable[[], Awaitable[None]],
    full: Callable[[], None] = lambda: None,
) -> "type[asyncpg.Connection[asyncpg.Record]]":
    """A connection class like `base` that calls `doubt` before it raises one of the two, and `full` for a full disk."""

    def watched(method: str) -> Callable[..., Awaitable[Any]]:
        plain = getattr(base, method)

        async def statement(self: Any, *args: Any, **options: Any) -> Any:
            try:
                return await plain(self, *args, **options)
            except _DOUBTS:
                await doubt()
                raise
            except asyncpg.DiskFullError:
                full()
                raise

        return statement

    return type("WatchedConnection", (base,), {m: watched(m) for m in _METHODS})
