"""`where`, `order_by`, `limit` and `offset` of the list queries that are no tables, as Hasura has them. Pure.

The web UI's interactive page adds `limit: 100` to every list, and scripts filter them as any other. These lists are
short (a thousand rows at most) and in memory already, so they are filtered here, by the rules of the read path: a null
operand is no condition, a comparison with a null value is not true.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import ge, gt, le, lt
from typing import Any
from uuid import UUID

from graphql import GraphQLError

from services.gateway.reads.values import named_timestamp, timestamp_value, uuid_value

Truth = bool | None
Where = dict[str, Any]


def paged(
    rows: Sequence[Any],
    *,
    where: Where | None,
    order_by: Sequence[dict[str, Any]] | None,
    limit: int | None,
    offset: int | None,
    at: datetime,
) -> list[Any]:
    """The rows that the arguments of a request of `at` choose. GraphQLError for what they cannot mean."""
    for name, number in (("limit", limit), ("offset", offset)):
        if number is not None and number < 0:
            msg = f"{name} must not be negative: {number}"
            raise GraphQLError(msg)
    chosen = [row for row in rows if _holds(row, where, at) is True]
    for name, direction in reversed(_terms(order_by)):
        chosen = _ordered(chosen, name, direction)
    start = offset or 0
    return chosen[start:] if limit is None else chosen[start : start + limit]


def _terms(order_by: Sequence[dict[str, Any]] | None) -> list[tuple[str, str]]:
    return [
        (name, direction)
        for item in order_by or ()
        for name, direction in item.items()
        if direction is not None
    ]


def _ordered(rows: list[Any], name: str, direction: str) -> list[Any]:
    nulls_first = direction.endswith("nulls_first") or direction == "desc"
    known = [row for row in rows if getattr(row, name) is not None]
    unknown = [row for row in rows if getattr(row, name) is None]
    known.sort(key=lambda row: _sortable(getattr(row, name)), reverse=direction.startswith("desc"))
    return unknown + known if nulls_first else known + unknown


def _sortable(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _holds(row: Any, where: Where | None, at: datetime) -> Truth:
    if where is None:
        return True
    return _all(_member(row, name, value, at) for name, value in where.items())


def _member(row: Any, name: str, value: Any, at: datetime) -> Truth:
    if value is None:
        return True
    if name == "_not":
        return _not(_holds(row, value, at))
    if name == "_and":
        return _all(_holds(row, one, at) for one in value)
    if name == "_or":
        return _not(_all(_not(_holds(row, one, at)) for one in value))
    found = getattr(row, name)
    if isinstance(found, list):
        return any(_holds(one, value, at) is True for one in found)
    if hasattr(found, "__dataclass_fields__"):
        return _holds(found, value, at)
    return _all(_compared(found, operator, operand, at) for operator, operand in value.items())


def _compared(value: Any, operator: str, operand: Any, at: datetime) -> Truth:
    if operand is None:
        return True
    if isinstance(value, datetime):
        operand = named_timestamp(operand, at)
    if operator == "_is_null":
        return (value is None) is operand
    if operator in ("_in", "_nin") and not operand:
        return operator == "_nin"
    if value is None:
        return None
    if operator in ("_in", "_nin"):
        return (value in [_like_the_value(value, one) for one in operand]) is (operator == "_in")
    if operator in _PATTERNS:
        wanted, fold = _PATTERNS[operator]
        text, pattern = (str(value), str(operand))
        found = _matches(text.lower(), pattern.lower()) if fold else _matches(text, pattern)
        return found is wanted
    if operator not in _COMPARISONS:
        msg = f"{operator} is not offered for this list; use _like or _ilike with % and _."
        raise GraphQLError(msg)
    return _COMPARISONS[operator](_sortable(value), _sortable(_like_the_value(value, operand)))


def _like_the_value(value: Any, operand: Any) -> Any:
    """The operand as the kind of value that it is compared with."""
    if isinstance(value, UUID):
        return uuid_value(operand)
    if isinstance(value, datetime):
        return timestamp_value(operand)
    return operand


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "_eq": lambda one, other: bool(one == other),
    "_neq": lambda one, other: bool(one != other),
    "_gt": gt,
    "_gte": ge,
    "_lt": lt,
    "_lte": le,
}
_PATTERNS = {  # operator: (what a match means, whether case is ignored)
    "_like": (True, False),
    "_nlike": (False, False),
    "_ilike": (True, True),
    "_nilike": (False, True),
    # Of SIMILAR TO only what it shares with LIKE: members are searched for as `%name%`.
    "_similar": (True, False),
    "_nsimilar": (False, False),
}


def _matches(text: str, pattern: str) -> bool:
    """SQL's LIKE, in time that no pattern can blow up: of two wildcards only the later one is ever tried again."""
    parts = [(part[-1], part) for part in _PART.findall(pattern)]
    at = index = 0
    wildcard: tuple[int, int] | None = None
    while at < len(text):
        character, part = parts[index] if index < len(parts) else ("", "")
        if part == "%":
            wildcard = (index, at)
            index += 1
        elif part == "_" or (part and character == text[at]):
            at, index = at + 1, index + 1
        elif wildcard is not None:
            wildcard = (wildcard[0], wildcard[1] + 1)
            index, at = wildcard[0] + 1, wildcard[1]
        else:
            return False
    return all(part == "%" for _, part in parts[index:])


_PART = re.compile(r"\\.|.", re.DOTALL)
"""A character of a pattern, with the backslash before it."""


def _not(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _all(truths: Iterable[Truth]) -> Truth:
    said = list(truths)
    if any(truth is False for truth in said):
        return False
    return None if any(truth is None for truth in said) else True
