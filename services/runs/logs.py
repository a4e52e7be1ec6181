"""Log lines: drained from JetStream by COPY, deduplicated by (id, created), and written by the ledger itself.

How messages are read is in `log_rows.py`. A message that is no log batch goes to the DLQ alone; an invalid line is lost
alone. A batch is one transaction: count the lines of each run, drop those beyond the run's cap or its pace, COPY the
rest. A redelivered batch conflicts with its own keys; only then the existing rows are looked up and left out. A capped
run gets a line that says so, and `runs.log_usage` counts the dropped lines.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

import asyncpg
import nats.errors
import orjson
from nats.aio.msg import Msg

from libs.contracts import subjects
from libs.contracts.streams import Durable
from libs.runtime import metrics
from libs.runtime.bus import Bus
from libs.runtime.clock import Clock
from libs.runtime.database import Connection, Database, statement
from libs.runtime.ids import NewId
from services.runs.domain.pace import Pace, first_of
from services.runs.domain.safeguards import LogEntry
from services.runs.log_rows import (
    COLUMNS,
    Row,
    fault_of,
    read_batch,
    rows_of,
    storable,
    usual_rows_of,
)

CAP_LOGGER = "headwater.Logs.FlowRun"
_LAST_SEQUENCE = (1 << 63) - 1
_ROWS = 5_000
"""Lines of a transaction, if there are as many: 20 ms of this process, in which states and queues wait.

A flood fills a fetch with a hundred times as many. COPY takes 6.5 us a line by 2,500, 4.3 by 5,000, 3.6 by 10,000.
"""
_COPIED = 1_250
"""Lines of one COPY: the driver writes them down without a pause, 5 ms of this process."""
_RUN = itemgetter(COLUMNS.index("flow_run_id"))
_RUN_AND_TENANT = itemgetter(COLUMNS.index("flow_run_id"), COLUMNS.index("tenant_id"))
"""Of a row, for whole batches at once: a line has four microseconds."""
_MOST_RUNS_NAMED = 1_000  # in one signal; 40 KB


class LogDrain:
    """Handles batches of messages of the LOGS stream."""

    def __init__(
        self, database: Database, bus: Bus, durable: Durable, *, cap: int, clock: Clock, ids: NewId,
        per_minute: int, monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`cap` is the most lines of a run, `per_minute` the most that are stored of it in a minute."""
        self._database = database
        self._pace = Pace(per_minute)
        self._monotonic = monotonic
        self._bus = bus
        self.durable = durable
        self._cap = cap
        self._clock = clock
        self._ids = ids

    async def handle(self, messages: Sequence[Msg]) -> None:
        """Write every line of the messages once. Raises only when PostgreSQL is away.

        Each part of a flood is acknowledged when it is written. If it were delivered again because a later part failed,
        lines that the cap had dropped would be counted again, because dropped lines leave no key.
        """
        rows: list[Row] = []
        part: list[Msg] = []
        for message in messages:
            rows += await self._read(message)
            part.append(message)
            # A message of a flood takes some 10 ms, and states and queues wait for no more than one.
            await asyncio.sleep(0)
            if len(rows) >= _ROWS:
                await self.write(rows)
                await self._bus.acknowledge(part)
                rows, part = [], []
        if rows:
            await self.write(rows)

    async def _read(self, message: Msg) -> list[Row]:
        """The rows of a message; none for one that cannot be stored, which goes to the DLQ."""
        tenant, sequence = message.subject.split(".")[2], message.metadata.sequence.stream
        usual = usual_rows_of(message.data, tenant=tenant, sequence=sequence)
        if usual is not None:
            return usual
        try:
            batch, lost = read_batch(message.data)
        except ValueError as error:
            await self._bus.dead_letter(self.durable, message, str(error))
            return []
        if (fault := fault_of(batch, tenant)) is not None:
            await self._bus.dead_letter(self.durable, message, fault)
            return []
        if lost:
            reason = f"{len(lost)} of its lines are none, and the others were kept: {lost[0]}"
            await self._bus.dead_letter(self.durable, message, reason)
        return rows_of(batch, sequence=sequence)

    async def write(self, rows: Sequence[Row]) -> None:
        """Write rows that may exist already."""
        try:
            await self._write(rows)
        except asyncpg.UniqueViolationError:
            missing = await self._missing(rows)
            if missing:
                await self._write(missing)
        await self._signal(rows)

    async def _signal(self, rows: Sequence[Row]) -> None:
        """Signal that these runs have new lines; after a lost signal readers only see them later."""
        runs_of: dict[Any, set[Any]] = {}
        for run, tenant_id in set(map(_RUN_AND_TENANT, rows)):
            runs_of.setdefault(tenant_id, set()).add(run)
        for tenant_id, flow_runs in runs_of.items():
            named = [str(run) for run in flow_runs if run is not None][:_MOST_RUNS_NAMED]
            body = orjson.dumps({"logs": named})
            with suppress(nats.errors.Error, OSError):
                await self._bus.signal(subjects.SIG_CHANGED.at(tenant_id=tenant_id), body)

    async def _write(self, rows: Sequence[Row]) -> None:
        counted = Counter(map(_RUN, rows))
        slowed = self._pace.over(counted, now=self._monotonic())
        unsaid = self._pace.unsaid(slowed)
        if not slowed:
            await self._store(rows)
        else:
            kept = first_of(rows, dict(slowed), run_of=_RUN)
            counted = Counter(map(_RUN, kept))
            await self._store([*kept, *self._slowed(rows, unsaid)])
            metrics.LOG_LINES_DROPPED.inc(len(rows) - len(kept))
        self._pace.wrote(counted, unsaid)

    def _slowed(self, rows: Sequence[Row], unsaid: set[Any]) -> list[Row]:
        """A line for each of these runs which says that it writes too fast."""
        now = self._clock()
        message = (
            f"This run has written more than {self._pace.limit:,} log lines within a minute; "
            "further ones of this minute are dropped."
        )
        tenants = dict(map(_RUN_AND_TENANT, rows))
        return [self._notice(run, tenants[run], message, at=now) for run in unsaid]

    async def _store(self, rows: Sequence[Row]) -> None:
        async with self._database.transaction() as connection:
            kept, dropped = await self._within_cap(connection, rows)
            for start in range(0, len(kept), _COPIED):
                await connection.copy_records_to_table(
                    "log",
                    schema_name="runs",
                    records=kept[start : start + _COPIED],
                    columns=COLUMNS,
                )
        metrics.LOG_LINES_STORED.inc(len(rows))
        metrics.LOG_LINES_DROPPED.inc(dropped)

    async def _missing(self, rows: Sequence[Row]) -> list[Row]:
        found = await self._database.pool.fetch(
            """
            SELECT id FROM runs.log l JOIN unnest($1::uuid[], $2::timestamptz[]) AS k (id, created) USING (id, created)
            """,
            [row[0] for row in rows],
            [row[1] for row in rows],
        )
        known = {row["id"] for row in found}
        # A message that was published again may be beside the first: each line once.
        new = {row[:2]: row for row in reversed(rows) if row[0] not in known}
        return [*reversed(new.values())]

    async def _within_cap(
        self, connection: Connection, rows: Sequence[Row]
    ) -> tuple[list[Row], int]:
        """The rows to write, with a notice for each run that reaches its cap now, and how many are dropped."""
        counted = Counter(map(_RUN_AND_TENANT, rows))
        given = {pair: count for pair, count in counted.items() if pair[0] is not None}
        if not given:
            return list(rows), 0
        runs = sorted(given)
        now = self._clock()
        usage = await connection.fetch(
            statement(__file__, "count_lines"),
            [run for run, _ in runs],
            [tenant for _, tenant in runs],
            [given[run] for run in runs],
            self._cap,
            now,
        )
        capped = {row["flow_run_id"]: row["dropped"] for row in usage if row["dropped"]}
        if not capped:
            return list(rows), 0
        kept = self._cut(rows, given, capped)
        return [*kept, *self._notices(given, capped, at=now)], len(rows) - len(kept)

    def _cut(
        self,
        rows: Sequence[Row],
        given: Mapping[tuple[UUID, UUID], int],
        capped: Mapping[UUID, int],
    ) -> list[Row]:
        """The first lines of each capped run, as many as it still takes."""
        room = {
            run: max(0, given[run, tenant] - capped[run]) for run, tenant in given if run in capped
        }
        return first_of(rows, room, run_of=_RUN)

    def _notices(
        self,
        given: Mapping[tuple[UUID, UUID], int],
        capped: Mapping[UUID, int],
        *,
        at: datetime,
    ) -> list[Row]:
        """One line in each run that reached its cap in this batch: it had dropped nothing before."""
        message = (
            f"This run has {self._cap} log lines, as many as are kept; further ones are dropped."
        )
        return [
            self._notice(run, tenant, message, at=at)
            for run, tenant in given
            if run in capped and capped[run] <= given[run, tenant]
        ]

    def _notice(self, run: UUID, tenant: UUID, message: str, *, at: datetime) -> Row:
        return (
            self._ids(), at, at, tenant, run, None, at, CAP_LOGGER, "WARNING", message, None, _LAST_SEQUENCE,
        )  # fmt: skip


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
            storable(entry.message), None, index,
        )
        for index, (tenant_id, entry) in enumerate(entries)
    ]  # fmt: skip
    if rows:
        await connection.copy_records_to_table(
            "log", schema_name="runs", records=rows, columns=COLUMNS
        )
