"""Hypothesis strategies for queries over the whole catalog, as values of `reference`."""

from typing import Any

from hypothesis import strategies as st

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


class Queries:
    """Draws queries that are valid, and whose answers are determined."""

    def __init__(self, catalog: Catalog, world: World) -> None:
        self._catalog = catalog
        self._world = world
        self._tables = [name for name in catalog.tables if name in world.rows]

    def roots(self) -> st.SearchStrategy[Root]:
        """A list or an aggregate of any table."""
        return st.composite(self._root)()

    def _root(self, draw: Any) -> Root:
        table = self._catalog[draw(st.sampled_from(self._tables))]
        aggregate = draw(st.booleans())
        arguments = self._arguments(draw, table, 2)
        below = self._aggregate(draw, table, 1) if aggregate else self._selection(draw, table, 2)
        name = f"{table.name}_aggregate" if aggregate else table.name
        variables = tuple(name for name in arguments if draw(st.booleans()))
        key = draw(st.sampled_from([name, "r"]))
        return Root(table.name, Selected(key, name, arguments, below), variables)

    # selections

    def _selection(self, draw: Any, table: Table, depth: int) -> tuple[Selected, ...]:
        names = draw(
            st.lists(st.sampled_from(["__typename", *table.columns]), min_size=1, max_size=4)
        )
        found = [
            Selected(f"c{number}" if draw(st.booleans()) else name, name, via=self._via(draw))
            for number, name in enumerate(dict.fromkeys(names))
        ]
        relationships = list(table.relationships.values())
        if depth and relationships:
            for number in range(draw(st.integers(0, 2))):
                relationship = draw(st.sampled_from(relationships))
                target = self._catalog[relationship.target]
                key, name = f"r{number}", relationship.name
                if not relationship.many:
                    below = self._selection(draw, target, depth - 1)
                    found.append(Selected(key, name, {}, below, self._via(draw)))
                    continue
                arguments = self._arguments(draw, target, depth - 1)
                if draw(st.booleans()):
                    below = self._selection(draw, target, depth - 1)
                else:
                    name, below = f"{name}_aggregate", self._aggregate(draw, target, depth - 1)
                found.append(Selected(key, name, arguments, below, self._via(draw)))
        return tuple(found)

    def _via(self, draw: Any) -> str:
        return str(draw(st.sampled_from(["plain"] * 5 + ["include", "fragment", "skipped"])))

    def _aggregate(self, draw: Any, table: Table, depth: int) -> tuple[Selected, ...]:
        functions = [name for name in AGGREGATES if aggregated(table, name)]
        values = [Selected("__typename", "__typename")] if draw(st.booleans()) else []
        for number, function in enumerate(
            draw(st.lists(st.sampled_from(["count", *functions]), max_size=3))
        ):
            key = f"f{number}"
            if function == "count":
                columns = draw(
                    st.lists(st.sampled_from(list(table.columns)), max_size=2, unique=True)
                )
                arguments: dict[str, Any] = (
                    {"columns": [Word(name) for name in columns]} if columns else {}
                )
                if draw(st.booleans()):
                    arguments["distinct"] = draw(st.booleans())
                values.append(Selected(key, "count", arguments))
            else:
                columns = draw(
                    st.lists(
                        st.sampled_from([one.name for one in aggregated(table, function)]),
                        min_size=1, max_size=3, unique=True,
                    )
                )  # fmt: skip
                values.append(Selected(key, function, {}, tuple(Selected(c, c) for c in columns)))
        found = [Selected("aggregate", "aggregate", {}, tuple(values))] if values else []
        if draw(st.booleans()) or not found:
            found.append(
                Selected("nodes", "nodes", {}, self._selection(draw, table, depth and depth - 1))
            )
        return tuple(found)

    # arguments

    def _arguments(self, draw: Any, table: Table, depth: int) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        if draw(st.integers(0, 3)):
            arguments["where"] = self._where(draw, table, depth)
        ordered = draw(st.booleans())
        distinct: list[str] = []
        if ordered and draw(st.integers(0, 3)) == 0:
            distinct = draw(
                st.lists(
                    st.sampled_from(self._sortable(table)), min_size=1, max_size=2, unique=True
                )
            )
            arguments["distinct_on"] = [Word(name) for name in distinct]
        if ordered:
            first = [{name: self._direction(draw)} for name in distinct]
            rest = draw(st.integers(0, 2))
            chosen = [self._order(draw, table, depth) for _ in range(rest)]
            last = [{"id": self._direction(draw)}]
            merged = draw(st.booleans())
            items = first + chosen + last
            if merged and len({name for item in items for name in item}) == sum(
                len(item) for item in items
            ):
                items = [{name: value for item in items for name, value in item.items()}]
            arguments["order_by"] = items
            if draw(st.booleans()):
                arguments["limit"] = draw(st.integers(0, 5))
            if draw(st.booleans()):
                arguments["offset"] = draw(st.integers(0, 3))
        for name in ("where", "limit", "offset", "order_by", "distinct_on"):
            if name not in arguments and draw(st.integers(0, 9)) == 0:
                arguments[name] = None
        return arguments

    def _sortable(self, table: Table) -> list[str]:
        return [name for name, column in table.columns.items() if column.scalar != "jsonb"]

    def _direction(self, draw: Any) -> Word:
        return Word(draw(st.sampled_from(_DIRECTIONS)))

    def _order(self, draw: Any, table: Table, depth: int) -> dict[str, Any]:
        relationships = list(table.relationships.values())
        if not depth or not relationships or draw(st.booleans()):
            return {draw(st.sampled_from(self._sortable(table))): self._direction(draw)}
        relationship = draw(st.sampled_from(relationships))
        target = self._catalog[relationship.target]
        if not relationship.many:
            return {relationship.name: self._order(draw, target, depth - 1)}
        functions = [name for name in AGGREGATES if aggregated(target, name)]
        function = draw(st.sampled_from(["count", *functions]))
        if function == "count":
            return {f"{relationship.name}_aggregate": {"count": self._direction(draw)}}
        column = draw(st.sampled_from(aggregated(target, function)))
        return {f"{relationship.name}_aggregate": {function: {column.name: self._direction(draw)}}}

    # filters

    def _where(self, draw: Any, table: Table, depth: int) -> dict[str, Any] | None:
        if draw(st.integers(0, 19)) == 0:
            return None
        found: dict[str, Any] = {}
        for _ in range(draw(st.integers(0, 3))):
            kinds = ["column"] * 4 + (["_and", "_or", "_not", "related"] if depth else [])
            kind = draw(st.sampled_from(kinds))
            if kind == "column":
                column = draw(st.sampled_from(list(table.columns.values())))
                found[column.name] = self._comparison(draw, table, column)
            elif kind == "_not":
                found[kind] = self._where(draw, table, depth - 1)
            elif kind == "related":
                if table.relationships:
                    relationship = draw(st.sampled_from(list(table.relationships.values())))
                    target = self._catalog[relationship.target]
                    found[relationship.name] = self._where(draw, target, depth - 1)
            else:
                count = draw(st.integers(0, 2))
                found[kind] = [self._where(draw, table, depth - 1) or {} for _ in range(count)]
        return found

    def _comparison(self, draw: Any, table: Table, column: Column) -> dict[str, Any] | None:
        if draw(st.integers(0, 19)) == 0:
            return None
        found: dict[str, Any] = {}
        for _ in range(draw(st.integers(0, 2))):
            operator, operand = self._operator(draw, table, column)
            found[operator] = None if draw(st.integers(0, 5)) == 0 else operand
        return found

    def _operator(self, draw: Any, table: Table, column: Column) -> tuple[str, Any]:
        kind = draw(st.integers(0, 9))
        if kind == 0:
            return "_is_null", draw(st.booleans())
        if kind <= 2:
            values = [self._operand(draw, table, column) for _ in range(draw(st.integers(0, 3)))]
            return draw(st.sampled_from(["_in", "_nin"])), values
        if column.scalar == "String" and kind <= 5:
            operator, patterns = draw(st.sampled_from(list(_PATTERNS.items())))
            variants = {
                "_like": ("_like", "_nlike", "_ilike", "_nilike"),
                "_similar": ("_similar", "_nsimilar"),
                "_regex": ("_regex", "_nregex", "_iregex", "_niregex"),
            }[operator]
            return draw(st.sampled_from(variants)), draw(st.sampled_from(patterns))
        if column.scalar == "jsonb":
            return self._json_operator(draw)
        return draw(st.sampled_from(_COMPARISONS)), self._operand(draw, table, column)

    def _json_operator(self, draw: Any) -> tuple[str, Any]:
        operator = draw(
            st.sampled_from([*_COMPARISONS, *JSON_COMPARISONS, *_KEY_COMPARISONS, "_cast"])
        )
        if operator == "_cast":
            texts = st.sampled_from(['%"a"%', "{}", "[%]", '{"a": 2, "b": [1, 2]}', "1"])
            matching = st.sampled_from(["_eq", "_neq", "_like", "_nlike", "_ilike", "_gt"])
            return operator, {"String": {draw(matching): draw(texts)}}
        if operator == "_has_key":
            return operator, draw(st.sampled_from("ab"))
        if operator.startswith("_has_keys"):
            return operator, draw(st.lists(st.sampled_from("abc"), max_size=2))
        return operator, draw(st.sampled_from(JSON))

    def _operand(self, draw: Any, table: Table, column: Column) -> Any:
        if column.scalar == "jsonb":
            return draw(st.sampled_from(JSON))
        if column.scalar == "interval":
            return draw(st.sampled_from(["00:00:00", "00:01:00", "25:01:01"]))
        if column.name == "state":
            return draw(st.sampled_from(STATES))
        rows = self._world.rows[table.name]
        if rows and column.name in rows[0] and draw(st.integers(0, 3)):
            value = draw(st.sampled_from(rows))[column.name]
            if value is not None:
                return shown(value)
        return {
            "uuid": "0190aaaa-0000-7000-8000-00000000000a",
            "timestamptz": draw(
                st.sampled_from(
                    ["2026-01-02", "2026-01-01T05:00:00", "2026-01-02T03:00:00.3304+00:00"]
                )
            ),
            "Boolean": draw(st.booleans()),
            "String": draw(st.sampled_from(NAMES)),
        }.get(column.scalar, 2)
