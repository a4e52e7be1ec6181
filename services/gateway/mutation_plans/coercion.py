"""Coercion of a request's values to the arguments of a mutation: conversions are made once, and called for each
request."""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    Undefined,
)

from services.gateway.graphql.dialect import INPUTS
from services.gateway.graphql.scalars import IDS, KNOWN_LEVELS

Variables = dict[str, Any]
Literals = tuple[Any, ...]
FromJson = Callable[[Any], Any]
FromRequest = Callable[[Literals, Variables], Any]


# As `parse_value` does it, but without a call of Python for the usual value. A TypeError means "does not fit".
_QUICK: dict[str, FromJson] = {
    "String": str.__str__,
    "UUID": IDS.__getitem__,
    "log_level": KNOWN_LEVELS.__getitem__,
}


class NotCoveredError(Exception):
    """The request does not fit the plan; graphql-core must answer it."""


def given(value: Any) -> Any:
    """The value; raises when one of its variables was not given."""
    if value is Undefined:
        raise NotCoveredError
    return value


def fit(argument: FromRequest, literals: Literals, variables: Variables) -> Any:
    """The argument of a request; raises NotCoveredError where a value does not fit its type."""
    try:
        return given(argument(literals, variables))
    except (ValueError, TypeError, GraphQLError, KeyError) as error:
        raise NotCoveredError from error


def fit_json(convert: FromJson, value: Any) -> Any:
    """The same of one JSON value."""
    try:
        return convert(value)
    except (ValueError, TypeError, GraphQLError, KeyError) as error:
        raise NotCoveredError from error


def from_json(kind: GraphQLInputType) -> FromJson:
    """Converts a JSON value to a value of the type; raises an exception that `fit` takes for "does not fit"."""
    is_required = isinstance(kind, GraphQLNonNull)
    from_present = _from_present(_nullable(kind))

    def convert(value: Any) -> Any:
        if value is not None:
            return from_present(value)
        if is_required:
            raise NotCoveredError
        return None

    return convert


def _from_present(kind: GraphQLInputType) -> FromJson:
    """The same for a value that is not null, of a type that may be."""
    if isinstance(kind, GraphQLList):
        item = from_json(kind.of_type)
        return lambda value: [item(v) for v in (value if isinstance(value, list) else [value])]
    if isinstance(kind, GraphQLInputObjectType):
        return _object_from_json(kind)
    if isinstance(kind, GraphQLEnumType):
        values = {name: kind.parse_value(name) for name in kind.values}
        # A KeyError means "does not fit", and so does the TypeError of a list.
        return values.__getitem__
    if isinstance(kind, GraphQLScalarType):
        return _QUICK.get(kind.name, kind.parse_value)
    raise NotCoveredError


def _object_from_json(kind: GraphQLInputObjectType) -> FromJson:
    source, attributes, required = _declared(kind)
    parts = {
        name: (
            attributes[name],
            _from_present(_nullable(field.type)),
            isinstance(field.type, GraphQLNonNull),
        )
        for name, field in kind.fields.items()
    }
    needed = {attributes[name] for name in required}

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise NotCoveredError
        values = {}
        for name, item in value.items():
            attribute, from_present, is_required = parts[name]  # a KeyError means "does not fit"
            # One call for each field: a batch of log lines has thousands.
            if item is not None:
                values[attribute] = from_present(item)
            elif is_required:
                raise NotCoveredError
            else:
                values[attribute] = None
        if not needed <= values.keys():
            raise NotCoveredError
        return source(**values)

    return convert


def _nullable(kind: GraphQLInputType) -> GraphQLInputType:
    return kind.of_type if isinstance(kind, GraphQLNonNull) else kind


def builder(kind: GraphQLInputObjectType) -> Callable[[dict[str, Any]], Any]:
    """Makes the declared dataclass from values by the dialect's names; what is missing gets its default."""
    source, attributes, required = _declared(kind)

    def build(values: dict[str, Any]) -> Any:
        if not required <= values.keys():
            raise NotCoveredError
        return source(**{attributes[name]: value for name, value in values.items()})

    return build


def _declared(
    kind: GraphQLInputObjectType,
) -> tuple[Callable[..., Any], Mapping[str, str], set[str]]:
    """The dataclass of an input, its attributes by the dialect's names, and the names that must be given."""
    if kind.name not in INPUTS:
        raise NotCoveredError
    source, attributes = INPUTS[kind.name]
    return source, attributes, {name for name, f in kind.fields.items() if _is_required(f)}


def _is_required(field: Any) -> bool:
    return isinstance(field.type, GraphQLNonNull) and field.default_value is Undefined
