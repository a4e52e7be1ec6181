"""Compiles documents without a database."""

from collections.abc import Mapping
from typing import Any

from graphql import GraphQLObjectType, GraphQLSchema, parse, validate

from services.gateway.reads import Plan, ReadPath


def a_read_path() -> tuple[ReadPath, GraphQLSchema]:
    """A read path with a schema of nothing else."""
    path = ReadPath.build()
    schema = GraphQLSchema(query=GraphQLObjectType("Query", path.fields), types=path.types)
    path.use(schema)
    return path, schema


PATH, SCHEMA = a_read_path()


def compiled(text: str, variables: Mapping[str, Any] | None = None, path: ReadPath = PATH) -> Plan:
    """The plan of a valid document."""
    document = parse(text)
    errors = validate(SCHEMA, document)
    assert not errors, errors
    return path.compile(text, document, None, variables)
