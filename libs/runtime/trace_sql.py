"""Spans around SQL statements: a connection class for asyncpg's pools, used only when traces are on."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any

import asyncpg

from libs.runtime import trace
from libs.runtime.trace import Tracing

_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE|JOIN)\s+"?([a-z_]+)"?\."?([a-z_]+)', re.IGNORECASE)
_WORD = re.compile(r"^(?:\s|--[^\n]*\n)*([A-Za-z]+)")


@lru_cache(maxsize=2000)
def name_of(sql: str) -> str:
    """The name of a statement without a file: its verb and first table. Never a value."""
    word = _WORD.match(sql)
    table = _TABLE.search(sql)
    verb = word[1].upper() if word else "SQL"
    return f"{verb} {table[1]}.{table[2]}" if table else verb


@lru_cache(maxsize=2000)
def _attributes(sql: str) -> dict[str, str]:
    digest = hashlib.sha256(sql.encode()).hexdigest()[:16]
    return {"db.system.name": "postgresql", "db.query.hash": digest}


def traced_connection(
    tracing: Tracing, names: Mapping[str, str]
) -> "type[asyncpg.Connection[asyncpg.Record]]":
    """A connection whose statements are spans when they belong to a trace.

    `names` gives a statement's text the name of its file. Statements of loops are not traced: a poll every second would
    hide everything else.
    """

    def traced(method: str) -> Callable[..., Awaitable[Any]]:
        plain = getattr(asyncpg.Connection, method)
        copies = method == "copy_records_to_table"

        async def statement(self: Any, sql: str, *args: Any, **options: Any) -> Any:
            if trace.current() is None:
                return await plain(self, sql, *args, **options)
            name = names.get(sql) or name_of(sql)
            if copies:  # for COPY the first argument is the table
                name = f"COPY {options.get('schema_name', 'public')}.{sql}"
            with tracing.span(name, "client", attributes=_attributes(sql)):
                return await plain(self, sql, *args, **options)

        return statement

    methods = ("execute", "executemany", "fetch", "fetchval", "fetchrow", "copy_records_to_table")
    return type("TracedConnection", (asyncpg.Connection,), {m: traced(m) for m in methods})
