"""The GraphQL types of the read path, generated from the catalog with the names that Hasura gives them.

Clients declare variables of these types (`[flow_run_order_by!]`, `timestamptz_comparison_exp`, ...) and use the object
types' names, so names are part of the contract. Scalars (`scalars`) accept any text: it is checked when values are
bound (`values`), because a compiled document is reused with other texts.
"""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLField,
    GraphQLFloat,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLString,
)

from services.gateway.reads.catalog import TRAVERSAL, Catalog, Column, Relationship, Table
from services.gateway.reads.derived_roots import DERIVED, build_field, build_type
from services.gateway.reads.operators import (
    AGGREGATES,
    COMPARISONS,
    JSON_COMPARISONS,
    ORDERS,
    TEXT_COMPARISONS,
    aggregated,
)
from services.gateway.reads.predicates import FLOATS
from services.gateway.reads.scalars import scalars as base_scalars


def from_row(source: Any, info: GraphQLResolveInfo[Any], **_arguments: Any) -> Any:
    """Resolvers for a row from the compiler: its keys are response keys."""
    return source[info.path.key]


class Types:
    """Generates each type once; everything refers to it by name."""

    def __init__(
        self, catalog: Catalog, scalars: Mapping[str, GraphQLScalarType] | None = None
    ) -> None:
        self._catalog = catalog
        self._named = {**base_scalars(), **(scalars or {})}
        self.fields = self._root_fields()
        for table in catalog.tables.values():
            for suffix in ("", "_bool_exp", "_order_by", "_select_column", "_aggregate"):
                self.named(table.name + suffix)

    def named(self, name: str) -> GraphQLNamedType:
        """The type of this name; built on first use."""
        if name not in self._named:
            self._named[name] = self._build(name)
        return self._named[name]

    def all(self) -> list[GraphQLNamedType]:
        """Every generated type that a schema could not find through the root fields."""
        return [
            kind
            for name, kind in self._named.items()
            if name not in ("String", "Int", "Boolean", "Float")
        ]

    def _input(self, name: str) -> Any:
        return self.named(name)

    # root fields

    def _root_fields(self) -> dict[str, GraphQLField]:
        fields: dict[str, GraphQLField] = {}
        for table in self._catalog.tables.values():
            if table.name == TRAVERSAL:
                continue
            fields[table.name] = self._list_field(table)
            fields[f"{table.name}_aggregate"] = self._aggregate_field(table)
            if table.key is not None:
                fields[f"{table.name}_by_pk"] = self._by_key_field(table)
        traversal = self._catalog[TRAVERSAL]
        for name in ("utility_downstream_tasks", "utility_upstream_tasks"):
            args = {"args": GraphQLArgument(GraphQLNonNull(self._input(f"{name}_args")))}
            fields[name] = self._list_field(traversal, args)
            fields[f"{name}_aggregate"] = self._aggregate_field(traversal, args)
        task_run_id = {"task_run_id": GraphQLArgument(GraphQLNonNull(self._input("UUID")))}
        # The web UI's interactive page adds `limit: 100` to both, which are one object each.
        task_run_id["limit"] = GraphQLArgument(
            GraphQLInt, description="Has no effect: the answer is one object."
        )
        fields["mapped_children"] = GraphQLField(
            self.named("mapped_children_payload"),  # type: ignore[arg-type]  # an object type by its name
            args=task_run_id,
            description="When the mapped children of a task run ran, and how many are in which state.",
        )
        fields["get_task_run_info"] = GraphQLField(
            self.named("get_task_run_info_payload"),  # type: ignore[arg-type]  # as above
            args=dict(task_run_id),
            description="The version and state of one task run.",
        )
        for derived in DERIVED.values():
            fields[derived.name] = build_field(derived, self.named, from_row)
        return fields

    def _selection_args(self, table: Table) -> dict[str, GraphQLArgument]:
        return {
            "where": GraphQLArgument(self._input(f"{table.name}_bool_exp")),
            "order_by": GraphQLArgument(
                GraphQLList(GraphQLNonNull(self._input(f"{table.name}_order_by")))
            ),
            "limit": GraphQLArgument(GraphQLInt),
            "offset": GraphQLArgument(GraphQLInt),
            "distinct_on": GraphQLArgument(
                GraphQLList(GraphQLNonNull(self._input(f"{table.name}_select_column")))
            ),
        }

    def _list_field(
        self, table: Table, more: Mapping[str, GraphQLArgument] | None = None
    ) -> GraphQLField:
        row: Any = self.named(table.name)
        return GraphQLField(
            GraphQLNonNull(GraphQLList(GraphQLNonNull(row))),
            args={**(more or {}), **self._selection_args(table)},
            resolve=from_row,
        )

    def _aggregate_field(
        self, table: Table, more: Mapping[str, GraphQLArgument] | None = None
    ) -> GraphQLField:
        aggregate: Any = self.named(f"{table.name}_aggregate")
        return GraphQLField(
            GraphQLNonNull(aggregate),
            args={**(more or {}), **self._selection_args(table)},
            resolve=from_row,
        )

    def _by_key_field(self, table: Table) -> GraphQLField:
        row: Any = self.named(table.name)
        return GraphQLField(
            row,
            args={"id": GraphQLArgument(GraphQLNonNull(self._input("uuid")))},
            resolve=from_row,
        )

    # named types

    def _build(self, name: str) -> GraphQLNamedType:
        if name in self._catalog.tables:
            return self._object(self._catalog[name])
        if name in _OTHERS:
            return _OTHERS[name](self)
        if name.endswith("_comparison_exp"):
            return self._comparison(name.removesuffix("_comparison_exp"))
        for suffix, build in _PER_TABLE.items():
            if name.endswith(suffix) and name.removesuffix(suffix) in self._catalog.tables:
                return build(self, self._catalog[name.removesuffix(suffix)])
        derived = build_type(name, self.named, from_row)
        if derived is not None:
            return derived
        msg = f"no type is named {name}"
        raise KeyError(msg)

    def _object(self, table: Table) -> GraphQLObjectType:
        def fields() -> dict[str, GraphQLField]:
            found = {column.name: self._column_field(column) for column in table.columns.values()}
            for relationship in table.relationships.values():
                target = self._catalog[relationship.target]
                if relationship.many:
                    found[relationship.name] = self._list_field(target)
                    found[f"{relationship.name}_aggregate"] = self._aggregate_field(target)
                else:
                    found[relationship.name] = self._one_field(table, relationship)
            return found

        return GraphQLObjectType(table.name, fields)

    def _column_field(self, column: Column) -> GraphQLField:
        kind: Any = self.named(column.scalar)
        return GraphQLField(kind if column.nullable else GraphQLNonNull(kind), resolve=from_row)

    def _one_field(self, _table: Table, relationship: Relationship) -> GraphQLField:
        # Nullable although the column may not be: the related row can be deleted while histories remain.
        row: Any = self.named(relationship.target)
        return GraphQLField(row, resolve=from_row)

    def _bool_exp(self, table: Table) -> GraphQLInputObjectType:
        name = f"{table.name}_bool_exp"

        def fields() -> dict[str, GraphQLInputField]:
            own = self._input(name)
            found = {
                "_and": GraphQLInputField(GraphQLList(GraphQLNonNull(own))),
                "_or": GraphQLInputField(GraphQLList(GraphQLNonNull(own))),
                "_not": GraphQLInputField(own),
            }
            for column in table.columns.values():
                found[column.name] = GraphQLInputField(
                    self._input(f"{column.scalar}_comparison_exp")
                )
            for relationship in table.relationships.values():
                found[relationship.name] = GraphQLInputField(
                    self._input(f"{relationship.target}_bool_exp")
                )
            return found

        return GraphQLInputObjectType(name, fields)

    def _comparison(self, scalar: str) -> GraphQLInputObjectType:
        kind = self._input(scalar)
        many = GraphQLList(GraphQLNonNull(kind))
        fields = {operator: GraphQLInputField(kind) for operator in COMPARISONS}
        fields |= {"_in": GraphQLInputField(many), "_nin": GraphQLInputField(many)}
        fields["_is_null"] = GraphQLInputField(GraphQLBoolean)
        if scalar == "String":
            fields |= {operator: GraphQLInputField(kind) for operator in TEXT_COMPARISONS}
        if scalar == "jsonb":
            texts = GraphQLList(GraphQLNonNull(GraphQLString))
            fields |= {operator: GraphQLInputField(kind) for operator in JSON_COMPARISONS}
            fields["_has_key"] = GraphQLInputField(GraphQLString)
            fields |= {
                "_has_keys_any": GraphQLInputField(texts),
                "_has_keys_all": GraphQLInputField(texts),
                "_cast": GraphQLInputField(self._input("jsonb_cast_exp")),
            }
        return GraphQLInputObjectType(f"{scalar}_comparison_exp", fields)

    def _order_by(self, table: Table) -> GraphQLInputObjectType:
        def fields() -> dict[str, GraphQLInputField]:
            order = self._input("order_by")
            found = {name: GraphQLInputField(order) for name in table.columns}
            for relationship in table.relationships.values():
                if relationship.many:
                    kind = self._input(f"{relationship.target}_aggregate_order_by")
                    found[f"{relationship.name}_aggregate"] = GraphQLInputField(kind)
                else:
                    found[relationship.name] = GraphQLInputField(
                        self._input(f"{relationship.target}_order_by")
                    )
            return found

        return GraphQLInputObjectType(f"{table.name}_order_by", fields)

    def _aggregate_order_by(self, table: Table) -> GraphQLInputObjectType:
        order = self._input("order_by")
        fields = {"count": GraphQLInputField(order)}
        for function in AGGREGATES:
            if aggregated(table, function):
                fields[function] = GraphQLInputField(
                    self._input(f"{table.name}_{function}_order_by")
                )
        return GraphQLInputObjectType(f"{table.name}_aggregate_order_by", fields)

    def _function_order_by(self, table: Table, function: str) -> GraphQLInputObjectType:
        order = self._input("order_by")
        fields = {column.name: GraphQLInputField(order) for column in aggregated(table, function)}
        return GraphQLInputObjectType(f"{table.name}_{function}_order_by", fields)

    def _select_column(self, table: Table) -> GraphQLEnumType:
        return GraphQLEnumType(
            f"{table.name}_select_column",
            {name: GraphQLEnumValue(name) for name in table.columns},
        )

    def _aggregate(self, table: Table) -> GraphQLObjectType:
        def fields() -> dict[str, GraphQLField]:
            row: Any = self.named(table.name)
            values: Any = self.named(f"{table.name}_aggregate_fields")
            return {
                "aggregate": GraphQLField(values, resolve=from_row),
                "nodes": GraphQLField(
                    GraphQLNonNull(GraphQLList(GraphQLNonNull(row))), resolve=from_row
                ),
            }

        return GraphQLObjectType(f"{table.name}_aggregate", fields)

    def _aggregate_fields(self, table: Table) -> GraphQLObjectType:
        columns = GraphQLList(GraphQLNonNull(self._input(f"{table.name}_select_column")))
        fields = {
            "count": GraphQLField(
                GraphQLNonNull(GraphQLInt),
                args={
                    "columns": GraphQLArgument(columns),
                    "distinct": GraphQLArgument(GraphQLBoolean),
                },
                resolve=from_row,
            )
        }
        for function in AGGREGATES:
            if aggregated(table, function):
                kind: Any = self.named(f"{table.name}_{function}_fields")
                fields[function] = GraphQLField(kind, resolve=from_row)
        return GraphQLObjectType(f"{table.name}_aggregate_fields", fields)

    def _function_fields(self, table: Table, function: str) -> GraphQLObjectType:
        fields = {}
        for column in aggregated(table, function):
            kind: Any = GraphQLFloat if function in FLOATS else self.named(column.scalar)
            fields[column.name] = GraphQLField(kind, resolve=from_row)
        return GraphQLObjectType(f"{table.name}_{function}_fields", fields)

    # types that belong to no table

    def _order(self) -> GraphQLEnumType:
        return GraphQLEnumType("order_by", {name: GraphQLEnumValue(name) for name in ORDERS})

    def _cast(self) -> GraphQLInputObjectType:
        return GraphQLInputObjectType(
            "jsonb_cast_exp", {"String": GraphQLInputField(self._input("String_comparison_exp"))}
        )

    def _traversal_args(self, name: str) -> GraphQLInputObjectType:
        return GraphQLInputObjectType(
            name,
            {
                "start_task_ids": GraphQLInputField(self._input("_uuid")),
                "depth_limit": GraphQLInputField(GraphQLInt),
            },
        )

    def _mapped_children(self) -> GraphQLObjectType:
        date_time: Any = self.named("DateTime")
        counts: Any = self.named("JSON")
        return GraphQLObjectType(
            "mapped_children_payload",
            {
                "min_start_time": GraphQLField(date_time, resolve=from_row),
                "max_end_time": GraphQLField(date_time, resolve=from_row),
                "state_counts": GraphQLField(counts, resolve=from_row),
            },
        )

    def _task_run_info(self) -> GraphQLObjectType:
        kinds: dict[str, Any] = {
            "id": self.named("UUID"),
            "version": GraphQLInt,
            "serialized_state": self.named("JSON"),
            "state": GraphQLString,
        }
        return GraphQLObjectType(
            "get_task_run_info_payload",
            {name: GraphQLField(kind, resolve=from_row) for name, kind in kinds.items()},
        )


def _of_function(
    build: Callable[[Types, Table, str], GraphQLNamedType], function: str
) -> Callable[[Types, Table], GraphQLNamedType]:
    return lambda types, table: build(types, table, function)


_PER_TABLE: dict[str, Callable[[Types, Table], GraphQLNamedType]] = {
    "_bool_exp": Types._bool_exp,
    "_aggregate_order_by": Types._aggregate_order_by,
    **{
        f"_{function}_order_by": _of_function(Types._function_order_by, function)
        for function in AGGREGATES
    },
    **{
        f"_{function}_fields": _of_function(Types._function_fields, function)
        for function in AGGREGATES
    },
    "_order_by": Types._order_by,
    "_select_column": Types._select_column,
    "_aggregate_fields": Types._aggregate_fields,
    "_aggregate": Types._aggregate,
}

_OTHERS: dict[str, Callable[[Types], GraphQLNamedType]] = {
    "order_by": Types._order,
    "jsonb_cast_exp": Types._cast,
    "utility_downstream_tasks_args": lambda types: types._traversal_args(
        "utility_downstream_tasks_args"
    ),
    "utility_upstream_tasks_args": lambda types: types._traversal_args(
        "utility_upstream_tasks_args"
    ),
    "mapped_children_payload": Types._mapped_children,
    "get_task_run_info_payload": Types._task_run_info,
}
