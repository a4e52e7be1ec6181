"""A compiled root field, and its statement."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.gateway.reads.inputs import Get, Inputs
from services.gateway.reads.statement import TENANT, Cost, Matching, Parameter, Statement, too_much

_PARAMETER = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True)
class Root:
    """A compiled root field. `sql` is an expression of type text; `$1` is the tenant, the rest are `parameters`.

    `missing` is the error when there is no such row, for fields that say so; others answer null. `tables` are all that
    the field names, in filters and orders too, and `tenant` is the tenant that its filter names, if it names one.
    """

    key: str
    sql: str
    statement: str
    """The expression alone as a statement (`bounded`)."""
    parameters: tuple[Parameter, ...]
    cost: Cost
    missing: str | None = None
    tables: frozenset[str] = frozenset()
    tenant: Get | None = None
    matching: Matching = Matching.NONE

    def values(self, inputs: Inputs, *, maximum_cost: int) -> list[Any]:
        """The values to bind for one request; raises GraphQLError for what cannot be bound."""
        rows = self.cost.total(inputs)
        if rows > maximum_cost:
            msg = f"The field asks for up to {rows} rows; the limit is {maximum_cost}. Use smaller limits."
            raise too_much(msg)
        return [parameter.value(inputs) for parameter in self.parameters]

    def shifted(self, by: int) -> str:
        """The expression with the numbers of its parameters (not the tenant) increased by `by`."""
        if by == 0:
            return self.sql
        return _PARAMETER.sub(
            lambda match: match[0] if match[1] == "1" else f"${int(match[1]) + by}", self.sql
        )


def finished(key: str, sql: str, statement: Statement, missing: str | None) -> Root:
    """Drop the unused parameters, and number the rest again."""
    numbered = {int(number) for number in _PARAMETER.findall(sql)}
    if 1 not in numbered:
        # Only type names are selected, so no table is read. Every statement gets the tenant, and the driver refuses
        # values without a parameter.
        sql = f"SELECT ({sql}) WHERE {TENANT}::uuid IS NOT NULL"
    used = sorted(numbered - {1})
    numbers = {old: new for new, old in enumerate(used, start=2)} | {1: 1}
    text = _PARAMETER.sub(lambda match: f"${numbers[int(match[1])]}", sql)
    parameters = tuple(statement.parameters[number - 2] for number in used)
    sql = f"({text})::text"
    return Root(
        key, sql, bounded([sql], len(parameters)), parameters, statement.cost, missing,
        matching=statement.matching, tables=frozenset(statement.tables),
    )  # fmt: skip


def bounded(expressions: Sequence[str], parameters: int) -> str:
    """A statement of these expressions of type text that answers them as UTF-8, and their length together.

    They are NULL when the length is above its last parameter, the one after the tenant and `parameters` others. So an
    answer that is too large does not leave PostgreSQL.
    """
    limit = f"${parameters + 2}"
    names = [f"c{index}" for index in range(len(expressions))]
    columns = ", ".join(
        f"{expression} AS {name}" for expression, name in zip(expressions, names, strict=True)
    )
    # In bigint, as all of them together may have more than int holds.
    size = " + ".join(f"coalesce(octet_length({name})::bigint, 0)" for name in names)
    shown = ", ".join(
        f"CASE WHEN size <= {limit}::bigint THEN convert_to({name}, 'UTF8') END" for name in names
    )
    # OFFSET keeps PostgreSQL from evaluating an expression once for each use of its name.
    return f"SELECT {shown}, size FROM (SELECT *, {size} AS size FROM (SELECT {columns} OFFSET 0) a OFFSET 0) b"
