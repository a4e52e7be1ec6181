"""Root fields whose rows are computed from the tables: counts by bucket, summaries, matches.

Each is declared once: its arguments, the columns of its rows, and the SQL for FROM. The types (`types`) and the
statement (`compiler`) are made from that. So a derived root is a list like a table's, but flat and without paging: its
source bounds the rows that it has and reads.

Every source keeps each table it names to the tenant (`$1`), as the compiler does for tables.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from graphql import GraphQLError

from services.gateway.reads.catalog import Catalog
from services.gateway.reads.inputs import Given, Tree
from services.gateway.reads.predicates import Filters
from services.gateway.reads.statement import Statement
from services.gateway.reads.values import text_value, timestamp_value, uuid_list_value, uuid_value

__all__ = ["Argument", "Asked", "Derived"]

_CONVERSIONS = {
    "uuid": uuid_value,
    "uuid[]": uuid_list_value,
    "timestamptz": timestamp_value,
    "text": text_value,
}


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument: the name of its type in the read path, whether it is required, and its meaning."""

    type: str
    description: str
    required: bool = False
    values: tuple[str, ...] = ()
    """The values of an enum, for a type that is one of ours."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments of one field, for the source that writes its SQL."""

    catalog: Catalog
    statement: Statement
    arguments: Mapping[str, Tree]

    def given(self, name: str) -> Given | None:
        """An argument's value; None where it is absent or null."""
        found = self.arguments.get(name)
        return found if isinstance(found, Given) else None

    def required(self, name: str) -> Given:
        """An argument that must have a value."""
        found = self.given(name)
        if found is None:
            msg = f"{name} is required."
            raise GraphQLError(msg)
        return found

    def choice(self, name: str, default: str) -> str:
        """The value of an enum."""
        found = self.arguments.get(name)
        return found if isinstance(found, str) else default

    def bind(self, name: str, cast: str) -> str:
        """A parameter for a required argument, of this type of PostgreSQL."""
        return self.statement.bind_as(self.required(name), _CONVERSIONS[cast], cast)

    def where(self, table: str, alias: str, name: str = "where") -> str:
        """The condition of a filter argument on a table under an alias."""
        return Filters(self.catalog, self.statement).where(
            self.catalog[table], alias, self.arguments.get(name)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A root field that answers a list of flat rows.

    `columns` maps a column of the source to the scalar that GraphQL shows it as, with `!` where it is never null.
    `tables` are those that its source reads: without permission for all of them this is refused.
    """

    name: str
    description: str
    tables: tuple[str, ...]
    arguments: Mapping[str, Argument]
    columns: Mapping[str, str]
    source: Callable[[Asked], str] = field(repr=False)

    @property
    def row(self) -> str:
        """The name of the type of its rows."""
        return f"{self.name}_row"
