"""The scalar family of mutations: `UUID`, `DateTime`, `JSON` (those of queries are in `reads`)."""

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NewType
from uuid import UUID

import strawberry
from dateutil.parser import isoparse
from graphql import GraphQLError, ValueNode, value_from_ast_untyped

JSON = NewType("JSON", object)
"""Any JSON value; an inline literal is a string of JSON text (backend.md section 0)."""


def _json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
    value = value_from_ast_untyped(node, variables)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        msg = f"JSON cannot represent the literal {value[:100]!r}: it is not JSON text"
        raise GraphQLError(msg, node) from None


_UUID_LENGTH = 36


def _uuid(value: object) -> UUID:
    try:
        text = str(value)
        # Python skips hyphens wherever they are: of a megabyte of them nothing is to be kept.
        return _known_uuid(text) if len(text) == _UUID_LENGTH else UUID(text)
    except ValueError:
        msg = f"Could not parse UUID: {value}"
        raise GraphQLError(msg) from None


@lru_cache(maxsize=8192)
def _known_uuid(text: str) -> UUID:
    """A batch of log lines names its run in each of them, and a run's client its run in each request."""
    return UUID(text)


def _moment(value: object) -> datetime:
    """ISO 8601; without an offset it is UTC, as in every client since 0.8."""
    if not isinstance(value, str):
        msg = f"DateTime cannot represent {value!r}: it is not an ISO 8601 string"
        raise GraphQLError(msg)
    usual = _usual_moment(value)
    if usual is not None and usual.tzinfo is UTC:
        return usual
    text = value.strip().replace(" ", "T", 1)
    try:
        moment = _usual_moment(text) or isoparse(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except ValueError:
        msg = f"DateTime cannot represent {value!r}: it is not an ISO 8601 string"
        raise GraphQLError(msg) from None
    except OverflowError:
        msg = f"DateTime cannot represent {value!r}: in UTC it is not in the years 1 to 9999"
        raise GraphQLError(msg) from None


def _usual_moment(text: str) -> datetime | None:
    """What every client writes, read in a fraction of the time that all of ISO 8601 takes; None for the rest."""
    if text[10:11] != "T":
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


SCALARS: dict[Any, Any] = {
    JSON: strawberry.scalar(
        name="JSON", serialize=lambda v: v, parse_value=lambda v: v, parse_literal=_json_literal
    ),
    UUID: strawberry.scalar(name="UUID", serialize=str, parse_value=_uuid),
    datetime: strawberry.scalar(
        name="DateTime", serialize=lambda v: v.isoformat(), parse_value=_moment
    ),
}
