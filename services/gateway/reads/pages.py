"""The rows of a list by its arguments: filter, ordering, distinct columns, limit and offset."""

from collections.abc import Callable
from typing import Any

from graphql import GraphQLError

from services.gateway.reads.catalog import Catalog, Table
from services.gateway.reads.inputs import Given, Tree
from services.gateway.reads.predicates import (
    Filters,
    Ordered,
    Ordering,
    conjunction,
    root_guard,
)
from services.gateway.reads.statement import TENANT, Statement, too_much
from services.gateway.reads.values import int_value

Arguments = dict[str, Tree]


class Page:
    """The rows of a list by its arguments."""

    def __init__(
        self,
        catalog: Catalog,
        statement: Statement,
        table: Table,
        arguments: Arguments,
        *,
        source: str | None,
        scope: Callable[[str], str] | None,
    ) -> None:
        self.table = table
        self.arguments = arguments
        self.alias = statement.alias()
        guard = root_guard(table, self.alias, statement) if scope is None else scope(self.alias)
        where = Filters(catalog, statement).where(table, self.alias, arguments.get("where"))
        ordering = Ordering(catalog, statement)
        self._terms = ordering.terms(table, self.alias, arguments.get("order_by"))
        self._distinct = [str(name) for name in as_list(arguments.get("distinct_on"))]
        _check_distinct(self._distinct, self._terms)
        self._from = " ".join([f"FROM {source or table.source} {self.alias}", *ordering.joins])
        self._where = "WHERE " + conjunction([guard, where])
        self._is_paged = bool(self._distinct) or any(
            arguments.get(name) is not None for name in ("limit", "offset")
        )
        self._limit, self._offset = self._bounds(statement, arguments)
        self._is_root = scope is None

    def rows(self) -> str:
        """The chosen rows, all columns, in order."""
        return self._select(self._limit)

    def unordered(self) -> str:
        """FROM and WHERE for an aggregate over the chosen rows; all of them, unless the client limits them."""
        if not self._is_paged:
            return f"{self._from} {self._where}"
        chosen = self._limit if self.arguments.get("limit") is not None else ""
        return f"FROM ({self._select(chosen)}) {self.alias}"

    def _select(self, limit: str) -> str:
        distinct = ""
        if self._distinct:
            columns = [self.table.columns[name].of(self.alias) for name in self._distinct]
            distinct = f"DISTINCT ON ({', '.join(columns)}) "
        terms = [term.sql for term in self._terms] + self._ties() + self._own_first()
        order = f" ORDER BY {', '.join(terms)}" if terms else ""
        return f"SELECT {distinct}{self.alias}.* {self._from} {self._where}{order}{limit}{self._offset}"

    def _ties(self) -> list[str]:
        """The tie-breaker for rows that are equal in the client's ordering, if the table has one."""
        if self.table.tie_breaker is None:
            return []
        follows, tie = self.table.tie_breaker
        last = self._terms[-1] if self._terms else None
        if last is None or last.column != follows:
            return []
        direction = "DESC NULLS FIRST" if last.descending else "ASC NULLS LAST"
        return [f"{self.table.columns[tie].of(self.alias)} {direction}"]

    def _own_first(self) -> list[str]:
        """The caller's own tenant comes first: clients take the first of `tenant { id }` for theirs."""
        if self.table.name != "tenant" or not self._is_root or self._distinct:
            return []
        return [f"{self.alias}.id = {TENANT} DESC", f"{self.alias}.created", f"{self.alias}.id"]

    def _bounds(self, statement: Statement, arguments: Arguments) -> tuple[str, str]:
        limits, name = statement.limits, self.table.name
        limit, offset = arguments.get("limit"), arguments.get("offset")
        if isinstance(limit, Given):
            bound = statement.bind_as(limit, _at_most(limits.maximum_of(name), name), "int")
            limited = f" LIMIT {bound}"
        else:
            limited = f" LIMIT {limits.default_of(name)}"
        if not isinstance(offset, Given):
            return limited, ""
        return limited, f" OFFSET {statement.bind_as(offset, _not_negative, 'int')}"


def as_list(tree: Tree) -> list[Any]:
    """The items of a list argument; none without it."""
    return tree if isinstance(tree, list) else []


def _check_distinct(distinct: list[str], terms: list[Ordered]) -> None:
    """PostgreSQL's rule: the first terms of the ordering are the columns that must differ, in any order."""
    left = set(distinct)
    for term in terms:
        if not left:
            return
        if term.column not in left and term.column not in distinct:
            msg = '"distinct_on" columns must match initial "order_by" columns'
            raise GraphQLError(msg)
        left.discard(term.column or "")


def _at_most(maximum: int, table: str) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        limit = _not_negative(value)
        if limit > maximum:
            msg = f"limit: {limit} is more than the {maximum} rows of {table} that one list may have; page with offset."
            raise too_much(msg)
        return limit

    return convert


def _not_negative(value: Any) -> int:
    number = int_value(value)
    if number < 0:
        msg = f"limit and offset must not be negative: {number}"
        raise GraphQLError(msg)
    return number
