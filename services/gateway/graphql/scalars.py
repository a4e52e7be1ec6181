"""The scalar family of mutations: `UUID`, `DateTime`, `JSON` (those of queries are in `reads`)."""

import json
import math
import re
from datetime import UTC, datetime
from typing import Any, NewType, NoReturn
from uuid import UUID

import orjson
import strawberry
from dateutil.parser import isoparse
from graphql import GraphQLError, Undefined, ValueNode, value_from_ast_untyped

from libs.runtime import exact_json
from libs.runtime.exact_json import MOST_LEVELS

JSON = NewType("JSON", object)
"""Any JSON value; an inline literal is a string of JSON text (reference/requests.md)."""


def json_text(text: str) -> Any:
    """The value of a literal, which is JSON text. GraphQLError for what could not be sent as a variable either."""
    try:
        value = json.loads(
            text, parse_constant=_no_value, parse_float=_finite, parse_int=exact_json.whole
        )
        # An escape may stand for half of a character; no database and no message can hold that.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        reason = "it is not JSON text"
        if isinstance(error, RecursionError):
            reason = _TOO_DEEP
        elif isinstance(error, UnicodeEncodeError):
            reason = "it holds half of a surrogate pair, which is not text"
        msg = f"JSON cannot represent the literal {text[:100]!r}: {reason}"
        raise GraphQLError(msg) from None
    if exact_json.is_deeper_than(MOST_LEVELS, value):
        msg = f"JSON cannot represent the literal {text[:100]!r}: {_TOO_DEEP}"
        raise GraphQLError(msg)
    return value


_TOO_DEEP = f"it is nested deeper than {MOST_LEVELS} levels"


def _no_value(name: str) -> NoReturn:
    msg = f"{name} is not a JSON value"
    raise ValueError(msg)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        msg = f"{digits} is larger than any number"
        raise ValueError(msg)
    return number


def _json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
    value = value_from_ast_untyped(node, variables)
    if isinstance(value, str):
        return json_text(value)
    reason = _TOO_DEEP
    if not exact_json.is_deeper_than(MOST_LEVELS, value):
        try:
            text = json.dumps(value, allow_nan=False, default=_of_variable)
            return json.loads(text, parse_int=exact_json.whole)
        except ValueError:  # GraphQL reads a number that no float can hold as infinity, or as none
            reason = "it holds a number that is larger than any"
    msg = f"JSON cannot represent the literal: {reason}"
    raise GraphQLError(msg, node)


def _of_variable(value: object) -> Any:
    """The JSON of a variable's value in an inline object: an id or a timestamp, or null for one that was not given."""
    return None if value is Undefined else orjson.loads(orjson.dumps(value))


_UUID_LENGTH = 36


def _uuid(value: object) -> UUID:
    try:
        text = str(value)
        # Python skips hyphens wherever they are: of a megabyte of them nothing is to be kept.
        return IDS[text] if len(text) == _UUID_LENGTH else UUID(text)
    except ValueError:
        raise _no_uuid(value) from None


def _no_uuid(value: object) -> GraphQLError:
    return GraphQLError(f"Could not parse UUID: {_shown(value)}")


class _Ids(dict[str, UUID]):
    """Ids by their text; what is no id raises GraphQLError.

    A batch of log lines names its run in each of them, and a run's client its run in each request. A known one is
    found without a call of Python.
    """

    def __missing__(self, text: object) -> UUID:
        if not isinstance(text, str) or len(text) != _UUID_LENGTH:
            return _uuid(text)
        try:
            found = UUID(text)
        except ValueError:
            raise _no_uuid(text) from None
        if len(self) >= _REMEMBERED:
            self.clear()
        self[text] = found
        return found


_REMEMBERED = 8192
IDS = _Ids()


_SHOWN = 100  # characters of a wrong value; nobody reads a megabyte


def _shown(value: object) -> object:
    text = value if isinstance(value, str) else str(value)
    return value if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _timestamp(value: object) -> datetime:
    """ISO 8601; without an offset it is UTC, as in every client since 0.8."""
    # What every client writes, without a further call: a batch of log lines has hundreds.
    if isinstance(value, str) and value[10:11] == "T":
        try:
            timestamp = datetime.fromisoformat(value)
        except ValueError:
            return _unusual_timestamp(value)
        if timestamp.tzinfo is UTC:
            return timestamp
    return _unusual_timestamp(value)


def _unusual_timestamp(value: object) -> datetime:
    if not isinstance(value, str):
        msg = f"DateTime cannot represent {_shown(value)!r}: it is not an ISO 8601 string"
        raise GraphQLError(msg)
    text = value.strip().replace(" ", "T", 1)
    try:
        timestamp = _usual_timestamp(text) or isoparse(text)
        return (
            timestamp.replace(tzinfo=UTC) if timestamp.tzinfo is None else timestamp.astimezone(UTC)
        )
    except ValueError:
        msg = f"DateTime cannot represent {_shown(value)!r}: it is not an ISO 8601 string"
        raise GraphQLError(msg) from None
    except OverflowError:
        msg = (
            f"DateTime cannot represent {_shown(value)!r}: in UTC it is not in the years 1 to 9999"
        )
        raise GraphQLError(msg) from None


def _usual_timestamp(text: str) -> datetime | None:
    """What every client writes, read in a fraction of the time that all of ISO 8601 takes; None for the rest."""
    if text[10:11] != "T":
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


LogLevel = NewType("LogLevel", str)
"""A level as Python's logging names it; also what the web UI filters and colours by."""

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class _Levels(dict[str, LogLevel]):
    """The level by its usual name, found without a call of Python; any other by `log_level`."""

    def __missing__(self, value: object) -> LogLevel:
        return log_level(value)


KNOWN_LEVELS = _Levels({name: LogLevel(name) for name in LEVELS})
KNOWN_LEVELS |= {"WARN": LogLevel("WARNING"), "FATAL": LogLevel("CRITICAL")}
_UNNAMED = re.compile(r"Level (\d{1,9})")  # how logging names what nobody has named


def log_level(value: object) -> LogLevel:
    """The level of a line. One of a program's own becomes INFO, or by its number the next lower one.

    As a scalar and not as an enumeration, so that one odd level does not refuse the whole batch.
    """
    text = str(value)
    if (known := KNOWN_LEVELS.get(text)) is not None:
        return known
    numbered = _UNNAMED.fullmatch(text.strip())
    number = int(numbered[1]) if numbered else value
    if isinstance(number, int) and not isinstance(number, bool):
        return LogLevel(LEVELS[min(max(number // 10, 1), 5) - 1])
    return KNOWN_LEVELS.get(text.strip().upper(), LogLevel("INFO"))


SlaKindName = NewType("SlaKindName", str)
"""The kind of a flow SLA. A scalar, since scripts write it as an enumeration's value and as a string."""

SCALARS: dict[Any, Any] = {
    JSON: strawberry.scalar(
        name="JSON", serialize=lambda v: v, parse_value=lambda v: v, parse_literal=_json_literal
    ),
    UUID: strawberry.scalar(name="UUID", serialize=str, parse_value=_uuid),
    SlaKindName: strawberry.scalar(name="flow_sla_kind", serialize=str, parse_value=str),
    LogLevel: strawberry.scalar(name="log_level", serialize=str, parse_value=log_level),
    datetime: strawberry.scalar(
        name="DateTime", serialize=lambda v: v.isoformat(), parse_value=_timestamp
    ),
}
