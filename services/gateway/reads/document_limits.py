"""Limits for one document. Every refusal is a sentence that names its limit.

A list without a `limit` gets `default_rows` at most; one with more than `maximum_rows` is refused instead of cut,
because its client relies on the number. Task runs and logs have higher limits: real clients read all of a run's without
a limit. Counts and other aggregates are exact; the statement timeout bounds them.

Cost is the number of rows that a document may make PostgreSQL render: limits multiplied along nested lists. A list
without a limit counts with its usual size; otherwise ordinary documents of clients would be refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentLimits:
    """The defaults suit the real clients with an order of magnitude to spare."""

    default_rows: int = 10_000
    maximum_rows: int = 10_000
    rows_of: Mapping[str, int] = field(default_factory=lambda: {"task_run": 50_000, "log": 50_000})
    """Tables with a default and maximum of their own."""
    depth: int = 10  # Apollo allowed 7; the deepest document of the web UI has 5
    fields: int = 5_000  # selected fields after fragments are expanded
    roots: int = 500  # the UI asks for one mapped_children per task of a flow
    conditions: int = 2_000  # comparisons and combinators in all filters
    cost: int = 5_000_000
    usual_rows: int = 100  # assumed rows of a root list without a limit
    usual_nested_rows: int = 25  # assumed rows of a nested list without a limit

    def default_of(self, table: str) -> int:
        """How many rows a list of this table has when its client sets no limit."""
        return self.rows_of.get(table, self.default_rows)

    def maximum_of(self, table: str) -> int:
        """How many rows of this table a client may ask for."""
        return self.rows_of.get(table, self.maximum_rows)
