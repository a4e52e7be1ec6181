"""Run logs (backend.md sections 1.9, 7.3): accepted when JetStream has them, drained by `runs`."""

import asyncio
import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import orjson
import strawberry

from libs.contracts import subjects
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime import exact_json, metrics
from libs.runtime.failures import is_outage
from libs.runtime.ids import NewId, texts_from
from services.gateway.context import Context
from services.gateway.graphql import compat
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import Success
from services.gateway.graphql.scalars import JSON
from services.gateway.keys import Guard

MESSAGE_LIMIT = 1_000_000  # characters; clients cut their lines there themselves
BATCH_BYTES = 512 << 10  # a JetStream message of logs; small enough to be acknowledged quickly


@strawberry.enum(name="log_level")
class LogLevel(enum.Enum):
    """Levels as Python's logging names them."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


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
    """Accept log lines, all or none. `Foreign key violation.` when a run is unknown."""
    return await _write(context, input.logs)


@mutation(None, camel="writeRunLog", guard=Guard.RUN, reports=True)
async def write_run_log(context: Context, input: WriteRunLog) -> Success:
    """Accept one log line."""
    return await _write(context, [input])


async def _write(context: Context, logs: list[WriteRunLog]) -> Success:
    run_ids = {log.flow_run_id for log in logs if log.flow_run_id is not None}
    if not await context.shared.rows.flow_runs_exist(context.tenant_id, run_ids):
        raise compat.error_of(Refused(code=Code.FOREIGN_KEY_VIOLATION))
    now = context.shared.clock()
    by_run = sorted(logs, key=lambda log: log.flow_run_id.bytes if log.flow_run_id else b"")
    publications = []
    for run_id, lines in groupby(by_run, key=lambda log: log.flow_run_id):
        subject = subjects.LOG.at(tenant_id=context.tenant_id, flow_run_id=run_id or "none")
        for body in bodies_of(lines, tenant_id=context.tenant_id, now=now, ids=context.shared.ids):
            publications.append(context.shared.log_copies.publish(subject, body))
    try:
        await asyncio.gather(*publications)
    except Exception as error:
        if not is_outage(error):
            raise
        raise compat.error_of(
            Refused(code=Code.UNAVAILABLE, fields={"service": "the log stream"})
        ) from error
    metrics.LOG_LINES_ACCEPTED.inc(len(logs))
    return Success(success=True)


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
            body = exact_json.dumps(log.info)
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
                "level": log.level or LogLevel.INFO,
                "message": message,
                "info": info,
            }
        )
        size += weight
    if chunk:
        yield chunk


def _storable(text: str | None) -> str | None:
    """PostgreSQL cannot hold NUL characters; a line is worth more than its NULs."""
    return text if text is None else text[:MESSAGE_LIMIT].replace("\x00", "\ufffd")
