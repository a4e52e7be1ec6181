"""Log lines: drained from JetStream by COPY, deduplicated by (id, created), and written by the ledger itself.

A message as every gateway writes it is read by plain checks (`usual_rows_of`); any other by the contract, which accepts
more forms. A message that is no log batch goes to the DLQ alone; an invalid line is lost alone. A batch is one
transaction: count the lines of each run, drop those beyond the run's cap, COPY the rest. A redelivered batch conflicts
with its own keys; only then the existing rows are looked up and left out. A capped run gets a line that says so, and
`runs.log_usage` counts the dropped lines.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

import asyncpg
import nats.errors
import orjson
from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811
from nats.aio.msg import Msg
from pydantic import ValidationError

from libs.contracts import subjects
from libs.contracts.runs import LogBatch, LogLine
from libs.contracts.streams import Durable
from libs.runtime import exact_json, metrics, reported
from libs.runtime.bus import Bus
from libs.runtime.clock import Clock
from libs.runtime.database import Connection, Database, statement
from libs.runtime.ids import NewId
from services.runs.domain.pace import Pace, first_of
from services.runs.domain.safeguards import LogEntry
from services.runs.domain.states import aware, in_utc

COLUMNS = (
    "id", "created", "updated", "tenant_id", "flow_run_id", "task_run_id", "timestamp", "name", "level", "message",
    "info", "sequence",
)  # fmt: skip
CAP_LOGGER = "headwater.Logs.FlowRun"
_LINES_PER_MESSAGE = 1 << 20
"""`sequence` is the message's sequence in the stream times this, plus the line's index in the message."""
_LAST_SEQUENCE = (1 << 63) - 1
_ROWS = 5_000
"""Lines of a transaction, if there are as many: 20 ms of this process, in which states and queues wait.

A flood fills a fetch with a hundred times as many. COPY takes 6.5 us a line by 2,500, 4.3 by 5,000, 3.6 by 10,000.
"""
_COPIED = 1_250
"""Lines of one COPY: the driver writes them down without a pause, 5 ms of this process."""
MESSAGE_LIMIT = 1_000_000
"""Characters of a line; clients cut their lines at the same length."""

Row = tuple[Any, ...]
_RUN = itemgetter(COLUMNS.index("flow_run_id"))
_RUN_AND_TENANT = itemgetter(COLUMNS.index("flow_run_id"), COLUMNS.index("tenant_id"))
"""Of a row, for whole batches at once: a line has four microseconds."""
_MOST_RUNS_NAMED = 1_000  # in one signal; 40 KB


class LogDrain:
    """Handles batches of messages of the LOGS stream."""

    def __init__(
        self, database: Database, bus: Bus, durable: Durable, *, cap: int, clock: Clock, ids: NewId,
        per_minute: int = 60_000, monotonic: Callable[[], float] = time.monotonic,
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
        if (fault := _fault(batch, tenant)) is not None:
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
        if slowed:
            rows, counted = self._slowed(rows, slowed)
        await self._store(rows)
        self._pace.wrote(counted)

    def _slowed(
        self, rows: Sequence[Row], slowed: Mapping[Any, int]
    ) -> tuple[list[Row], "Counter[Any]"]:
        """Without the lines that are too many for a minute; a notice stands for those of a run."""
        kept = first_of(rows, dict(slowed), run_of=_RUN)
        counted = Counter(map(_RUN, kept))
        metrics.LOG_LINES_DROPPED.inc(len(rows) - len(kept))
        now = self._clock()
        message = (
            f"This run has written more than {self._pace.limit:,} log lines within a minute; "
            "further ones of this minute are dropped."
        )
        tenants = dict(map(_RUN_AND_TENANT, rows))
        notices = [
            self._notice(run, tenants[run], message, at=now)
            for run in slowed
            if self._pace.first(run)
        ]
        return [*kept, *notices], counted

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


def fault_of_message(data: bytes, tenant: str) -> str | None:
    """Why nothing of an agent's message can be stored, in one line; None if it can, or some of its lines."""
    if usual_rows_of(data, tenant=tenant, sequence=0) is not None:
        return None
    try:
        batch, _ = read_batch(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the message'}: {first['msg']}"
    except ValueError as error:
        return str(error)
    return _fault(batch, tenant)


def _fault(batch: LogBatch, tenant: str) -> str | None:
    """Why a batch cannot be stored: permissions check an agent's subjects, but not the body."""
    if tenant != str(batch.tenant_id):
        return "the tenant is not that of the subject"
    return "`accepted` is no timestamp in UTC" if in_utc(batch.accepted) is None else None


def read_batch(data: bytes) -> tuple[LogBatch, list[str]]:
    """A message by its contract, and why some of its lines are invalid. ValueError (also pydantic's) if it is no batch.

    Characters that cannot be stored are replaced (`libs/runtime/reported.py`), and one bad line does not affect the
    others.
    """
    try:
        return LogBatch.model_validate_json(data), []
    except ValidationError:
        found = reported.clean(exact_json.loads_leniently(data))
    if not isinstance(found, dict) or not isinstance(found.get("lines"), list):
        return LogBatch.model_validate(found), []
    batch = LogBatch.model_validate({**found, "lines": []})
    lines: list[LogLine] = []
    lost: list[str] = []
    for line in found["lines"]:
        try:
            lines.append(LogLine.model_validate(line))
        except ValidationError as error:
            first = error.errors()[0]
            lost.append(f"{'.'.join(map(str, first['loc'])) or 'a line'}: {first['msg']}")
    if found["lines"] and not lines:
        raise ValueError(lost[0])
    return batch.model_copy(update={"lines": lines}), lost


def usual_rows_of(data: bytes, *, tenant: str, sequence: int) -> list[Row] | None:
    """The result of `rows_of` for a batch without anything unusual; None for every other.

    A line costs a third of its cost with pydantic, which is used for unusual or wrong input: it accepts more forms, and
    explains errors. A few more forms of timestamps and ids are accepted here than there; their meaning is as clear.
    """
    if b"\\u0000" in data:
        return None
    first = sequence * _LINES_PER_MESSAGE
    try:
        batch = orjson.loads(data)
        if batch["tenant_id"] != tenant:
            return None
        tenant_id, accepted = DriverUUID(tenant), datetime.fromisoformat(batch["accepted"])
        if accepted.tzinfo is not UTC:
            return None
        known = _Ids({None: None})
        rows: list[Row] = []
        for line in batch["lines"]:
            at = datetime.fromisoformat(line["timestamp"])
            name, level, message = line["name"], line["level"], line["message"]
            if (
                at.tzinfo is not UTC
                or type(name) not in _TEXT_OR_NONE
                or type(level) is not str
                or type(message) not in _TEXT_OR_NONE
                or line["info"] is not None
            ):
                return None
            rows.append(
                (
                    DriverUUID(line["id"]), accepted, accepted, tenant_id, known[line["flow_run_id"]],
                    known[line["task_run_id"]], at, name, level, message, None, first + len(rows),
                )
            )  # fmt: skip
    except (LookupError, TypeError, ValueError):
        return None
    return rows


_TEXT_OR_NONE = (str, type(None))


class _Ids(dict[str | None, UUID | None]):
    """Ids by their text, each read once: the lines of a message are about few runs."""

    def __missing__(self, text: str | None) -> UUID:
        if not isinstance(text, str):
            raise TypeError
        self[text] = found = DriverUUID(text)
        return found


def rows_of(batch: LogBatch, *, sequence: int) -> list[Row]:
    """A batch as rows in the order of COLUMNS. A line with a time outside of UTC's calendar gets the time of
    acceptance."""
    first = sequence * _LINES_PER_MESSAGE
    accepted = aware(batch.accepted)
    return [
        (
            line.id, accepted, accepted, batch.tenant_id, line.flow_run_id, line.task_run_id,
            in_utc(line.timestamp) or accepted, _storable(line.name), _storable(line.level), _storable(line.message),
            _storable_info(line.info), first + index,
        )
        for index, line in enumerate(batch.lines)
    ]  # fmt: skip


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
            _storable(entry.message), None, index,
        )
        for index, (tenant_id, entry) in enumerate(entries)
    ]  # fmt: skip
    if rows:
        await connection.copy_records_to_table(
            "log", schema_name="runs", records=rows, columns=COLUMNS
        )


def _storable(text: str | None) -> str | None:
    """A line is never lost for a character that PostgreSQL cannot hold, nor for its length."""
    if text is None:
        return None
    return reported.clean_text(reported.cut_text(text, MESSAGE_LIMIT))


def _storable_info(info: object) -> object:
    """Any JSON value in a form for jsonb. An integer beyond 64 bits, which orjson refuses, is stored as text."""
    if info is None:
        return None
    fitting = reported.fit(reported.clean(info), limit=MESSAGE_LIMIT)
    if fitting is None:
        return f"[more than {MESSAGE_LIMIT:,} bytes of small values were cut here]"
    try:
        orjson.dumps(fitting[0])
    except TypeError:
        return fitting[1].decode()
    return fitting[0]
