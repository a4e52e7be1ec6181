"""The rows of log lines in the messages of the stream LOGS.

A message as every gateway writes it is read by plain checks (`usual_rows_of`); any other by the contract, which accepts
more forms.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811
from pydantic import ValidationError

from libs.contracts.runs import LogBatch, LogLine
from libs.runtime import exact_json, reported
from services.runs.domain.states import aware, in_utc

COLUMNS = (
    "id", "created", "updated", "tenant_id", "flow_run_id", "task_run_id", "timestamp", "name", "level", "message",
    "info", "sequence",
)  # fmt: skip
_LINES_PER_MESSAGE = 1 << 20
"""`sequence` is the message's sequence in the stream times this, plus the line's index in the message."""
MESSAGE_LIMIT = 1_000_000
"""Characters of a line; clients cut their lines at the same length."""

Row = tuple[Any, ...]


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
    return fault_of(batch, tenant)


def fault_of(batch: LogBatch, tenant: str) -> str | None:
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
            in_utc(line.timestamp) or accepted, storable(line.name), storable(line.level), storable(line.message),
            _storable_info(line.info), first + index,
        )
        for index, line in enumerate(batch.lines)
    ]  # fmt: skip


def storable(text: str | None) -> str | None:
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
