"""`where` and `order_by` as SQL.

A null operand is no condition (Hasura's V1_BOOLEAN_NULL_COLLAPSE): it is TRUE, so `_not` of it is FALSE and an `_or`
with it is TRUE. A relationship filter with only null operands is no condition either and keeps rows without a related
row; an empty one, `task_runs: {}`, checks whether there is any.
"""

from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError

from services.gateway.reads.catalog import Catalog, Column, Relationship, Table
from services.gateway.reads.inputs import Given, Tree
from services.gateway.reads.statement import TENANT, Matching, Statement

TRUE = "TRUE"
FALSE = "FALSE"

_OPERATORS = {
    "_eq": "=", "_neq": "<>", "_gt": ">", "_gte": ">=", "_lt": "<", "_lte": "<=",
    "_like": "LIKE", "_nlike": "NOT LIKE", "_ilike": "ILIKE", "_nilike": "NOT ILIKE",
    "_similar": "SIMILAR TO", "_nsimilar": "NOT SIMILAR TO",
    "_regex": "~", "_nregex": "!~", "_iregex": "~*", "_niregex": "!~*",
    "_contains": "@>", "_contained_in": "<@",
}  # fmt: skip
_PATTERNS = frozenset({"_similar", "_nsimilar", "_regex", "_nregex", "_iregex", "_niregex"})
"""Operators whose operand PostgreSQL compiles, in time that grows much faster than the pattern.

Matching it may also take very long on one row.
"""
_LIKES = frozenset({"_like", "_nlike", "_ilike", "_nilike"})
_KEY_OPERATORS = {"_has_keys_any": "?|", "_has_keys_all": "?&"}
_DIRECTIONS = {
    "asc": "ASC NULLS LAST",
    "asc_nulls_first": "ASC NULLS FIRST",
    "asc_nulls_last": "ASC NULLS LAST",
    "desc": "DESC NULLS FIRST",
    "desc_nulls_first": "DESC NULLS FIRST",
    "desc_nulls_last": "DESC NULLS LAST",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition. `collapsed`: TRUE for no other reason than that its operands were null."""

    sql: str
    collapsed: bool = False


COLLAPSED = Condition(TRUE, collapsed=True)


def tenant_guard(table: Table, alias: str, statement: Statement) -> str:
    """The predicate that restricts a table to its tenant; every table in a statement has it, and is noted by it."""
    statement.tables.add(table.name)
    return f"{alias}.{table.tenant} = {TENANT}"


def root_guard(table: Table, alias: str, statement: Statement) -> str:
    """The predicate of a root field's table: the caller's tenant; of tenants, those whose names it may see."""
    if table.tenant != table.key:
        return tenant_guard(table, alias, statement)
    visible = statement.bind_visible_tenants()
    own = tenant_guard(table, alias, statement)
    return f"({own} OR {alias}.{table.tenant} = ANY ({visible}))"


def join_on(relationship: Relationship, *, ours: str, theirs: str) -> str:
    """The predicate of a relationship."""
    return f"{theirs}.{relationship.remote} = {ours}.{relationship.local}"


class Filters:
    """Compiles `where` trees into a statement."""

    def __init__(self, catalog: Catalog, statement: Statement) -> None:
        self._catalog = catalog
        self._statement = statement

    def where(self, table: Table, alias: str, tree: Tree) -> str:
        """The condition of a `where` argument; TRUE without one."""
        return self._expression(table, alias, tree, depth=1).sql

    def _expression(self, table: Table, alias: str, tree: Tree, *, depth: int) -> Condition:
        self._statement.check_depth(depth, "The filter")
        if tree is None:
            return COLLAPSED
        if not isinstance(tree, dict):
            raise _malformed()
        return _all(
            [self._member(table, alias, name, value, depth) for name, value in tree.items()]
        )

    def _member(self, table: Table, alias: str, name: str, value: Tree, depth: int) -> Condition:
        self._statement.spend_condition()
        if value is None:
            return COLLAPSED
        if name == "_not":
            return _negated(self._expression(table, alias, value, depth=depth + 1))
        if name in ("_and", "_or"):
            if not isinstance(value, list):
                raise _malformed()
            parts = [self._expression(table, alias, one, depth=depth + 1) for one in value]
            return _all(parts) if name == "_and" else _any(parts)
        if name in table.relationships:
            return self._related(table.relationships[name], alias, value, depth)
        return self._compared(table.columns[name], alias, value)

    def _related(
        self, relationship: Relationship, alias: str, value: Tree, depth: int
    ) -> Condition:
        target = self._catalog[relationship.target]
        theirs = self._statement.alias()
        inner = self._expression(target, theirs, value, depth=depth + 1)
        if inner.collapsed:
            return COLLAPSED
        if inner.sql == FALSE:
            return Condition(FALSE)
        conditions = [
            join_on(relationship, ours=alias, theirs=theirs),
            tenant_guard(target, theirs, self._statement),
            inner.sql,
        ]
        return Condition(
            f"EXISTS (SELECT 1 FROM {target.source} {theirs} WHERE {conjunction(conditions)})"
        )

    def _compared(self, column: Column, alias: str, value: Tree) -> Condition:
        if not isinstance(value, dict):
            raise _malformed()
        expression = column.of(alias)
        parts = []
        for operator, operand in value.items():
            self._statement.spend_condition()
            if operand is None:
                parts.append(COLLAPSED)
            elif column.later_of is not None and operator in ("_gt", "_gte"):
                parts.append(self._later(column, alias, operator, operand))
            else:
                parts.append(self._comparison(column.scalar, expression, operator, operand))
        return _all(parts)

    def _later(self, column: Column, alias: str, operator: str, operand: Tree) -> Condition:
        """The later of two times is after an instant when either is: two cheap conditions instead of a costly one."""
        if column.later_of is None or not isinstance(operand, Given):
            raise _malformed()
        instant = self._statement.bind(operand, column.scalar)
        sign = _OPERATORS[operator]
        other = column.later_of.replace("{t}", alias).replace("{after}", f"{sign} {instant}")
        return Condition(f'({alias}."{column.name}" {sign} {instant} OR {other})')

    def _comparison(self, scalar: str, expression: str, operator: str, operand: Tree) -> Condition:
        if operator == "_is_null":
            return Condition(f"{expression} IS {'' if operand else 'NOT '}NULL")
        if isinstance(operand, bool):
            return Condition(f"{expression} {_OPERATORS[operator]} {str(operand).upper()}")
        if operator == "_cast":
            return self._cast(expression, operand)
        if not isinstance(operand, Given):
            raise _malformed()
        bind, bind_many = self._statement.bind, self._statement.bind_many
        match operator:
            case "_in" if operand.empty:
                return Condition(FALSE)
            case "_nin" if operand.empty:
                return Condition(TRUE)
            case "_in":
                return Condition(f"{expression} = ANY ({bind_many(operand, scalar)})")
            case "_nin":
                return Condition(f"{expression} <> ALL ({bind_many(operand, scalar)})")
            case "_has_key":
                return Condition(f"{expression} ? {bind(operand, 'text')}")
            case "_has_keys_any" | "_has_keys_all":
                sign = _KEY_OPERATORS[operator]
                return Condition(f"{expression} {sign} {bind_many(operand, 'text')}")
            case _ if operator in _PATTERNS:
                self._statement.matching = Matching.REGEX
                return Condition(f"{expression} {_OPERATORS[operator]} {bind(operand, 'pattern')}")
            case _:
                needs = Matching.LIKE if operator in _LIKES else Matching.NONE
                self._statement.matching = max(self._statement.matching, needs)
                return Condition(f"{expression} {_OPERATORS[operator]} {bind(operand, scalar)}")

    def _cast(self, expression: str, operand: Tree) -> Condition:
        if not isinstance(operand, dict):
            raise _malformed()
        text = operand.get("String")
        if not isinstance(text, dict):
            return COLLAPSED
        return _all(
            [
                COLLAPSED
                if value is None
                else self._comparison("String", f"({expression})::text", name, value)
                for name, value in text.items()
            ]
        )


@dataclass(frozen=True, slots=True)
class Ordered:
    """One term of ORDER BY; `column` when it is a column of the table itself."""

    column: str | None
    sql: str
    descending: bool = False


class Ordering:
    """Compiles `order_by` trees into a statement; `joins` are what the terms need in FROM."""

    def __init__(self, catalog: Catalog, statement: Statement) -> None:
        self._catalog = catalog
        self._statement = statement
        self.joins: list[str] = []

    def terms(self, table: Table, alias: str, tree: Tree) -> list[Ordered]:
        """The terms of an `order_by` argument, in the order in which they were given."""
        if tree is None:
            return []
        if not isinstance(tree, list):
            raise _malformed()
        return [term for item in tree for term in self._object(table, alias, item, depth=1)]

    def _object(self, table: Table, alias: str, tree: Tree, *, depth: int) -> list[Ordered]:
        self._statement.check_depth(depth, "The ordering")
        if not isinstance(tree, dict):
            return []
        found: list[Ordered] = []
        for name, value in tree.items():
            self._statement.spend_condition()
            if value is None:
                continue
            if name in table.columns:
                found.append(_column_term(table, alias, name, value, is_own=depth == 1))
            elif name in table.relationships:
                found += self._through_one(table.relationships[name], alias, value, depth)
            else:
                relationship = table.relationships[name.removesuffix("_aggregate")]
                found += self._through_many(relationship, alias, value)
        return found

    def _through_one(
        self, relationship: Relationship, alias: str, value: Tree, depth: int
    ) -> list[Ordered]:
        # A join rather than a subquery for each row: the planner may then hash it. It adds no rows, as ids are unique.
        target = self._catalog[relationship.target]
        theirs = self._statement.alias()
        on = conjunction(
            [
                join_on(relationship, ours=alias, theirs=theirs),
                tenant_guard(target, theirs, self._statement),
            ]
        )
        position = len(self.joins)
        terms = self._object(target, theirs, value, depth=depth + 1)
        if terms:
            self.joins.insert(position, f"LEFT JOIN {target.source} {theirs} ON {on}")
        return terms

    def _through_many(self, relationship: Relationship, alias: str, value: Tree) -> list[Ordered]:
        if not isinstance(value, dict):
            raise _malformed()
        target = self._catalog[relationship.target]
        found: list[Ordered] = []
        for function, given in value.items():
            self._statement.spend_condition()
            if given is None:
                continue
            choices = [(None, given)] if function == "count" else list(_mapping(given).items())
            for column, direction in choices:
                if direction is None:
                    continue
                theirs = self._statement.alias()
                what = aggregate_call(
                    function, None if column is None else target.columns[column], theirs
                )
                conditions = [
                    join_on(relationship, ours=alias, theirs=theirs),
                    tenant_guard(target, theirs, self._statement),
                ]
                sql = (
                    f"(SELECT {what} FROM {target.source} {theirs} WHERE {conjunction(conditions)})"
                )
                found.append(Ordered(None, f"{sql} {_direction(direction)}"))
        return found


FLOATS = frozenset(
    {
        "avg", "stddev", "stddev_pop", "stddev_samp", "var_pop", "var_samp", "variance",
    }
)  # fmt: skip
"""Aggregate functions whose result is always a float. Hasura's names are PostgreSQL's."""


def aggregate_call(function: str, column: Column | None, alias: str) -> str:
    """An aggregate over a column (or the rows)."""
    if column is None:
        return "count(*)"
    expression = column.of(alias)
    if column.scalar == "uuid":  # PostgreSQL orders UUIDs but has no min and max of them
        return f'{function}({expression}::text COLLATE "C")::uuid'
    if function in FLOATS:
        return f"{function}({expression})::float8"
    return f"{function}({expression})"


def conjunction(conditions: list[str]) -> str:
    """All of the conditions, without those that are always true."""
    return " AND ".join(one for one in conditions if one != TRUE) or TRUE


def _all(parts: list[Condition]) -> Condition:
    said = [part for part in parts if part.sql != TRUE]
    if not said:
        return Condition(TRUE, collapsed=any(part.collapsed for part in parts))
    if any(part.sql == FALSE for part in said):
        return Condition(FALSE)
    if len(said) == 1:
        return said[0]
    return Condition("(" + " AND ".join(part.sql for part in said) + ")")


def _any(parts: list[Condition]) -> Condition:
    if any(part.sql == TRUE for part in parts):
        return Condition(TRUE, collapsed=any(part.collapsed for part in parts))
    said = [part for part in parts if part.sql != FALSE]
    if not said:
        return Condition(FALSE)
    return Condition("(" + " OR ".join(part.sql for part in said) + ")")


def _negated(inner: Condition) -> Condition:
    if inner.sql in (TRUE, FALSE):
        return Condition(FALSE if inner.sql == TRUE else TRUE)
    return Condition(f"NOT ({inner.sql})")


def _column_term(table: Table, alias: str, name: str, value: Tree, *, is_own: bool) -> Ordered:
    column = table.columns[name]
    direction = _direction(value)
    if is_own and not column.nullable:
        # NULLS FIRST or LAST does not matter for a column without nulls, but would prevent the use of its index.
        direction = _DIRECTIONS["desc" if direction.startswith("DESC") else "asc"]
    expression = column.of(alias)
    if not is_own and column.sql != f'{{t}}."{name}"':
        # A computed column of no row is null too, though it may compute something (a sum of nothing is 0).
        expression = f'CASE WHEN {alias}."id" IS NOT NULL THEN {expression} END'
    return Ordered(
        name if is_own else None,
        f"{expression} {direction}",
        descending=direction.startswith("DESC"),
    )


def _direction(value: Tree) -> str:
    if not isinstance(value, str) or value not in _DIRECTIONS:
        raise _malformed()
    return _DIRECTIONS[value]


def _mapping(tree: Tree) -> dict[str, Any]:
    if not isinstance(tree, dict):
        raise _malformed()
    return tree


def _malformed() -> GraphQLError:
    return GraphQLError("The arguments do not have the form that the schema asks for.")
