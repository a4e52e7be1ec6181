"""Guards the queries that are no tables, and gives the lists among them the arguments of Hasura's lists (see `lists`).

What each needs is in `permissions.QUERIES`. Strawberry made the fields; the arguments of lists are made here from what
their rows show, with the types that the read path has for the same scalars. A new list gets them without another line.
"""

from collections.abc import Callable, Iterator
from inspect import isawaitable
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    get_nullable_type,
)

from services.gateway.graphql.lists import paged
from services.gateway.permissions import QUERIES, Needed, needed_by
from services.gateway.reads import ReadPath
from services.gateway.reads.values import uuid_value

_SCALARS = {
    "UUID": "uuid",
    "DateTime": "timestamptz",
    "String": "String",
    "Int": "Int",
    "Boolean": "Boolean",
}
"""A scalar of ours, and the read path's name for it."""
_ARGUMENTS = ("where", "order_by", "limit", "offset")


def guarded(query: GraphQLObjectType, reads: ReadPath) -> dict[str, GraphQLField]:
    """The fields of the query type, for those who may, and the lists among them with arguments."""
    inputs = _Inputs(reads)
    for name, field in query.fields.items():
        needed = needed_by(QUERIES, name)
        if needed:
            field.resolve = _for_those_with(needed, name, field.resolve)
    return {
        name: _by_key(field, reads) if name.endswith("_by_pk") else _with_page(field, inputs)
        for name, field in query.fields.items()
    }


def _by_key(field: GraphQLField, reads: ReadPath) -> GraphQLField:
    """A field that finds one row, with an id as the tables' fields have it."""
    resolve: Any = field.resolve

    def answer(source: Any, info: Any, **given: Any) -> Any:
        return resolve(source, info, id=uuid_value(given["id"]))

    return GraphQLField(
        field.type,
        args={"id": GraphQLArgument(GraphQLNonNull(reads.scalar("uuid")))},
        resolve=answer,
        description=field.description,
        extensions=field.extensions,
    )


def _for_those_with(needed: Needed, name: str, resolve: Any) -> Callable[..., Any]:
    async def answer(source: Any, info: Any, **given: Any) -> Any:
        await info.context.require_permission(needed, what=name)
        found = resolve(source, info, **given)
        return await found if isawaitable(found) else found

    return answer


def _with_page(field: GraphQLField, inputs: "_Inputs") -> GraphQLField:
    kind = get_nullable_type(field.type)
    if not isinstance(kind, GraphQLList):
        return field
    args = dict(field.args)
    row = get_nullable_type(kind.of_type)
    if isinstance(row, GraphQLObjectType):
        args["where"] = GraphQLArgument(inputs.bool_exp(row))
        args["order_by"] = GraphQLArgument(GraphQLList(GraphQLNonNull(inputs.order_by(row))))
    args |= {"limit": GraphQLArgument(GraphQLInt), "offset": GraphQLArgument(GraphQLInt)}
    return GraphQLField(
        field.type,
        args=args,
        resolve=_paging(field.resolve),
        description=field.description,
        extensions=field.extensions,
    )


def _paging(resolve: Any) -> Callable[..., Any]:
    async def answer(source: Any, info: Any, **given: Any) -> Any:
        page = {name: given.pop(name, None) for name in _ARGUMENTS}
        rows = resolve(source, info, **given)
        found = await rows if isawaitable(rows) else rows
        return paged(found, **page, at=info.context.shared.clock())

    return answer


class _Inputs:
    """The input types, each made once."""

    def __init__(self, reads: ReadPath) -> None:
        self._reads = reads
        self._made: dict[str, GraphQLInputObjectType] = {}

    def bool_exp(self, row: GraphQLObjectType) -> GraphQLInputObjectType:
        """What rows can be filtered by: what they show, and what is nested in them."""
        name = f"{row.name}_bool_exp"

        def fields() -> dict[str, GraphQLInputField]:
            own = self._made[name]
            found = {
                "_and": GraphQLInputField(GraphQLList(GraphQLNonNull(own))),
                "_or": GraphQLInputField(GraphQLList(GraphQLNonNull(own))),
                "_not": GraphQLInputField(own),
            }
            for key, scalar in _scalars_of(row):
                found[key] = GraphQLInputField(self._reads.input_type(f"{scalar}_comparison_exp"))
            for key, field in row.fields.items():
                below = _object_of(field.type)
                if below is not None:
                    found[key] = GraphQLInputField(self.bool_exp(below))
            return found

        return self._once(name, fields)

    def order_by(self, row: GraphQLObjectType) -> GraphQLInputObjectType:
        """What rows can be ordered by."""
        return self._once(
            f"{row.name}_order_by",
            lambda: {
                key: GraphQLInputField(self._reads.input_type("order_by"))
                for key, _ in _scalars_of(row)
            },
        )

    def _once(
        self, name: str, fields: Callable[[], dict[str, GraphQLInputField]]
    ) -> GraphQLInputObjectType:
        if name not in self._made:
            self._made[name] = GraphQLInputObjectType(name, fields)
        return self._made[name]


def _scalars_of(row: GraphQLObjectType) -> Iterator[tuple[str, str]]:
    for name, field in row.fields.items():
        kind = get_nullable_type(field.type)
        if isinstance(kind, GraphQLScalarType) and kind.name in _SCALARS:
            yield name, _SCALARS[kind.name]


def _object_of(kind: GraphQLOutputType) -> GraphQLObjectType | None:
    """The object type of one nested object, or of a list of them."""
    inner = get_nullable_type(kind)
    if isinstance(inner, GraphQLList):
        inner = get_nullable_type(inner.of_type)
    return inner if isinstance(inner, GraphQLObjectType) else None
