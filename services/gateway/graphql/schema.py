"""The whole schema: composes, nothing else.

Strawberry makes the mutations and the queries that are not tables; `reads` makes the tables. They are merged into one
GraphQL schema, so that a document is validated once, whatever it mixes.
"""

from collections.abc import Callable
from typing import Any

import strawberry
from graphql import GraphQLField, GraphQLObjectType, GraphQLScalarType, GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from services.gateway.graphql import mutations as _declare_mutations  # noqa: F401 - declares them
from services.gateway.graphql.dialect import REGISTRY, mutation_type
from services.gateway.graphql.list_fields import guarded
from services.gateway.graphql.queries import Query
from services.gateway.graphql.scalars import SCALARS
from services.gateway.graphql.subscriptions import Subscription
from services.gateway.permissions import TABLES
from services.gateway.reads import ReadPath

Nested = Callable[[str, str], Callable[..., Any]]


def strawberry_schema() -> strawberry.Schema:
    """Mutations in both dialects and the queries that are not tables."""
    return strawberry.Schema(
        query=Query,
        mutation=mutation_type(),
        subscription=Subscription,
        config=StrawberryConfig(auto_camel_case=False, scalar_map=SCALARS),
    )


def build_schema(
    nested: Nested, *, cache_size: int, cache_bytes: int
) -> tuple[GraphQLSchema, ReadPath]:
    """The merged schema and its read path, which keeps so many compiled documents, and so many bytes of them.

    `nested(table, attribute)` resolves a relation below a payload.
    """
    ours = strawberry_schema()
    core = ours._schema
    if core.query_type is None or core.mutation_type is None:
        msg = "Strawberry made no query or mutation type"
        raise TypeError(msg)
    scalars = {
        name: kind
        for name, kind in core.type_map.items()
        if name in {"UUID", "DateTime", "JSON"} and isinstance(kind, GraphQLScalarType)
    }
    reads = ReadPath.build(scalars=scalars, cache_size=cache_size, cache_bytes=cache_bytes)
    _add_relations(core.mutation_type, reads, nested)
    unnamed = sorted(reads.catalog.tables.keys() - TABLES.keys())
    if unnamed:
        msg = f"services/gateway/permissions.py does not say which permission {unnamed[0]} needs"
        raise LookupError(msg)
    merged = GraphQLSchema(
        query=GraphQLObjectType("Query", {**guarded(core.query_type, reads), **reads.fields}),
        mutation=core.mutation_type,
        subscription=core.subscription_type,
        types=[*reads.types],
    )
    merged._strawberry_schema = ours  # type: ignore[attr-defined]
    reads.use(merged)
    return merged, reads


def _add_relations(mutation: GraphQLObjectType, reads: ReadPath, nested: Nested) -> None:
    """Put table types below the payloads that nest them (`createFlowRun{flow_run{id}}`)."""
    for declared in REGISTRY:
        names = [declared.snake, declared.camel]
        for name in filter(None, names):
            payload = mutation.fields[name].type
            for field, (table, attribute) in declared.relations.items():
                payload.fields[field] = GraphQLField(
                    reads.object_type(table), resolve=nested(table, attribute)
                )
