"""One request for every field of the schema, about the objects of one tenant, made from the schema itself.

Nothing here lists fields: a new query or mutation is asked as soon as the schema has it. What a new argument means is
all that must be said, in `Objects`; a field whose argument has no meaning yet fails by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
)

from services.gateway.graphql.dialect import REGISTRY, Mutation
from services.gateway.graphql.schema import build_schema
from services.gateway.reads.catalog import build_catalog

_TABLES = build_catalog().tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """What requests are about. `arguments` maps an argument in snake_case to its value, and `of_one_field` those of a
    field (in snake_case) that takes others. `rows` are the rows to ask for by key, by table.
    """

    arguments: Mapping[str, Any]
    of_one_field: Mapping[str, Mapping[str, Any]]
    rows: Mapping[str, str]

    def meaning(self, of: str, argument: str) -> Any:
        """What an argument of a field means; None when nobody said."""
        if argument == "id" and of.endswith("_by_pk"):
            return self.rows[of.removesuffix("_by_pk")]
        name = snake(argument)
        return self.of_one_field.get(snake(of), {}).get(name, self.arguments.get(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request for one field. `declared` is None for queries."""

    name: str
    query: str
    variables: dict[str, Any]
    declared: Mutation | None = None

    @property
    def is_about_objects(self) -> bool:
        """Whether it names any by id."""
        return any(_ids_in(self.variables))

    @property
    def body(self) -> dict[str, Any]:
        """What is posted."""
        return {"query": self.query, "variables": self.variables}


def schema() -> GraphQLSchema:
    """The schema that clients see."""
    return build_schema(lambda _table, _attribute: _nobody, cache_size=1, cache_bytes=1)[0]


async def _nobody(_payload: Any, _info: Any) -> None:
    return None


def every_query(whole: GraphQLSchema, objects: Objects) -> Iterator[Asked]:
    """Each field of Query, with all that it shows without an argument."""
    assert whole.query_type is not None
    for name, found in whole.query_type.fields.items():
        yield _asked("query", name, found, objects)


def every_mutation(whole: GraphQLSchema, objects: Objects) -> Iterator[Asked]:
    """Each mutation of either dialect, with every input that has a meaning here."""
    assert whole.mutation_type is not None
    declared = {name: d for d in REGISTRY for name in (d.snake, d.camel) if name}
    for name, found in whole.mutation_type.fields.items():
        yield _asked("mutation", name, found, objects, declared[name])


def every_subscription(whole: GraphQLSchema, objects: Objects) -> Iterator[Asked]:
    """Each field of Subscription."""
    assert whole.subscription_type is not None
    for name, found in whole.subscription_type.fields.items():
        yield _asked("subscription", name, found, objects)


def _asked(
    kind: str,
    name: str,
    found: GraphQLField,
    objects: Objects,
    declared: Mutation | None = None,
) -> Asked:
    variables = {
        argument: _value_of(name, argument, given, objects)
        for argument, given in found.args.items()
        if is_required_argument(given) or objects.meaning(name, argument) is not None
    }
    heads = ", ".join(f"${argument}: {found.args[argument].type}" for argument in variables)
    places = ", ".join(f"{argument}: ${argument}" for argument in variables)
    arguments = f"({places})" if places else ""
    return Asked(
        name=name,
        query=f"{kind}{f'({heads})' if heads else ''} {{ {name}{arguments}{_selection(found.type)} }}",
        variables=variables,
        declared=declared,
    )


def _ids_in(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _ids_in(inner, snake(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _ids_in(inner, name)
    elif name.endswith(("id", "ids")) and name != "user_id":
        yield str(value)


def snake(name: str) -> str:
    """`flowRunId` gives `flow_run_id`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _value_of(
    of: str, argument: str, given: GraphQLArgument | GraphQLInputField, objects: Objects
) -> Any:
    value = _value(of, argument, given.type, objects)
    assert value is not None, f"say in the test's Objects what `{argument}` of `{of}` means"
    return value


def _value(of: str, argument: str, kind: GraphQLInputType, objects: Objects) -> Any:
    known = objects.meaning(of, argument)
    if known is not None:
        return known
    inner: GraphQLInputType = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    if is_list_type(inner):
        below = _value(of, argument, inner.of_type, objects)
        return None if below is None else [below]
    if isinstance(inner, GraphQLInputObjectType):
        return {
            name: _value_of(of, name, each, objects)
            for name, each in inner.fields.items()
            if is_required_input_field(each) or objects.meaning(of, name) is not None
        }
    return None


def _selection(kind: GraphQLOutputType) -> str:
    """All that a type shows without an argument; of a table its columns, since its relations are tables too."""
    named: GraphQLNamedType = get_named_type(kind)
    if not isinstance(named, GraphQLObjectType):
        return ""
    parts = [
        name + _selection(each.type)
        for name, each in named.fields.items()
        if not _asks(each)
        and (named.name not in _TABLES or is_leaf_type(get_named_type(each.type)))
    ]
    return f" {{ {' '.join(parts)} }}"


def _asks(found: GraphQLField) -> bool:
    return any(is_non_null_type(each.type) for each in found.args.values())
