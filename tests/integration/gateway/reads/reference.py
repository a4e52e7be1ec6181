"""What the read path must answer, said slowly: queries as plain values, evaluated row by row in Python.

A query is a `Root`; `rendered` writes it as a GraphQL document, `Evaluator` answers it from the rows of a world. No SQL
and nothing of the compiler is used; only the catalog says which column refers to which table.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from operator import ge, gt, le, lt
from typing import Any
from uuid import UUID

import orjson

from services.gateway.reads.catalog import Catalog, Relationship
from tests.integration.gateway.reads.world import Row, World

Truth = bool | None


class Word(str):
    """An enum value: written without quotes."""

    __slots__ = ()


@dataclass(frozen=True)
class Selected:
    """One selected field. `below` is what is selected of it; `via` how it is written (a fragment, a directive)."""

    key: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    below: "tuple[Selected, ...]" = ()
    via: str = "plain"


@dataclass(frozen=True)
class Root:
    """A root field of a table; `variables` are the arguments that are sent as variables."""

    table: str
    field: Selected
    variables: tuple[str, ...] = ()


class Unordered(list[Any]):
    """A list whose order nobody asked for."""


# writing -------------------------------------------------------------------------------------------------------------

_TYPES = {"where": "{}_bool_exp", "order_by": "[{}_order_by!]", "limit": "Int", "offset": "Int",
          "distinct_on": "[{}_select_column!]"}  # fmt: skip


def rendered(root: Root) -> tuple[str, dict[str, Any]]:
    """The document and its variables."""
    declared = ", ".join(f"${name}: {_TYPES[name].format(root.table)}" for name in root.variables)
    head = f"query Q({declared})" if declared else "query Q"
    variables = {name: root.field.arguments[name] for name in root.variables}
    inline = {name: value for name, value in root.field.arguments.items() if name not in variables}
    inline |= {name: Word("$" + name) for name in root.variables}
    top = Selected(root.field.key, root.field.name, inline, root.field.below)
    return f"{head} {{ {_field(top)} }}", variables


def _field(selected: Selected) -> str:
    text = f"{selected.key}: {selected.name}" if selected.key != selected.name else selected.name
    if selected.arguments:
        pairs = ", ".join(f"{name}: {literal(value)}" for name, value in selected.arguments.items())
        text += f"({pairs})"
    if selected.via == "include":
        text += " @include(if: true) @skip(if: false)"
    if selected.below:
        text += " { " + " ".join(_field(one) for one in selected.below) + " }"
    if selected.via == "fragment":
        return f"... {{ {text} }}"
    if selected.via == "skipped":
        return f"{text} gone: __typename @skip(if: true)"
    return text


def literal(value: Any) -> str:
    """A value as GraphQL writes it."""
    if isinstance(value, Word):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {literal(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    return orjson.dumps(value).decode()


def _waiting_reason(world: World, tenant: UUID, row: Row) -> str | None:
    """Of the states that worlds have, only a Scheduled one waits, and no start time of theirs is still to come."""
    if row["state"] != "Scheduled":
        return None
    for run in world.of("flow_run", tenant):
        if run["id"] == row["flow_run_id"] and run["state"] != "Running":
            return f"flow_run_not_running: {run['state']}"
    ended = ("Success", "Failed", "Cached", "Cancelled")
    unfinished = {
        run["task_id"]
        for run in world.of("task_run", tenant)
        if run["flow_run_id"] == row["flow_run_id"] and run["state"] not in ended
    }
    upstream = {
        edge["upstream_task_id"]
        for edge in world.of("edge", tenant)
        if edge["downstream_task_id"] == row["task_id"]
    }
    names = {
        task["slug"] if task["name"] is None else task["name"]
        for task in world.of("task", tenant)
        if task["id"] in upstream & unfinished
    }
    return f"upstream_unfinished: {', '.join(sorted(names)[:3])}" if names else "not_started"


# answering -----------------------------------------------------------------------------------------------------------


_NAMES_BEHIND = {
    "audit_log": {"actor_name": "user_id"},
    "flow": {"created_by_name": "created_by"},
    "flow_run": {"created_by_name": "created_by"},
    "flow_run_state": {"actor_name": "actor"},
    "task_run_state": {"actor_name": "actor"},
}
"""Computed columns that hold a name, and the column with the id."""


class Evaluator:
    """Answers queries for one tenant."""

    def __init__(self, world: World, catalog: Catalog, tenant: UUID) -> None:
        self._catalog = catalog
        self._rows = {
            name: [self._seen(world, tenant, name, row) for row in world.of(name, tenant)]
            for name in catalog.tables
            if name in world.rows
        }

    def _seen(self, world: World, tenant: UUID, table: str, row: Row) -> Row:
        """A row with its computed columns."""
        seen = dict(row)
        for name, by in _NAMES_BEHIND.get(table, {}).items():
            # Names are the reader's tenant's own. In worlds the actors of the trail are no keys.
            names = [p["name"] for p in world.of("person", tenant) if p["id"] == row[by]]
            seen[name] = names[0] if names else row["actor"] if table == "audit_log" else None
        pings = {
            "flow_run": ("last_seen", "flow_run_id"),
            "task_run": ("task_last_seen", "task_run_id"),
        }
        if table in pings:
            source, column = pings[table]
            times = [ping["at"] for ping in world.of(source, tenant) if ping[column] == row["id"]]
            seen["heartbeat"] = max(
                [t for t in [row["heartbeat"], *times] if t is not None], default=None
            )
        if table == "flow":
            seen["is_schedule_active"] = row["is_schedule_active"] and not row["archived"]
            # Worlds have no parameters and no rows of the scheduler; test_late_reason.py has.
            seen["late_reason"] = None
        if table == "flow_run":
            both = row["start_time"] is not None and row["end_time"] is not None
            seen["log_lines_dropped"] = sum(
                usage["dropped"]
                for usage in world.of("log_usage", tenant)
                if usage["flow_run_id"] == row["id"]
            )
            seen["duration"] = row["end_time"] - row["start_time"] if both else None
        if table == "task_run":
            both = row["start_time"] is not None and row["end_time"] is not None
            seen["duration"] = row["end_time"] - row["start_time"] if both else None
            seen["waiting_reason"] = _waiting_reason(world, tenant, row)
        return seen

    def answer(self, root: Root) -> Any:
        """The value of the root field."""
        return self._many(root.table, self._rows[root.table], root.field)

    def by_key(self, table: str, key: UUID, below: Sequence[Selected]) -> Any:
        """The value of a `_by_pk` field."""
        return next(
            (self._object(table, row, below) for row in self._rows[table] if row["id"] == key), None
        )

    def _many(self, table: str, rows: list[Row], selected: Selected) -> Any:
        if selected.name.endswith("_aggregate"):
            return self._aggregate(table, rows, selected)
        chosen = self._chosen(table, rows, selected.arguments)
        return self._list(table, chosen, selected.arguments, selected.below)

    def _list(
        self, table: str, rows: list[Row], arguments: dict[str, Any], below: Sequence[Selected]
    ) -> list[Any]:
        objects = [self._object(table, row, below) for row in rows]
        return objects if arguments.get("order_by") else Unordered(objects)

    def _object(self, table: str, row: Row, below: Sequence[Selected]) -> dict[str, Any]:
        return {one.key: self._value(table, row, one) for one in below}

    def _value(self, table: str, row: Row, selected: Selected) -> Any:
        if selected.name == "__typename":
            return table
        if selected.name in self._catalog[table].columns:
            return shown(row[selected.name])
        relationships = self._catalog[table].relationships
        relationship = (
            relationships.get(selected.name)
            or relationships[selected.name.removesuffix("_aggregate")]
        )
        related = self._related(relationship, row)
        if relationship.many:
            return self._many(relationship.target, related, selected)
        return self._object(relationship.target, related[0], selected.below) if related else None

    def _related(self, relationship: Relationship, row: Row) -> list[Row]:
        ours = row[relationship.local]
        if ours is None:
            return []
        return [one for one in self._rows[relationship.target] if one[relationship.remote] == ours]

    # which rows, in which order

    def _chosen(self, table: str, rows: list[Row], arguments: dict[str, Any]) -> list[Row]:
        chosen = [row for row in rows if self._holds(table, row, arguments.get("where")) is True]
        chosen = self._sorted(table, chosen, arguments.get("order_by") or [])
        if arguments.get("distinct_on"):
            seen: set[tuple[str, ...]] = set()
            kept = []
            for row in chosen:
                key = tuple(str(shown(row[column])) for column in arguments["distinct_on"])
                if key not in seen:
                    seen.add(key)
                    kept.append(row)
            chosen = kept
        start = arguments.get("offset") or 0
        limit = arguments.get("limit")
        return chosen[start:] if limit is None else chosen[start : start + limit]

    def _sorted(self, table: str, rows: list[Row], order_by: list[dict[str, Any]]) -> list[Row]:
        terms = [term for item in order_by for term in self._terms(table, item, lambda row: row)]
        for get, direction in reversed(terms):
            nulls_first = direction.endswith("nulls_first") or direction == "desc"
            known = [row for row in rows if get(row) is not None]
            unknown = [row for row in rows if get(row) is None]
            # `reverse` keeps equal rows in the order that the later terms gave them.
            known = sorted(known, key=get, reverse=direction.startswith("desc"))
            rows = unknown + known if nulls_first else known + unknown
        return rows

    def _terms(
        self, table: str, item: dict[str, Any], base: Callable[[Row], Row | None]
    ) -> list[tuple[Callable[[Row], Any], str]]:
        terms: list[tuple[Callable[[Row], Any], str]] = []
        for name, value in item.items():
            if value is None:
                continue
            if name in self._catalog[table].columns:
                terms.append((_column_of(base, name), value))
                continue
            relationships = self._catalog[table].relationships
            if name in relationships:
                one = relationships[name]
                terms += self._terms(one.target, value, self._one_of(base, one))
                continue
            many = relationships[name.removesuffix("_aggregate")]
            for function, inner in value.items():
                if function == "count":
                    terms.append((self._count_of(base, many), inner))
                else:
                    terms += [
                        (self._function_of(base, many, function, column), direction)
                        for column, direction in inner.items()
                    ]
        return terms

    def _one_of(
        self, base: Callable[[Row], Row | None], relationship: Relationship
    ) -> Callable[[Row], Row | None]:
        def get(row: Row) -> Row | None:
            ours = base(row)
            related = self._related(relationship, ours) if ours is not None else []
            return related[0] if related else None

        return get

    def _count_of(
        self, base: Callable[[Row], Row | None], relationship: Relationship
    ) -> Callable[[Row], Any]:
        def get(row: Row) -> int:
            ours = base(row)
            return len(self._related(relationship, ours)) if ours is not None else 0

        return get

    def _function_of(
        self,
        base: Callable[[Row], Row | None],
        relationship: Relationship,
        function: str,
        column: str,
    ) -> Callable[[Row], Any]:
        def get(row: Row) -> Any:
            ours = base(row)
            return function_of(
                function,
                [one[column] for one in (self._related(relationship, ours) if ours else [])],
            )

        return get

    # filters

    def _holds(self, table: str, row: Row, where: dict[str, Any] | None) -> Truth:
        if where is None:
            return True
        return _and([self._member(table, row, name, value) for name, value in where.items()])

    def _member(self, table: str, row: Row, name: str, value: Any) -> Truth:
        if value is None:
            return True
        if name == "_not":
            inner = self._holds(table, row, value)
            return None if inner is None else not inner
        if name == "_and":
            return _and([self._holds(table, row, one) for one in value])
        if name == "_or":
            return _or([self._holds(table, row, one) for one in value])
        if name in self._catalog[table].columns:
            scalar = self._catalog[table].columns[name].scalar
            return _and(
                [
                    _compare(scalar, row[name], operator, operand)
                    for operator, operand in value.items()
                ]
            )
        relationship = self._catalog[table].relationships[name]
        if self._says_only_null(relationship.target, value):
            return True
        return any(
            self._holds(relationship.target, one, value) is True
            for one in self._related(relationship, row)
        )

    def _says_only_null(self, table: str, where: dict[str, Any] | None) -> bool:
        """Whether a filter has operands, and every one that could matter is null."""
        if where is None:
            return True
        silent = [self._member_says(table, name, value) for name, value in where.items()]
        return all(one != "something" for one in silent) and "null" in silent

    def _member_says(self, table: str, name: str, value: Any) -> str:
        """`null`: an operand was null; `nothing`: always true as it stands; `something`: a condition."""
        if value is None:
            return "null"
        if name == "_not":
            return "something"
        if name in ("_and", "_or"):
            said = [self._filter_says(table, one) for one in value]
            if name == "_or":
                if not said:
                    return "something"  # false
                if all(one == "something" for one in said):
                    return "something"
                return "null" if "null" in said else "nothing"
            if "something" in said:
                return "something"
            return "null" if "null" in said else "nothing"
        if name in self._catalog[table].columns:
            said = [
                "null"
                if operand is None
                else "nothing"
                if (operator, operand) == ("_nin", [])
                else "something"
                for operator, operand in value.items()
            ]
            if "something" in said:
                return "something"
            return "null" if "null" in said else "nothing"
        target = self._catalog[table].relationships[name].target
        return "null" if self._says_only_null(target, value) else "something"

    def _filter_says(self, table: str, where: dict[str, Any] | None) -> str:
        if where is None:
            return "null"
        said = [self._member_says(table, name, value) for name, value in where.items()]
        if "something" in said:
            return "something"
        return "null" if "null" in said else "nothing"

    # aggregates

    def _aggregate(self, table: str, rows: list[Row], selected: Selected) -> dict[str, Any]:
        chosen = self._chosen(table, rows, selected.arguments)
        answer: dict[str, Any] = {}
        for one in selected.below:
            if one.name == "nodes":
                answer[one.key] = self._list(table, chosen, selected.arguments, one.below)
            elif one.name == "__typename":
                answer[one.key] = f"{table}_aggregate"
            else:
                answer[one.key] = {
                    value.key: self._aggregated(table, chosen, value) for value in one.below
                }
        return answer

    def _aggregated(self, table: str, rows: list[Row], selected: Selected) -> Any:
        if selected.name == "__typename":
            return f"{table}_aggregate_fields"
        if selected.name != "count":
            return {
                one.key: shown(function_of(selected.name, [row[one.name] for row in rows]))
                for one in selected.below
            }
        columns = selected.arguments.get("columns") or []
        if not columns:
            return len(rows)
        tuples = [tuple(repr(shown(row[column])) for column in columns) for row in rows]
        if len(columns) == 1:
            tuples = [
                one for one, row in zip(tuples, rows, strict=True) if row[columns[0]] is not None
            ]
        return len(set(tuples)) if selected.arguments.get("distinct") else len(tuples)


def _column_of(base: Callable[[Row], Row | None], name: str) -> Callable[[Row], Any]:
    def get(row: Row) -> Any:
        ours = base(row)
        return None if ours is None else ours[name]

    return get


def function_of(function: str, values: list[Any]) -> Any:
    """An aggregate of what is not null; None of nothing, and of one value where a sample needs two."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    if function in _SPREADS:
        return _spread(function, known)
    if function == "avg":
        return sum(known) / len(known)
    if function == "sum":
        return sum(known)
    return min(known) if function == "min" else max(known)


_SPREADS = {"stddev", "stddev_pop", "stddev_samp", "var_pop", "var_samp", "variance"}


def _spread(function: str, known: list[int]) -> float | None:
    """The mean square distance from the mean, or its root: of all there are, or of a sample of one fewer."""
    count = len(known) if function.endswith("_pop") else len(known) - 1
    if not count:
        return None
    mean = Fraction(sum(known), len(known))
    variance = sum((value - mean) ** 2 for value in known) / count
    return math.sqrt(variance) if function.startswith("stddev") else float(variance)


def shown(value: Any) -> Any:
    """A value as PostgreSQL writes it in JSON."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        text = value.strftime("%Y-%m-%dT%H:%M:%S")
        fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
        return f"{text}{fraction}+00:00"
    if isinstance(value, timedelta):
        return _interval(value)
    return value


def _interval(value: timedelta) -> str:
    sign = "-" if value < timedelta(0) else ""
    days, rest = divmod(abs(value), timedelta(days=1))
    hours, below_hour = divmod(rest, timedelta(hours=1))
    minutes, below_minute = divmod(below_hour, timedelta(minutes=1))
    seconds = f"{below_minute.seconds:02d}"
    if below_minute.microseconds:
        seconds += f".{below_minute.microseconds:06d}".rstrip("0")
    clock = f"{sign}{hours:02d}:{minutes:02d}:{seconds}"
    if not days:
        return clock
    named = f"{sign}{days} day{'' if sign == '' and days == 1 else 's'}"
    return f"{named} {clock}" if rest else named


def _and(parts: list[Truth]) -> Truth:
    if any(part is False for part in parts):
        return False
    return None if any(part is None for part in parts) else True


def _or(parts: list[Truth]) -> Truth:
    if any(part is True for part in parts):
        return True
    return None if any(part is None for part in parts) else False


def _compare(scalar: str, value: Any, operator: str, operand: Any) -> Truth:
    if operand is None:
        return True
    if operator == "_is_null":
        return (value is None) is operand
    if operator in ("_in", "_nin") and not operand:
        return operator == "_nin"
    if operator == "_cast":
        return _and(
            [
                _compare("String", None if value is None else _json_text(value), o, v)
                for o, v in operand["String"].items()
            ]
        )
    if value is None:
        return None
    if operator in ("_in", "_nin"):
        found = any(_equal(value, _read(scalar, one)) for one in operand)
        return found if operator == "_in" else not found
    if operator in _MATCHERS:
        return _MATCHERS[operator](value, operand)
    other = _read(scalar, operand)
    if operator in ("_eq", "_neq"):
        return _equal(value, other) is (operator == "_eq")
    if scalar == "jsonb":
        return bool(_ORDERINGS[operator](_json_order(value), _json_order(other)))
    return bool(_ORDERINGS[operator](value, other))


_ORDERINGS: dict[str, Callable[[Any, Any], Any]] = {
    "_gt": gt, "_gte": ge, "_lt": lt, "_lte": le,
}  # fmt: skip


def _read(scalar: str, operand: Any) -> Any:
    if scalar == "uuid":
        return UUID(operand)
    if scalar == "timestamptz":
        timestamp = datetime.fromisoformat(operand)
        return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
    if scalar == "interval":
        return timedelta(
            seconds=sum(int(p) * f for p, f in zip(operand.split(":"), (3600, 60, 1), strict=True))
        )
    return operand


def _equal(one: Any, other: Any) -> bool:
    """Equality of JSON values, in which true is not 1."""
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_equal(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def _keys_in_order(value: dict[str, Any]) -> list[str]:
    """Keys as jsonb stores them: the shorter first."""
    return sorted(value, key=lambda key: (len(key.encode()), key.encode()))


def _json_text(value: Any) -> str:
    """A JSON value as PostgreSQL writes jsonb."""
    if isinstance(value, dict):
        pairs = [f"{_json_text(key)}: {_json_text(value[key])}" for key in _keys_in_order(value)]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_json_text(one) for one in value) + "]"
    return orjson.dumps(value).decode()


def _json_order(value: Any) -> tuple[Any, ...]:
    """What sorts JSON values as jsonb does: kinds first, then fewer members before more, then member by member.

    With one exception, which PostgreSQL keeps for the sake of old indexes: an empty array at the top is the least.
    """
    return (-1,) if value == [] and isinstance(value, list) else _inner_order(value)


def _inner_order(value: Any) -> tuple[Any, ...]:
    if value is None:
        return (0,)
    if isinstance(value, str):
        return (1, value.encode())
    if isinstance(value, bool):
        return (3, value)
    if isinstance(value, int | float):
        return (2, value)
    if isinstance(value, list):
        return (4, len(value), *(_inner_order(one) for one in value))
    pairs = [(_inner_order(key), _inner_order(value[key])) for key in _keys_in_order(value)]
    return (5, len(value), *pairs)


def _contains(whole: Any, part: Any, *, top: bool = True) -> bool:
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and _contains(whole[key], part[key], top=False) for key in part)
    if isinstance(whole, list) and isinstance(part, list):
        return all(any(_contains(one, other, top=False) for one in whole) for other in part)
    if isinstance(whole, list) and top and not isinstance(part, dict):
        return any(_equal(one, part) for one in whole)
    if isinstance(whole, dict | list) or isinstance(part, dict | list):
        return False
    return _equal(whole, part)


def _has_key(value: Any, key: str) -> bool:
    if isinstance(value, dict):
        return key in value
    return (
        key in [one for one in value if isinstance(one, str)]
        if isinstance(value, list)
        else value == key
    )


def _like(value: str, pattern: str, *, fold: bool = False) -> bool:
    text = "".join(
        {"%": ".*", "_": "."}.get(part, re.escape(part[-1]))
        for part in re.findall(r"\\.|.", pattern)
    )
    return re.fullmatch(text, value, re.IGNORECASE if fold else 0) is not None


def _similar(value: str, pattern: str) -> bool:
    """SIMILAR TO knows `%`, `_`, `|` and brackets; a full stop is itself."""
    translated = pattern.replace(".", r"\.").replace("_", ".").replace("%", ".*")
    return re.fullmatch(translated, value) is not None


_POSITIVE: dict[str, Callable[[Any, Any], bool]] = {
    "_like": _like,
    "_ilike": lambda value, pattern: _like(value, pattern, fold=True),
    "_similar": _similar,
    "_regex": lambda value, pattern: re.search(pattern, value) is not None,
    "_iregex": lambda value, pattern: re.search(pattern, value, re.IGNORECASE) is not None,
    "_contains": _contains,
    "_contained_in": lambda value, whole: _contains(whole, value),
    "_has_key": _has_key,
    "_has_keys_any": lambda value, keys: any(_has_key(value, key) for key in keys),
    "_has_keys_all": lambda value, keys: all(_has_key(value, key) for key in keys),
}


def _denied(matcher: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, pattern: not matcher(value, pattern)


_MATCHERS = (
    _POSITIVE
    | {
        f"_n{name[1:]}": _denied(_POSITIVE[name])
        for name in ("_like", "_ilike", "_similar", "_regex")
    }
    | {"_niregex": _denied(_POSITIVE["_iregex"])}
)


def canonical(expected: Any, actual: Any) -> tuple[Any, Any]:
    """Both with the lists that nobody ordered in one order; what differs still differs."""
    if isinstance(expected, Unordered) and isinstance(actual, list):
        return _shuffled(expected), _shuffled(actual)
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = [canonical(one, other) for one, other in zip(expected, actual, strict=True)]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if isinstance(expected, dict) and isinstance(actual, dict) and list(expected) == list(actual):
        both = {key: canonical(expected[key], actual[key]) for key in expected}
        return {k: v[0] for k, v in both.items()}, {k: v[1] for k, v in both.items()}
    return _rounded(expected), _rounded(actual)


def _shuffled(value: Any) -> Any:
    """Every list below sorted by its text: inside an unordered list, which element is which is not known yet."""
    if isinstance(value, list):
        return sorted((_shuffled(one) for one in value), key=orjson.dumps)
    if isinstance(value, dict):
        return {key: _shuffled(one) for key, one in value.items()}
    return _rounded(value)


def _rounded(value: Any) -> Any:
    """A float to twelve digits: PostgreSQL divides in decimals, so its average may be the float beside ours.

    A whole one is an int, since PostgreSQL writes 0 where Python writes 0.0, and lists are sorted by their text.
    """
    if not isinstance(value, float):
        return value
    rounded = float(f"{value:.12g}")
    return int(rounded) if rounded.is_integer() else rounded
