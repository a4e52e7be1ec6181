"""Which operators and aggregate functions a column offers, by Hasura's names."""

from services.gateway.reads.catalog import Column, Table
from services.gateway.reads.predicates import FLOATS

COMPARISONS = ("_eq", "_neq", "_gt", "_gte", "_lt", "_lte")
TEXT_COMPARISONS = (
    "_like", "_nlike", "_ilike", "_nilike", "_similar", "_nsimilar",
    "_regex", "_nregex", "_iregex", "_niregex",
)  # fmt: skip
JSON_COMPARISONS = ("_contains", "_contained_in")
ORDERS = ("asc", "asc_nulls_first", "asc_nulls_last", "desc", "desc_nulls_first", "desc_nulls_last")
COMPARABLE = frozenset({"uuid", "timestamptz", "interval", "Int", "bigint", "String"})
"""Types with min and max."""
NUMERIC = frozenset({"Int", "bigint"})
"""Types with sums, averages and deviations."""
AGGREGATES = ("max", "min", "sum", *sorted(FLOATS))


def aggregated(table: Table, function: str) -> list[Column]:
    """The columns that an aggregate function is offered for."""
    scalars = COMPARABLE if function in ("max", "min") else NUMERIC
    return [column for column in table.columns.values() if column.scalar in scalars]
