"""Run logs (reference/runs.md): accepted when JetStream has them, drained by `runs`."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson

from libs.contracts import subjects
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime import exact_json, metrics, reported
from libs.runtime.failures import is_outage
from libs.runtime.ids import NewId, texts_from
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import Success
from services.gateway.graphql.scalars import JSON, LogLevel

MESSAGE_LIMIT = 1_000_000  # characters; clients cut their lines there themselves
_TOO_MUCH = f"[more than {MESSAGE_LIMIT:,} bytes of small values were cut here]"
_FLOW_RUN = attrgetter("flow_run_id")
_RUNS = attrgetter("flow_run_id", "task_run_id")
_LINES_AT_ONCE = 500  # made into messages on the event loop, in some milliseconds
BATCH_BYTES = 512 << 10  # a JetStream message of logs; small enough to be acknowledged quickly


@dataclass
class WriteRunLog:
    """One line. A missing timestamp is the time of arrival, a missing level is INFO; agents send neither."""

    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None
    timestamp: datetime | None = None
    message: str | None = None
    name: str | None = None
    level: LogLevel | None = None
    info: JSON | None = None


@dataclass
class WriteRunLogs:
    """A batch; a single object in place of the list is a list of one (Core's failure path sends that)."""

    logs: list[WriteRunLog]


@mutation("write_run_logs", audited=False, reports=True)
async def write_run_logs(context: Context, input: WriteRunLogs) -> Success:
    """Accept log lines. `Foreign key violation.` when no run that they name is known.

    A task run that is not of the line's flow run is left out.
    """
    return await _write(context, input.logs)


@mutation(None, camel="writeRunLog", audited=False, reports=True)
async def write_run_log(context: Context, input: WriteRunLog) -> Success:
    """Accept one log line."""
    return await _write(context, [input])


async def _write(context: Context, logs: list[WriteRunLog]) -> Success:
    run_ids = _distinct(map(_FLOW_RUN, logs))
    if None in run_ids:
        logs = await _with_runs(context, logs)
        run_ids = _distinct(map(_FLOW_RUN, logs))
    named = {run_id for run_id in run_ids if run_id is not None}
    unknown = await context.shared.rows.unknown_flow_runs(context.tenant_id, named)
    note = None
    if unknown:
        # An agent writes of many runs at once: one that was deleted must not cost the others their lines.
        known = [log for log in logs if log.flow_run_id not in unknown]
        if not known:
            raise compat.error_of(Refused(code=Code.FOREIGN_KEY_VIOLATION))
        lost = len(logs) - len(known)
        note = (
            f"{lost} of {len(logs)} lines name a flow run that is not there; the others were taken."
        )
        logs = known
    await _forget_foreign_task_runs(context, logs)
    now = context.shared.clock()
    prepare = partial(_messages, logs, tenant_id=context.tenant_id, now=now, ids=context.shared.ids)
    # A line takes ten microseconds, and a batch may have a hundred thousand.
    messages = prepare() if len(logs) <= _LINES_AT_ONCE else await context.beside(prepare)
    publish = context.shared.log_copies.publish
    try:
        await asyncio.gather(*(publish(subject, body) for subject, body in messages))
    except Exception as error:
        if not is_outage(error):
            raise
        raise compat.error_of(
            Refused(code=Code.UNAVAILABLE, fields={"service": "the log stream"})
        ) from error
    metrics.LOG_LINES_ACCEPTED.inc(len(logs))
    return Success(success=True, error=note)


def _messages(
    logs: list[WriteRunLog], *, tenant_id: UUID, now: datetime, ids: NewId
) -> list[tuple[str, bytes]]:
    """The lines as messages of one run each, with their subjects."""
    return [
        (subjects.LINES.at(tenant_id=tenant_id, flow_run_id=run_id or "none"), body)
        for run_id, lines in _by_run(logs)
        for body in bodies_of(lines, tenant_id=tenant_id, now=now, ids=ids)
    ]


def _by_run(
    logs: list[WriteRunLog],
) -> Iterable[tuple[UUID | None, Iterable[WriteRunLog]]]:
    """The lines of each run, in their order. Most batches are of one run: they are not sorted."""
    runs = _distinct(map(_FLOW_RUN, logs))
    if len(runs) == 1:
        return [(runs.pop(), logs)]
    ordered = sorted(logs, key=lambda log: log.flow_run_id.bytes if log.flow_run_id else b"")
    return groupby(ordered, key=_FLOW_RUN)


def _distinct(ids: Iterable[UUID | None]) -> set[UUID | None]:
    """Those that differ. The lines of a batch share the object of an id (`scalars`), whose hash is computed in Python:
    so by object first."""
    return {*{id(one): one for one in ids}.values()}


async def _with_runs(context: Context, logs: list[WriteRunLog]) -> list[WriteRunLog]:
    """Lines that name a task run alone belong to its flow run; of no run at all they are the tenant's."""
    alone = {
        log.task_run_id for log in logs if log.flow_run_id is None and log.task_run_id is not None
    }
    if not alone:
        return logs
    runs = await context.shared.rows.flow_runs_of(context.tenant_id, alone)
    return [
        replace(log, flow_run_id=runs.get(log.task_run_id))
        if log.flow_run_id is None and log.task_run_id is not None
        else log
        for log in logs
    ]


async def _forget_foreign_task_runs(context: Context, logs: list[WriteRunLog]) -> None:
    """Take the task run off lines whose flow run has no such one: a line is kept, a wrong name for it is not."""
    # By object first, as in `_distinct`.
    pairs = {(id(run), id(task_run)): (run, task_run) for run, task_run in map(_RUNS, logs)}
    given = {(run, task_run) for run, task_run in pairs.values() if task_run is not None}
    if not given:
        return
    named = {(run, task_run) for run, task_run in given if run is not None}
    known = await context.shared.rows.task_runs_of(context.tenant_id, named) if named else set()
    foreign = given - known
    if not foreign:
        return
    for log in logs:
        if (log.flow_run_id, log.task_run_id) in foreign:
            log.task_run_id = None


def bodies_of(
    lines: Iterable[WriteRunLog], *, tenant_id: UUID, now: datetime, ids: NewId
) -> Iterator[bytes]:
    """`LogBatch` messages of about BATCH_BYTES, as JSON: a model for each line would be a third of a line's cost."""
    for chunk in _chunks(lines, now):
        for line, id_ in zip(chunk, texts_from(ids(), len(chunk)), strict=True):
            line["id"] = id_
        batch = {"tenant_id": tenant_id, "accepted": now, "lines": chunk}
        body = orjson.dumps(batch, default=_id)
        # One search for the whole message, instead of one in each text.
        if b"\\u0000" in body:
            for line in chunk:
                line |= {name: _storable(line[name]) for name in ("name", "message")}
            body = orjson.dumps(batch, default=_id)
        yield body


def _id(value: object) -> str:
    """What orjson does not write by itself: the UUIDs of asyncpg are a class of their own."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError


def _chunks(lines: Iterable[WriteRunLog], now: datetime) -> Iterator[list[dict[str, Any]]]:
    """`LogLine`s, but for their ids, in parts that fit into a message."""
    chunk: list[dict[str, Any]] = []
    size = 0
    for log in lines:
        message, name, info = log.message, log.name, None
        weight = 300
        if message is not None:
            if len(message) > MESSAGE_LIMIT:
                message = reported.cut_text(message, MESSAGE_LIMIT)
            weight += 2 * len(message)
        if name is not None and len(name) > MESSAGE_LIMIT:
            name = reported.cut_text(name, MESSAGE_LIMIT)
        if log.info is not None:
            body = _info(log.info)
            info = orjson.Fragment(body)
            weight += len(body)
        if chunk and size + weight > BATCH_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(
            {
                "flow_run_id": log.flow_run_id,
                "task_run_id": log.task_run_id,
                "timestamp": log.timestamp or now,
                "name": name,
                "level": log.level or "INFO",
                "message": message,
                "info": info,
            }
        )
        size += weight
    if chunk:
        yield chunk


def _info(info: JSON) -> bytes:
    fitting = reported.fit(info, limit=MESSAGE_LIMIT)
    return exact_json.dumps(_TOO_MUCH) if fitting is None else fitting[1]


def _storable(text: str | None) -> str | None:
    """PostgreSQL cannot hold NUL characters, and a line is worth more than its NULs."""
    return None if text is None else reported.clean_text(text)
