"""Log lines: drained from JetStream by COPY, deduplicated by (id, created), and written by the ledger itself.

A batch is one COPY. A redelivered batch meets its own keys; then, and only then, the slower INSERT that skips what is
there takes its place. A message that is not a log batch is buried alone; the lines around it are kept.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from nats.aio.msg import Msg
from pydantic import ValidationError

from libs.contracts.runs import LogBatch
from libs.contracts.streams import Durable
from libs.runtime import log
from libs.runtime.bus import Bus
from libs.runtime.database import Connection, Database
from libs.runtime.ids import NewId
from services.runs.domain.safeguards import LogEntry
from services.runs.domain.states import to_json

COLUMNS = (
    "id", "created", "updated", "tenant_id", "flow_run_id", "task_run_id", "timestamp", "name", "level", "message",
    "info", "sequence",
)  # fmt: skip
_LINES_PER_MESSAGE = 1 << 20
"""`sequence` is the message's place in the stream times this, plus the line's place in the message."""
_NUL = "\x00"
_SURROGATE = re.compile("[\ud800-\udfff]")

Row = tuple[Any, ...]


class LogDrain:
    """Handles batches of messages of the LOGS stream."""

    def __init__(self, database: Database, bus: Bus, durable: Durable) -> None:
        self._database = database
        self._bus = bus
        self._durable = durable
        self._log = log.get("runs")
        self.lines = 0

    async def handle(self, messages: Sequence[Msg]) -> None:
        """Write every line of the messages once. Raises only when PostgreSQL is away."""
        rows: list[Row] = []
        for message in messages:
            try:
                batch = LogBatch.model_validate_json(message.data)
            except ValidationError as error:
                await self._bus.bury(self._durable, message, str(error))
                continue
            rows += rows_of(batch, sequence=message.metadata.sequence.stream)
        if rows:
            async with self._database.pool.acquire() as connection:
                await write_rows(connection, rows)
        self.lines += len(rows)


def rows_of(batch: LogBatch, *, sequence: int) -> list[Row]:
    """A batch as rows in the order of COLUMNS."""
    first = sequence * _LINES_PER_MESSAGE
    return [
        (
            line.id, batch.accepted, batch.accepted, batch.tenant_id, line.flow_run_id, line.task_run_id,
            line.timestamp, _storable(line.name), _storable(line.level), _storable(line.message),
            None if line.info is None else line.info, first + place,
        )
        for place, line in enumerate(batch.lines)
    ]  # fmt: skip


async def write_rows(connection: Connection, rows: Sequence[Row]) -> None:
    """COPY the rows; if some are there already, insert the others."""
    try:
        await connection.copy_records_to_table(
            "log", schema_name="runs", records=rows, columns=COLUMNS
        )
    except asyncpg.UniqueViolationError:
        await _insert_missing(connection, rows)
    except asyncpg.UntranslatableCharacterError:
        # Some `info` holds U+0000, which jsonb cannot: those lose it, the lines stay.
        await _insert_missing(connection, [_without_nul(row) for row in rows])


async def insert_entries(
    connection: Connection,
    entries: Iterable[tuple[UUID, LogEntry]],
    *,
    at: datetime,
    ids: NewId,
) -> None:
    """Write the ledger's own lines, (tenant, entry), in the transaction of the states that they explain."""
    rows = [
        (
            ids(), at, at, tenant_id, entry.flow_run_id, entry.task_run_id, at, entry.name, entry.level,
            _storable(entry.message), None, place,
        )
        for place, (tenant_id, entry) in enumerate(entries)
    ]  # fmt: skip
    if rows:
        await _insert_missing(connection, rows)


async def _insert_missing(connection: Connection, rows: Sequence[Row]) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)]
    columns[10] = [None if info is None else to_json(info) for info in columns[10]]
    await connection.execute(
        """
        INSERT INTO runs.log
            (id, created, updated, tenant_id, flow_run_id, task_run_id, timestamp, name, level, message, info, sequence)
        SELECT id, created, updated, tenant_id, flow_run_id, task_run_id, timestamp, name, level, message, info::jsonb,
            sequence
        FROM unnest(
            $1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::uuid[], $5::uuid[], $6::uuid[], $7::timestamptz[],
            $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[]
        ) AS l (
            id, created, updated, tenant_id, flow_run_id, task_run_id, timestamp, name, level, message, info, sequence
        )
        ON CONFLICT (id, created) DO NOTHING
        """,
        *columns,
    )


def _storable(text: str | None) -> str | None:
    """A line is never lost for a character that PostgreSQL cannot hold."""
    if text is None or (_NUL not in text and not _SURROGATE.search(text)):
        return text
    return _SURROGATE.sub("�", text.replace(_NUL, "�"))


def _without_nul(row: Row) -> Row:
    info = row[10]
    if info is None or "\\u0000" not in to_json(info):
        return row
    return (*row[:10], {"unstorable": to_json(info).replace("\\u0000", "�")}, *row[11:])
