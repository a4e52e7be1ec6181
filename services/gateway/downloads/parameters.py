"""The parameters in the address of a download; every refusal is a sentence that names the parameter. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from libs.contracts.base import JsonObject
from libs.runtime import exact_json
from services.gateway.requests import BadRequestError

MOST_MATCHES = 1_000
_LONGEST_TEXT = 1_000  # characters that are searched for
_MOST_COLUMNS = 100
_LAST_ID = UUID(int=(1 << 128) - 1)
_LAST_SEQUENCE = (1 << 63) - 1

Format = Literal["text", "ndjson"]


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in the order of a log; `id` decides between lines that are equal in the rest."""

    timestamp: datetime
    sequence: int
    id: UUID = _LAST_ID


START = Cursor(datetime(1, 1, 1, tzinfo=UTC), 0, UUID(int=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """A filter on the lines of a run; None or empty fields do not filter."""

    text: str | None = None
    levels: tuple[str, ...] = ()
    logger: str | None = None
    task_run_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDownload:
    """The parameters of a log download."""

    filter: LogFilter
    format: Format
    gzip: bool
    after: Cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSearch:
    """The parameters of a search: matches after the line at position `after`."""

    filter: LogFilter
    limit: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDownload:
    """The parameters of a table; `columns` are paths along relations to one row, None: all its own columns."""

    where: JsonObject | None
    columns: tuple[tuple[str, ...], ...] | None
    descending: bool
    after: UUID | None


Given = Mapping[str, str]


def log_download(given: Given) -> LogDownload:
    """The parameters of a log; raises BadRequestError."""
    _check_names(given, "format", "gzip", "after", *_FILTERS)
    return LogDownload(
        filter=log_filter(given),
        format=_format(given.get("format", "text")),
        gzip=_flag(given, "gzip"),
        after=cursor(given["after"]) if given.get("after") else START,
    )


def log_search(given: Given) -> LogSearch:
    """The parameters of a search; raises BadRequestError."""
    _check_names(given, "limit", "after", *_FILTERS)
    return LogSearch(
        filter=log_filter(given),
        limit=_number(given, "limit", default=100, least=1, most=MOST_MATCHES),
        after=_number(given, "after", default=0, least=0, most=_LAST_SEQUENCE),
    )


_FILTERS = ("text", "level", "logger", "task_run_id")


def log_filter(given: Given) -> LogFilter:
    """The part that both share."""
    text = given.get("text") or None
    if text is not None and len(text) > _LONGEST_TEXT:
        msg = f"text: it has {len(text)} characters; at most {_LONGEST_TEXT} are searched for."
        raise BadRequestError(msg)
    for name in ("text", "level", "logger"):
        if "\x00" in given.get(name, ""):
            msg = f"{name}: no line holds the character U+0000; leave it out."
            raise BadRequestError(msg)
    levels = tuple(
        part.strip().upper() for part in given.get("level", "").split(",") if part.strip()
    )
    task_run = given.get("task_run_id")
    return LogFilter(
        text=text,
        levels=levels,
        logger=given.get("logger") or None,
        task_run_id=uuid_of("task_run_id", task_run) if task_run else None,
    )


def table_download(given: Given) -> TableDownload:
    """The parameters of a table; raises BadRequestError."""
    _check_names(given, "where", "columns", "order", "after")
    order = given.get("order", "asc")
    if order not in ("asc", "desc"):
        msg = f"order: {_shown(order)} is not known; say asc or desc. Rows come in order of their ids."
        raise BadRequestError(msg)
    return TableDownload(
        where=_object(given.get("where")),
        columns=_columns(given.get("columns")),
        descending=order == "desc",
        after=uuid_of("after", given["after"]) if given.get("after") else None,
    )


def cursor(text: str) -> Cursor:
    """A position in the form `<timestamp>,<sequence>`."""
    when, comma, sequence = text.rpartition(",")
    try:
        # An unencoded plus sign arrives as a blank.
        timestamp = datetime.fromisoformat(when.strip().replace(" ", "+"))
        number = int(sequence)
        if comma and timestamp.tzinfo is not None and 0 <= number <= _LAST_SEQUENCE:
            return Cursor(timestamp.astimezone(UTC), number)
    except (ValueError, OverflowError):
        pass
    msg = (
        f"after: {_shown(text)} is no position in a log; say <timestamp>,<sequence> as a line of format=ndjson has"
        " them, such as 2026-11-30T06:50:55.123456Z,1042."
    )
    raise BadRequestError(msg)


def uuid_of(name: str, text: str) -> UUID:
    """An id; raises BadRequestError."""
    try:
        return UUID(text)
    except ValueError:
        msg = f"{name}: {_shown(text)} is not a UUID."
        raise BadRequestError(msg) from None


def _check_names(given: Given, *known: str) -> None:
    for name in given:
        if name not in known:
            msg = f"{_shown(name)} is no parameter of this address; it takes {', '.join(known)}."
            raise BadRequestError(msg)


def _format(text: str) -> Format:
    match text:
        case "text" | "ndjson":
            return text
    msg = f"format: {_shown(text)} is not known; say text or ndjson."
    raise BadRequestError(msg)


def _flag(given: Given, name: str) -> bool:
    value = given.get(name, "false").lower()
    if value not in ("true", "false", "1", "0"):
        msg = f"{name}: {_shown(value)} is not known; say true or false."
        raise BadRequestError(msg)
    return value in ("true", "1")


def _number(given: Given, name: str, *, default: int, least: int, most: int) -> int:
    text = given.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 20 or not least <= int(text) <= most:
        msg = f"{name}: {_shown(text)} is not a whole number from {least} to {most}."
        raise BadRequestError(msg)
    return int(text)


def _object(text: str | None) -> JsonObject | None:
    if not text:
        return None
    try:
        value: Any = exact_json.loads(text)
    except ValueError as error:
        msg = f"where: it is not JSON: {error}."
        raise BadRequestError(msg) from None
    if value is not None and not isinstance(value, dict):
        msg = "where: it must be a JSON object, as the argument `where` of the list in GraphQL."
        raise BadRequestError(msg)
    return value


def _columns(text: str | None) -> tuple[tuple[str, ...], ...] | None:
    if not text:
        return None
    columns = tuple(tuple(name.strip().split(".")) for name in text.split(","))
    if len(columns) > _MOST_COLUMNS:
        msg = f"columns: {len(columns)} are named; at most {_MOST_COLUMNS} are written."
        raise BadRequestError(msg)
    return columns


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}...")
