"""The scalars of the read path. They accept any text: it is checked when values are bound."""

from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLError,
    GraphQLFloat,
    GraphQLInt,
    GraphQLNamedType,
    GraphQLScalarType,
    GraphQLString,
    IntValueNode,
    StringValueNode,
    ValueNode,
    value_from_ast_untyped,
)


def scalars() -> dict[str, GraphQLNamedType]:
    """All of them by name."""
    return {
        "String": GraphQLString,
        "Int": GraphQLInt,
        "Boolean": GraphQLBoolean,
        "Float": GraphQLFloat,
        "uuid": _text_scalar("uuid", "A UUID."),
        "timestamptz": _text_scalar(
            "timestamptz",
            "ISO 8601; without an offset it is UTC. Conditions also take now, today, yesterday and tomorrow (UTC).",
        ),
        "interval": _text_scalar("interval", "A duration, `HH:MM:SS`."),
        "_uuid": _text_scalar("_uuid", "UUIDs as a PostgreSQL array literal, `{a,b}`."),
        "jsonb": GraphQLScalarType(
            "jsonb",
            description="Any JSON value.",
            parse_value=_anything,
            parse_literal=value_from_ast_untyped,
        ),
        "bigint": _bigint(),
        "UUID": _text_scalar("UUID", "A UUID."),
        "DateTime": _text_scalar("DateTime", "A timestamp, ISO 8601."),
        "JSON": GraphQLScalarType(
            "JSON",
            description="Any JSON value.",
            parse_value=_anything,
            parse_literal=value_from_ast_untyped,
        ),
    }


def _text_scalar(name: str, description: str) -> GraphQLScalarType:
    """A scalar written as a string."""

    def parse(value: Any) -> str:
        if isinstance(value, str):
            return value
        msg = f"{name} must be written as a string."
        raise GraphQLError(msg)

    def parse_literal(node: ValueNode, _variables: Any = None) -> str:
        if isinstance(node, StringValueNode):
            return node.value
        msg = f"{name} must be written as a string."
        raise GraphQLError(msg, node)

    return GraphQLScalarType(
        name, description=description, parse_value=parse, parse_literal=parse_literal
    )


def _anything(value: Any) -> Any:
    return value


def _bigint() -> GraphQLScalarType:
    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            msg = "bigint must be an integer."
            raise GraphQLError(msg)
        return int(value)

    def parse_literal(node: ValueNode, _variables: Any = None) -> int:
        if isinstance(node, IntValueNode | StringValueNode):
            return parse(node.value)
        msg = "bigint must be an integer."
        raise GraphQLError(msg, node)

    return GraphQLScalarType(
        "bigint", description="A 64-bit integer.", parse_value=parse, parse_literal=parse_literal
    )
