"""The valid values of each scalar, and their binding to a statement.

Binding converts to the driver's types and refuses with PostgreSQL's texts; no text of a client is ever part of a
statement.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from graphql import GraphQLError

from libs.runtime import exact_json

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Binding:
    """The binding of a scalar: the cast around the parameter (for one and for many) and the conversion."""

    one: str
    many: str
    convert: Convert

    def convert_many(self, values: Any) -> list[Any]:
        """Convert the elements of a list; a single value is a list of one."""
        if not isinstance(values, list | tuple):
            return [self.convert(values)]
        return [self.convert(value) for value in values]


def uuid_value(value: Any) -> UUID:
    """A UUID in any form that PostgreSQL accepts."""
    if isinstance(value, UUID):
        return value
    try:
        return UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise _invalid("uuid", value) from None


def timestamp_value(value: Any) -> datetime:
    """ISO 8601 with or without a time and an offset; without an offset it is UTC, as clients mean it."""
    if isinstance(value, datetime):
        timestamp = value
    else:
        try:
            timestamp = datetime.fromisoformat(value.strip())
        except (ValueError, AttributeError, TypeError):
            raise _no_timestamp(value) from None
    try:
        if timestamp.tzinfo is None:
            return timestamp.replace(tzinfo=UTC)
        return timestamp.astimezone(UTC)
    except (OverflowError, ValueError):
        raise _no_timestamp(value) from None


_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}


def named_timestamp(value: Any, at: datetime) -> Any:
    """The instant of a word of PostgreSQL (such as `now`) in a request at `at`; other values come back unchanged.

    A day is its midnight in UTC. A list is a list of operands. Only conditions accept these words: in stored values
    they would become a fixed date.
    """
    if isinstance(value, list | tuple):
        return [named_timestamp(one, at) for one in value]
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    if word in ("now", "now()"):
        return at
    if word in _DAYS:
        midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight + timedelta(days=_DAYS[word])
    return value


def text_value(value: Any) -> str:
    """Any text that PostgreSQL can store."""
    if not isinstance(value, str):
        raise _invalid("String", value)
    if "\0" in value:
        raise _nul()
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            raise _invalid("String", value) from None
    return value


PATTERN_LIMIT = 2_000
"""Characters of a regular expression; one of a million kept PostgreSQL at work until the query's time was up."""


_LONGEST_INTERVAL = 200  # characters; PostgreSQL quotes all of it in its error


def interval_value(value: Any) -> str:
    """Any interval, as its text."""
    text = text_value(value)
    if len(text) > _LONGEST_INTERVAL:
        raise _invalid("interval", text)
    return text


def pattern_value(value: Any) -> str:
    """Text that PostgreSQL compiles."""
    text = text_value(value)
    if len(text) > PATTERN_LIMIT:
        msg = (
            f"invalid String for a pattern: it has {len(text):,} characters, and at most {PATTERN_LIMIT:,} are taken;"
            " _like takes more"
        )
        raise GraphQLError(msg)
    return text


def int_value(value: Any) -> int:
    """A 32-bit integer."""
    return _integer("Int", value, 2**31)


def bigint_value(value: Any) -> int:
    """A 64-bit integer, written as a number or a string."""
    return _integer("bigint", value, 2**63)


def json_value(value: Any) -> str:
    """Any JSON value, as its text."""
    try:
        text = exact_json.dumps(value).decode()
    except (TypeError, ValueError, RecursionError):
        raise _invalid("jsonb", value) from None
    if exact_json.holds_nul(text):
        raise _nul()
    return text


def boolean_value(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise _invalid("Boolean", value)
    return value


def uuid_list_value(value: Any) -> list[UUID]:
    """A PostgreSQL array literal of UUIDs, `{a,b}`, as the scalar `_uuid` is written."""
    if isinstance(value, str) and value.strip().startswith("{") and value.strip().endswith("}"):
        inside = value.strip()[1:-1].strip()
        return [uuid_value(item.strip().strip('"')) for item in inside.split(",")] if inside else []
    msg = f"malformed array literal: {_shown(value)}"
    raise GraphQLError(msg)


BINDINGS: dict[str, Binding] = {
    "uuid": Binding("{}::uuid", "{}::uuid[]", uuid_value),
    "String": Binding("{}::varchar", "{}::varchar[]", text_value),
    "timestamptz": Binding("{}::timestamptz", "{}::timestamptz[]", timestamp_value),
    "Int": Binding("{}::int", "{}::int[]", int_value),
    "bigint": Binding("{}::bigint", "{}::bigint[]", bigint_value),
    "Boolean": Binding("{}::boolean", "{}::boolean[]", boolean_value),
    "pattern": Binding("{}::varchar", "{}::varchar[]", pattern_value),
    # As text, because only PostgreSQL knows all their forms.
    "interval": Binding("{}::text::interval", "{}::text[]::interval[]", interval_value),
    "jsonb": Binding("{}::text::jsonb", "{}::text[]::jsonb[]", json_value),
    "text": Binding("{}::text", "{}::text[]", text_value),
}


def _integer(name: str, value: Any, bound: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _invalid(name, value)
    try:
        number = int(value)
    except (ValueError, OverflowError):
        raise _invalid(name, value) from None
    if (isinstance(value, float) and number != value) or not -bound <= number < bound:
        raise _invalid(name, value)
    return number


def _invalid(name: str, value: Any) -> GraphQLError:
    return GraphQLError(f"invalid input syntax for type {name}: {_shown(value)}")


def _no_timestamp(value: Any) -> GraphQLError:
    return GraphQLError(
        f"invalid input syntax for type timestamptz: {_shown(value)}; give ISO 8601, such as 2026-01-31T12:00:00Z,"
        " or now, today, yesterday or tomorrow (UTC)"
    )


def _nul() -> GraphQLError:
    return GraphQLError("a string must not contain the character U+0000")


def _shown(value: Any) -> str:
    text = str(value).encode(errors="backslashreplace").decode()
    return f'"{text[:100]}…"' if len(text) > 100 else f'"{text}"'
