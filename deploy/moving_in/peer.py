"""The peer's database, which is only read: every session is read-only, and one snapshot shows all tables."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast
from uuid import UUID

import asyncpg

from deploy.moving_in.revisions import UnknownPeerError, release_of
from deploy.moving_in.tables import FINISHED, Moved

_IN_MEMORY = 64 << 20
"""Bytes of a batch that may be in memory; more goes to a temporary file."""

_SESSION = {"default_transaction_read_only": "on", "timezone": "UTC", "intervalstyle": "postgres"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One snapshot of the peer. `columns` are those of each of its tables."""

    connection: "asyncpg.Connection[asyncpg.Record]"
    release: str
    columns: dict[str, frozenset[str]]
    watermark: datetime
    """What was written after this may be missing in the snapshot: `now()` is when a transaction began."""

    async def read(self, table: Moved, where: str = "", *args: Any) -> BinaryIO:
        """The rows of the table in PostgreSQL's binary COPY format."""
        file = cast("BinaryIO", SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 - the caller closes it
        sql = f"SELECT {table.select(self.columns.get(table.name, frozenset()))} "
        if table.name in self.columns:
            sql += f"FROM public.{table.name} t {where}"
        else:
            sql, args = sql + "WHERE false", ()
        await self.connection.copy_from_query(sql, *args, output=file, format="binary")
        file.seek(0)
        return file

    async def read_of_runs(self, table: Moved, runs: Sequence[UUID]) -> BinaryIO:
        """The rows of these flow runs."""
        found = "= ANY($1::uuid[])"
        if table.run == "task_run_id":
            found = f"IN (SELECT id FROM public.task_run WHERE flow_run_id {found})"
        return await self.read(table, f"WHERE t.{table.run} {found}", list(runs))

    async def runs(self, *, finished: bool) -> BinaryIO:
        """Ids and times of creation of all runs that have finished, or of all others."""
        file = cast("BinaryIO", SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 - the caller closes it
        sql = f"""SELECT id::uuid, created::timestamptz FROM public.flow_run
            WHERE {"" if finished else "NOT "}coalesce(state = ANY($1::text[]), false)"""
        await self.connection.copy_from_query(sql, list(FINISHED), output=file, format="binary")
        file.seek(0)
        return file

    async def changed_since(self, since: datetime) -> list[UUID]:
        """The flow runs that have a row written since then."""
        rows = await self.connection.fetch(
            """
            SELECT id FROM public.flow_run WHERE updated >= $1
            UNION SELECT flow_run_id FROM public.task_run WHERE updated >= $1
            UNION SELECT flow_run_id FROM public.flow_run_state WHERE updated >= $1
            UNION SELECT r.flow_run_id FROM public.task_run_state h JOIN public.task_run r ON r.id = h.task_run_id
                WHERE h.updated >= $1
            UNION SELECT flow_run_id FROM public.log WHERE updated >= $1 AND flow_run_id IS NOT NULL
            """,
            since,
        )
        return [row["id"] for row in rows]

    async def repeated_keys(self) -> list[UUID]:
        """The runs whose (flow, idempotency key) a newer run has too; possible before 2021.04.27."""
        rows = await self.connection.fetch(
            """
            SELECT id FROM (
                SELECT id, row_number() OVER (PARTITION BY flow_id, idempotency_key ORDER BY created DESC, id DESC) AS n
                FROM public.flow_run WHERE idempotency_key IS NOT NULL
            ) keyed WHERE n > 1
            """
        )
        return [row["id"] for row in rows]


@asynccontextmanager
async def open_peer(url: str) -> AsyncIterator[Peer]:
    """A read-only snapshot of this database. Raises `UnknownPeerError` if it is no Prefect Server's."""
    connection = await asyncpg.connect(url, server_settings=_SESSION, timeout=30)
    try:
        watermark = await connection.fetchval(
            "SELECT least(min(xact_start), now()) FROM pg_stat_activity WHERE datname = current_database()"
        )
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            if await connection.fetchval("SELECT to_regclass('public.alembic_version')") is None:
                msg = "the database has no table alembic_version, so it is not a Prefect Server's"
                raise UnknownPeerError(msg)
            found = await connection.fetch("SELECT version_num FROM public.alembic_version")
            release = release_of([row["version_num"] for row in found])
            rows = await connection.fetch(
                """SELECT table_name::text AS name, array_agg(column_name::text) AS columns
                FROM information_schema.columns WHERE table_schema = 'public' GROUP BY 1"""
            )
            yield Peer(
                connection=connection,
                release=release,
                columns={row["name"]: frozenset(row["columns"]) for row in rows},
                watermark=watermark,
            )
    finally:
        await connection.close()
