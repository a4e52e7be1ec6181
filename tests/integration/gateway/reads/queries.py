"""Random queries over the whole catalog, as values of `reference`.

They are drawn from a `random.Random`, not by Hypothesis: its engine has twice reported a failed comparison as
inconsistent generation, minutes of shrinking later, and the query that failed was lost.
"""

from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar

from services.gateway.reads.catalog import Catalog, Column, Table
from services.gateway.reads.operators import AGGREGATES, JSON_COMPARISONS, aggregated
from tests.integration.gateway.reads.reference import Root, Selected, Word, shown
from tests.integration.gateway.reads.world import JSON, NAMES, STATES, World

_DIRECTIONS = (
    "asc", "desc", "asc_nulls_first", "asc_nulls_last", "desc_nulls_first", "desc_nulls_last",
)  # fmt: skip
_COMPARISONS = ("_eq", "_neq", "_gt", "_gte", "_lt", "_lte")
_KEY_COMPARISONS = ("_has_key", "_has_keys_any", "_has_keys_all")
_PATTERNS = {
    "_like": ("a%", "%a", "_eta", r"a\%b", "%A%"),
    "_similar": ("(alpha|beta)", "a%", "delta.1"),
    "_regex": ("^a", "a$", "t.*[0-9]$", "A"),
}


T = TypeVar("T")


class Queries:
    """Draws queries that are valid, and whose answers are determined."""

    def __init__(self, catalog: Catalog, world: World) -> None:
        self._catalog = catalog
        self._world = world
        self._tables = [name for name in catalog.tables if name in world.rows]

    def root(self, dice: Random) -> Root:
        """A list or an aggregate of any table."""
        table = self._catalog[dice.choice(self._tables)]
        aggregate = _coin(dice)
        arguments = self._arguments(dice, table, 2)
        below = self._aggregate(dice, table, 1) if aggregate else self._selection(dice, table, 2)
        name = f"{table.name}_aggregate" if aggregate else table.name
        variables = tuple(name for name in arguments if _coin(dice))
        key = dice.choice([name, "r"])
        return Root(table.name, Selected(key, name, arguments, below), variables)

    # selections

    def _selection(self, dice: Random, table: Table, depth: int) -> tuple[Selected, ...]:
        names = _some(dice, ["__typename", *table.columns], 1, 4)
        found = [
            Selected(f"c{number}" if _coin(dice) else name, name, via=self._via(dice))
            for number, name in enumerate(dict.fromkeys(names))
        ]
        relationships = list(table.relationships.values())
        if depth and relationships:
            for number in range(dice.randint(0, 2)):
                relationship = dice.choice(relationships)
                target = self._catalog[relationship.target]
                key, name = f"r{number}", relationship.name
                if not relationship.many:
                    below = self._selection(dice, target, depth - 1)
                    found.append(Selected(key, name, {}, below, self._via(dice)))
                    continue
                arguments = self._arguments(dice, target, depth - 1)
                if _coin(dice):
                    below = self._selection(dice, target, depth - 1)
                else:
                    name, below = f"{name}_aggregate", self._aggregate(dice, target, depth - 1)
                found.append(Selected(key, name, arguments, below, self._via(dice)))
        return tuple(found)

    def _via(self, dice: Random) -> str:
        return str(dice.choice(["plain"] * 5 + ["include", "fragment", "skipped"]))

    def _aggregate(self, dice: Random, table: Table, depth: int) -> tuple[Selected, ...]:
        functions = [name for name in AGGREGATES if aggregated(table, name)]
        values = [Selected("__typename", "__typename")] if _coin(dice) else []
        for number, function in enumerate(_some(dice, ["count", *functions], 0, 3)):
            key = f"f{number}"
            if function == "count":
                columns = _different(dice, list(table.columns), 0, 2)
                arguments: dict[str, Any] = (
                    {"columns": [Word(name) for name in columns]} if columns else {}
                )
                if _coin(dice):
                    arguments["distinct"] = _coin(dice)
                values.append(Selected(key, "count", arguments))
            else:
                columns = _different(dice, [one.name for one in aggregated(table, function)], 1, 3)
                values.append(Selected(key, function, {}, tuple(Selected(c, c) for c in columns)))
        found = [Selected("aggregate", "aggregate", {}, tuple(values))] if values else []
        if _coin(dice) or not found:
            found.append(
                Selected("nodes", "nodes", {}, self._selection(dice, table, depth and depth - 1))
            )
        return tuple(found)

    # arguments

    def _arguments(self, dice: Random, table: Table, depth: int) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        if dice.randint(0, 3):
            arguments["where"] = self._where(dice, table, depth)
        ordered = _coin(dice)
        distinct: list[str] = []
        if ordered and dice.randint(0, 3) == 0:
            distinct = _different(dice, self._sortable(table), 1, 2)
            arguments["distinct_on"] = [Word(name) for name in distinct]
        if ordered:
            first = [{name: self._direction(dice)} for name in distinct]
            rest = dice.randint(0, 2)
            chosen = [self._order(dice, table, depth) for _ in range(rest)]
            last = [{"id": self._direction(dice)}]
            merged = _coin(dice)
            items = first + chosen + last
            if merged and len({name for item in items for name in item}) == sum(
                len(item) for item in items
            ):
                items = [{name: value for item in items for name, value in item.items()}]
            arguments["order_by"] = items
            if _coin(dice):
                arguments["limit"] = dice.randint(0, 5)
            if _coin(dice):
                arguments["offset"] = dice.randint(0, 3)
        for name in ("where", "limit", "offset", "order_by", "distinct_on"):
            if name not in arguments and dice.randint(0, 9) == 0:
                arguments[name] = None
        return arguments

    def _sortable(self, table: Table) -> list[str]:
        return [name for name, column in table.columns.items() if column.scalar != "jsonb"]

    def _direction(self, dice: Random) -> Word:
        return Word(dice.choice(_DIRECTIONS))

    def _order(self, dice: Random, table: Table, depth: int) -> dict[str, Any]:
        relationships = list(table.relationships.values())
        if not depth or not relationships or _coin(dice):
            return {dice.choice(self._sortable(table)): self._direction(dice)}
        relationship = dice.choice(relationships)
        target = self._catalog[relationship.target]
        if not relationship.many:
            return {relationship.name: self._order(dice, target, depth - 1)}
        functions = [name for name in AGGREGATES if aggregated(target, name)]
        function = dice.choice(["count", *functions])
        if function == "count":
            return {f"{relationship.name}_aggregate": {"count": self._direction(dice)}}
        column = dice.choice(aggregated(target, function))
        return {f"{relationship.name}_aggregate": {function: {column.name: self._direction(dice)}}}

    # filters

    def _where(self, dice: Random, table: Table, depth: int) -> dict[str, Any] | None:
        if dice.randint(0, 19) == 0:
            return None
        found: dict[str, Any] = {}
        for _ in range(dice.randint(0, 3)):
            kinds = ["column"] * 4 + (["_and", "_or", "_not", "related"] if depth else [])
            kind = dice.choice(kinds)
            if kind == "column":
                column = dice.choice(list(table.columns.values()))
                found[column.name] = self._comparison(dice, table, column)
            elif kind == "_not":
                found[kind] = self._where(dice, table, depth - 1)
            elif kind == "related":
                if table.relationships:
                    relationship = dice.choice(list(table.relationships.values()))
                    target = self._catalog[relationship.target]
                    found[relationship.name] = self._where(dice, target, depth - 1)
            else:
                count = dice.randint(0, 2)
                found[kind] = [self._where(dice, table, depth - 1) or {} for _ in range(count)]
        return found

    def _comparison(self, dice: Random, table: Table, column: Column) -> dict[str, Any] | None:
        if dice.randint(0, 19) == 0:
            return None
        found: dict[str, Any] = {}
        for _ in range(dice.randint(0, 2)):
            operator, operand = self._operator(dice, table, column)
            found[operator] = None if dice.randint(0, 5) == 0 else operand
        return found

    def _operator(self, dice: Random, table: Table, column: Column) -> tuple[str, Any]:
        kind = dice.randint(0, 9)
        if kind == 0:
            return "_is_null", _coin(dice)
        if kind <= 2:
            values = [self._operand(dice, table, column) for _ in range(dice.randint(0, 3))]
            return dice.choice(["_in", "_nin"]), values
        if column.scalar == "String" and kind <= 5:
            operator, patterns = dice.choice(list(_PATTERNS.items()))
            variants = {
                "_like": ("_like", "_nlike", "_ilike", "_nilike"),
                "_similar": ("_similar", "_nsimilar"),
                "_regex": ("_regex", "_nregex", "_iregex", "_niregex"),
            }[operator]
            return dice.choice(variants), dice.choice(patterns)
        if column.scalar == "jsonb":
            return self._json_operator(dice)
        return dice.choice(_COMPARISONS), self._operand(dice, table, column)

    def _json_operator(self, dice: Random) -> tuple[str, Any]:
        operator = dice.choice([*_COMPARISONS, *JSON_COMPARISONS, *_KEY_COMPARISONS, "_cast"])
        if operator == "_cast":
            texts = dice.choice(['%"a"%', "{}", "[%]", '{"a": 2, "b": [1, 2]}', "1"])
            matching = dice.choice(["_eq", "_neq", "_like", "_nlike", "_ilike", "_gt"])
            return operator, {"String": {matching: texts}}
        if operator == "_has_key":
            return operator, dice.choice("ab")
        if operator.startswith("_has_keys"):
            return operator, _some(dice, "abc", 0, 2)
        return operator, dice.choice(JSON)

    def _operand(self, dice: Random, table: Table, column: Column) -> Any:
        if column.scalar == "jsonb":
            return dice.choice(JSON)
        if column.scalar == "interval":
            return dice.choice(["00:00:00", "00:01:00", "25:01:01"])
        if column.name == "state":
            return dice.choice(STATES)
        rows = self._world.rows[table.name]
        if rows and column.name in rows[0] and dice.randint(0, 3):
            value = dice.choice(rows)[column.name]
            if value is not None:
                return shown(value)
        return {
            "uuid": "0190aaaa-0000-7000-8000-00000000000a",
            "timestamptz": dice.choice(
                ["2026-01-02", "2026-01-01T05:00:00", "2026-01-02T03:00:00.3304+00:00"]
            ),
            "Boolean": _coin(dice),
            "String": dice.choice(NAMES),
        }.get(column.scalar, 2)


def _coin(dice: Random) -> bool:
    return dice.random() < 0.5


def _some(dice: Random, of: Sequence[T], least: int, most: int) -> list[T]:
    """Some of these, in any order, perhaps twice."""
    return [dice.choice(of) for _ in range(dice.randint(least, most))]


def _different(dice: Random, of: Sequence[T], least: int, most: int) -> list[T]:
    """Some of these, in any order, none of them twice."""
    return dice.sample(of, min(len(of), dice.randint(least, most)))
