"""Every derived root field by its name, with the GraphQL types that its declaration means."""

from collections.abc import Callable
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLField,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
)

from services.gateway.reads.buckets import BUCKETS
from services.gateway.reads.derived import Argument, Derived
from services.gateway.reads.run_views import RUN_VIEWS

DERIVED: dict[str, Derived] = {derived.name: derived for derived in (*BUCKETS, *RUN_VIEWS)}

_ROWS = {derived.row: derived for derived in DERIVED.values()}
_ENUMS = {
    argument.type: argument.values
    for derived in DERIVED.values()
    for argument in derived.arguments.values()
    if argument.values
}

Named = Callable[[str], GraphQLNamedType]


def build_type(name: str, named: Named, resolve: Any) -> GraphQLNamedType | None:
    """The row type or enum of this name; None when it is not one of these. `named` finds the other types."""
    if name in _ENUMS:
        return GraphQLEnumType(name, {value: GraphQLEnumValue(value) for value in _ENUMS[name]})
    if name not in _ROWS:
        return None
    columns = _ROWS[name].columns
    return GraphQLObjectType(
        name,
        {column: _column(scalar, named, resolve) for column, scalar in columns.items()},
    )


def build_field(derived: Derived, named: Named, resolve: Any) -> GraphQLField:
    """The root field: a list of rows that is never null."""
    row: Any = named(derived.row)
    return GraphQLField(
        GraphQLNonNull(GraphQLList(GraphQLNonNull(row))),
        args={name: _argument(argument, named) for name, argument in derived.arguments.items()},
        description=derived.description,
        resolve=resolve,
    )


def _column(scalar: str, named: Named, resolve: Any) -> GraphQLField:
    kind: Any = named(scalar.removesuffix("!"))
    return GraphQLField(GraphQLNonNull(kind) if scalar.endswith("!") else kind, resolve=resolve)


def _argument(argument: Argument, named: Named) -> GraphQLArgument:
    kind: Any = named(argument.type)
    return GraphQLArgument(
        GraphQLNonNull(kind) if argument.required else kind, description=argument.description
    )
