"""Run logs (reference/runs.md): accepted when JetStream has them, drained by `runs`."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import groupby
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
from services.gateway.keys import Guard
from services.gateway.shares import BusyError

MESSAGE_LIMIT = 1_000_000  # characters; clients cut their lines there themselves
_TOO_MUCH = f"[more than {MESSAGE_LIMIT:,} bytes of small values were cut here]"
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


@mutation("write_run_logs", guard=Guard.RUN, reports=True)
async def write_run_logs(context: Context, input: WriteRunLogs) -> Success:
    """Accept log lines. `Foreign key violation.` when no run that they name is known.

    A task run that is not of the line's flow run is left out.
    """
    return await _write(context, input.logs)


@mutation(None, camel="writeRunLog", guard=Guard.RUN, reports=True)
async def write_run_log(context: Context, input: WriteRunLog) -> Success:
    """Accept one log line."""
    return await _write(context, [input])


async def _write(context: Context, logs: list[WriteRunLog]) -> Success:
    logs = await _with_runs(context, logs)
    run_ids = {log.flow_run_id for log in logs if log.flow_run_id is not None}
    unknown = await context.shared.rows.unknown_flow_runs(context.tenant_id, run_ids)
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
        if not (is_outage(error) or isinstance(error, BusyError)):
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
    by_run = sorted(logs, key=lambda log: log.flow_run_id.bytes if log.flow_run_id else b"")
    return [
        (subjects.LINES.at(tenant_id=tenant_id, flow_run_id=run_id or "none"), body)
        for run_id, lines in groupby(by_run, key=lambda log: log.flow_run_id)
        for body in bodies_of(lines, tenant_id=tenant_id, now=now, ids=ids)
    ]


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
    named = {
        (log.flow_run_id, log.task_run_id)
        for log in logs
        if log.flow_run_id is not None and log.task_run_id is not None
    }
    known = await context.shared.rows.task_runs_of(context.tenant_id, named) if named else set()
    for log in logs:
        if log.task_run_id is not None and (log.flow_run_id, log.task_run_id) not in known:
            log.task_run_id = None


def bodies_of(
    lines: Iterable[WriteRunLog], *, tenant_id: UUID, now: datetime, ids: NewId
) -> Iterator[bytes]:
    """`LogBatch` messages of about BATCH_BYTES, as JSON: a model for each line would be a third of a line's cost."""
    for chunk in _chunks(lines, now):
        for line, id_ in zip(chunk, texts_from(ids(), len(chunk)), strict=True):
            line["id"] = id_
        yield orjson.dumps({"tenant_id": tenant_id, "accepted": now, "lines": chunk}, default=_id)


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
        message = _storable(log.message)
        weight = len(message or "") * 2 + 300
        info = None
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
                "name": _storable(log.name),
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
    if text is None:
        return None
    return reported.cut_text(text, MESSAGE_LIMIT).replace("\x00", "\ufffd")
