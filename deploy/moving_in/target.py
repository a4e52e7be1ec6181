"""Headwater's database as its owner: bookkeeping, partitions, and the temporary tables where rows wait."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

import asyncpg

from deploy.moving_in.tables import REGISTRY, RUNS, Moved
from libs.runtime.database import statement

_HISTORIES = ("flow_run_state", "task_run_state", "log")


class MovingError(Exception):
    """It cannot be done; the text says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Headwater's database, held by one tool at a time."""

    connection: "asyncpg.Connection[asyncpg.Record]"

    async def put_registry(self, files: dict[str, BinaryIO]) -> None:
        """Put what belongs to no run, in one transaction; what is there already is brought up to date."""
        connection = self.connection
        async with connection.transaction():
            await self._stage(REGISTRY, files)
            await connection.execute("TRUNCATE numbered")
            await connection.execute(statement(__file__, "adopt_slugs"))
            for table in REGISTRY:
                if table.name == "flow_group":
                    await connection.execute(statement(__file__, "groups"))
                    await connection.execute(statement(__file__, "numbers"))
                if table.name == "agent":
                    await connection.execute(statement(__file__, "agents"))
                await connection.execute(table.insert())
                await self._name_those_left_out(table)
            await connection.execute(
                "INSERT INTO moving_in.tenant SELECT id FROM stage_tenant ON CONFLICT DO NOTHING"
            )

    async def put_runs(self, runs: Sequence[UUID], files: dict[str, BinaryIO]) -> None:
        """Put these runs with all that belongs to them, in one transaction with the note that it is done.

        What was put of them earlier is replaced, so a run that has changed at the peer is as it is there.
        """
        connection = self.connection
        async with connection.transaction():
            await self.remove(runs)
            await self._stage(RUNS, files)
            for table in RUNS:
                await connection.execute(table.insert())
                await self._name_those_left_out(table)
            await connection.execute(
                """INSERT INTO moving_in.flow_run (id, created, copied) SELECT id, created, true FROM stage_flow_run
                ON CONFLICT (id) DO UPDATE SET copied = true"""
            )
            await connection.execute(
                "UPDATE moving_in.flow_run SET copied = true WHERE id = ANY($1) AND NOT copied",
                runs,
            )

    async def remove(self, runs: Sequence[UUID]) -> None:
        """Remove these runs with all that belongs to them."""
        old = await self.connection.fetch("SELECT id FROM runs.flow_run WHERE id = ANY($1)", runs)
        if not old:
            return
        ids = [row["id"] for row in old]
        await self.connection.execute(
            """DELETE FROM runs.task_run_state WHERE task_run_id IN
            (SELECT id FROM runs.task_run WHERE flow_run_id = ANY($1))""",
            ids,
        )
        await self.connection.execute(
            "DELETE FROM runs.flow_run_state WHERE flow_run_id = ANY($1)", ids
        )
        await self.connection.execute("DELETE FROM runs.log WHERE flow_run_id = ANY($1)", ids)
        await self.connection.execute("DELETE FROM runs.flow_run WHERE id = ANY($1)", ids)

    async def _stage(self, tables: Sequence[Moved], files: dict[str, BinaryIO]) -> None:
        names = ", ".join(f"stage_{table.name}" for table in tables)
        await self.connection.execute(f"TRUNCATE {names}")
        for table in tables:
            await self.connection.copy_to_table(
                f"stage_{table.name}",
                source=files[table.name],
                columns=list(table.columns),
                format="binary",
            )
            await self.connection.execute(f"ANALYZE stage_{table.name}")

    async def _name_those_left_out(self, table: Moved) -> None:
        """Rows that were read and are not there: merged into another one, or without what they belong to."""
        found = "o.id = s.id"
        if table.name in _HISTORIES:
            found += " AND o.created = s.created"
        await self.connection.execute(
            f"""INSERT INTO moving_in.left_out (source, id, reason)
            SELECT $1, s.id, $2 FROM stage_{table.name} s
            WHERE NOT EXISTS (SELECT FROM {table.target} o WHERE {found}) ON CONFLICT DO NOTHING""",
            table.name,
            _REASONS.get(table.name, "it belongs to a row that is not there"),
        )


_REASONS = {
    "flow_group": "merged into another group of the same tenant and name",
    "agent": "merged into another agent of the same name, type, version and labels",
    "edge": "equal to another edge, or of a flow that is not there",
}


@asynccontextmanager
async def open_target(url: str) -> AsyncIterator[Target]:
    """Headwater's database, by its owner's URL. Raises `MovingError` while another import holds it."""
    settings = {"timezone": "UTC", "intervalstyle": "postgres", "lock_timeout": "30s"}
    connection = await asyncpg.connect(url, server_settings=settings, timeout=30)
    try:
        if not await connection.fetchval(
            "SELECT pg_try_advisory_lock(hashtext('headwater.moving_in'))"
        ):
            msg = "another import is at work on this Headwater; wait for its end"
            raise MovingError(msg)
        if await connection.fetchval("SELECT to_regclass('runs.flow_run')") is None:
            msg = "the database has no Headwater's tables; start Headwater once, or run deploy.migrate"
            raise MovingError(msg)
        await connection.execute(statement(__file__, "bookkeeping"))
        for table in (*REGISTRY, *RUNS):
            await connection.execute(table.stage())
        await connection.execute(
            """CREATE TEMP TABLE numbered (id uuid PRIMARY KEY, flow_group_id uuid, version int);
            CREATE INDEX ON stage_flow (flow_group_id); CREATE INDEX ON stage_edge (upstream_task_id);
            CREATE INDEX ON stage_edge (downstream_task_id); CREATE INDEX ON stage_task_run_state (task_run_id)"""
        )
        yield Target(connection=connection)
    finally:
        await connection.close()
