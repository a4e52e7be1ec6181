"""Compiles a root field to one SQL expression that yields its JSON.

    flow_run(where: .., limit: 5) { id flow { name } states { state } }

        SELECT coalesce(json_agg(o), '[]')
        FROM (SELECT t1."id" AS "id",
                     (SELECT row_to_json(o) FROM (SELECT .. FROM flow t2 WHERE ..) o) AS "flow",
                     (SELECT coalesce(json_agg(o), '[]') FROM (SELECT .. ) o) AS "states"
              FROM (SELECT t1.* FROM flow_run t1 WHERE tenant AND .. ORDER BY .. LIMIT ..) t1) o

The rows are selected innermost, so that nested rows are looked up for the rows of the page only. PostgreSQL turns rows
into JSON, because clients know its format of timestamps, intervals and JSON columns.
"""

from collections.abc import Callable
from dataclasses import replace

from graphql import FieldNode, GraphQLError, GraphQLField, GraphQLObjectType

from services.gateway.reads.catalog import TRAVERSAL, Catalog, Relationship, Table
from services.gateway.reads.derived import Asked
from services.gateway.reads.derived_roots import DERIVED
from services.gateway.reads.inputs import Get, Given, Resolver, Tree
from services.gateway.reads.pages import Arguments, Page, as_list
from services.gateway.reads.predicates import (
    aggregate_call,
    conjunction,
    join_on,
    root_guard,
    tenant_guard,
)
from services.gateway.reads.roots import Root, finished
from services.gateway.reads.selections import Fields, Selections
from services.gateway.reads.sources import mapped_children, task_run_info, traversal
from services.gateway.reads.statement import (
    Cost,
    Statement,
    quoted,
    too_much,
)
from services.gateway.reads.types import Types
from services.gateway.reads.values import int_value

_SOURCES = {"mapped_children": mapped_children, "get_task_run_info": task_run_info}
_MISSING = {"get_task_run_info": "Invalid task run ID"}  # the text that clients know
_LONGEST_IDENTIFIER = 63  # PostgreSQL cuts longer ones; a response key must not be cut
_WIDEST_ROW = 1_600  # PostgreSQL has 1,664 columns a row at most


class Compiler:
    """Compiles the root fields of one operation, whose structure is in `resolver` and `selections`."""

    def __init__(
        self,
        catalog: Catalog,
        types: Types,
        resolver: Resolver,
        selections: Selections,
    ) -> None:
        self._catalog = catalog
        self._types = types
        self._resolver = resolver
        self._selections = selections

    def root(self, statement: Statement, key: str, fields: list[FieldNode]) -> Root:
        """Compile a root field that the read path owns."""
        name = fields[0].name.value
        writer = _Writer(self._catalog, self._types, self._resolver, self._selections, statement)
        arguments = writer.arguments(fields[0], self._types.fields[name])
        missing, table = None, ""
        if name in _SOURCES:
            source = _SOURCES[name](statement, writer.given(arguments["task_run_id"]))
            statement.tables.add("task_run")
            sql = writer.object(f"{name}_payload", fields, source)
            missing = _MISSING.get(name)
        elif name in DERIVED:
            source = DERIVED[name].source(Asked(self._catalog, statement, arguments))
            sql = writer.array(DERIVED[name].row, fields, source)
            statement.tables.update(DERIVED[name].tables)
        elif name.startswith("utility_"):
            source = traversal(
                writer.statement,
                arguments.get("args"),
                upstream=name.startswith("utility_upstream"),
            )
            sql = writer.many(
                self._catalog[TRAVERSAL], arguments, fields, statement.cost,
                source=source, aggregate=name.endswith("_aggregate"),
            )  # fmt: skip
        elif name in self._catalog.tables:
            table = name
            sql = writer.many(self._catalog[name], arguments, fields, statement.cost)
        elif name.endswith("_by_pk"):
            table = name.removesuffix("_by_pk")
            sql = writer.by_key(self._catalog[table], writer.given(arguments["id"]), fields)
        else:
            table = name.removesuffix("_aggregate")
            sql = writer.many(
                self._catalog[table], arguments, fields, statement.cost, aggregate=True
            )
        root = finished(key, sql, statement, missing)
        if not table:
            return root
        return replace(root, tenant=_named_tenant(self._catalog[table], arguments))

    def row(self, statement: Statement, table: Table, fields: list[FieldNode]) -> Root:
        """Compile the row of a table with an id from the gateway."""
        writer = _Writer(self._catalog, self._types, self._resolver, self._selections, statement)
        sql = writer.by_key(table, Given(lambda inputs: inputs.row_id), fields)
        return finished("row", sql, statement, None)


def _named_tenant(table: Table, arguments: Arguments) -> Get | None:
    """The tenant that a field asks for by its id, or in its filter's outermost conditions."""
    where = arguments.get("where")
    compared = where.get(table.tenant) if isinstance(where, dict) else None
    named = compared.get("_eq") if isinstance(compared, dict) else None
    if table.tenant == table.key and "id" in arguments:
        named = arguments["id"]
    return named.get if isinstance(named, Given) else None


class _Writer:
    """Writes one statement."""

    def __init__(
        self,
        catalog: Catalog,
        types: Types,
        resolver: Resolver,
        selections: Selections,
        statement: Statement,
    ) -> None:
        self._catalog = catalog
        self._types = types
        self._resolver = resolver
        self._selections = selections
        self.statement = statement

    # rows

    def by_key(self, table: Table, key: Given, fields: list[FieldNode]) -> str:
        """One row by its id; NULL if there is none."""
        alias = self.statement.alias()
        identity = f"{alias}.{table.key} = {self.statement.bind(key, 'uuid')}"
        columns = self._columns(table, alias, fields, self.statement.cost, depth=2)
        where = conjunction([identity, root_guard(table, alias, self.statement)])
        return _one_object(columns, f"FROM {table.source} {alias} WHERE {where}")

    def many(
        self,
        table: Table,
        arguments: Arguments,
        fields: list[FieldNode],
        cost: Cost,
        *,
        source: str | None = None,
        scope: Callable[[str], str] | None = None,
        aggregate: bool = False,
        depth: int = 1,
    ) -> str:
        """The rows (or their aggregate) of a table; `scope` ties them to an outer row."""
        page = Page(self._catalog, self.statement, table, arguments, source=source, scope=scope)
        if aggregate:
            return self._aggregate(page, fields, cost, depth)
        rows = self._cost_of_rows(table, arguments, cost, depth)
        columns = self._columns(table, page.alias, fields, rows, depth=depth + 1)
        return _array(columns, f"FROM ({page.rows()}) {page.alias}")

    def arguments(self, node: FieldNode, field: GraphQLField) -> Arguments:
        """The arguments of a field, resolved."""
        return {
            argument.name.value: self._resolver.tree(
                argument.value, field.args[argument.name.value].type
            )
            for argument in node.arguments or ()
        }

    def given(self, tree: Tree) -> Given:
        """An argument that must be a value."""
        if not isinstance(tree, Given):
            msg = "A required argument is null."
            raise GraphQLError(msg)
        return tree

    def object(self, type_name: str, fields: list[FieldNode], source: str) -> str:
        """One object whose fields are the columns of `source` (aliased `t`)."""
        return _one_object(self._plain(type_name, fields), f"FROM ({source}) t")

    def array(self, type_name: str, fields: list[FieldNode], source: str) -> str:
        """All rows of `source`, as `object` shows one, in their order."""
        return _array(self._plain(type_name, fields), f"FROM ({source}) t")

    def _plain(self, type_name: str, fields: list[FieldNode]) -> list[tuple[str, str]]:
        selected = self._selections.of(fields)
        columns = [
            (key, f"'{type_name}'::text" if name == "__typename" else f't."{name}"')
            for key, name in _names(selected)
        ]
        for _ in columns:
            self.statement.spend_field()
        return columns

    def _columns(
        self, table: Table, alias: str, fields: list[FieldNode], cost: Cost, *, depth: int
    ) -> list[tuple[str, str]]:
        """The selection of a row: response keys and expressions."""
        self.statement.check_depth(depth, "The document")
        found = []
        for key, nodes in self._selections.of(fields).items():
            self.statement.spend_field()
            name = nodes[0].name.value
            if name == "__typename":
                expression = f"'{table.name}'::text"
            elif name in table.columns:
                expression = table.columns[name].of(alias)
            else:
                expression = self._related(table, alias, nodes, cost, depth)
            found.append((key, expression))
        return found

    def _related(
        self, table: Table, alias: str, nodes: list[FieldNode], cost: Cost, depth: int
    ) -> str:
        name = nodes[0].name.value
        aggregate = name not in table.relationships
        relationship = table.relationships[name.removesuffix("_aggregate") if aggregate else name]
        target = self._catalog[relationship.target]
        if not relationship.many:
            theirs = self.statement.alias()
            columns = self._columns(target, theirs, nodes, cost, depth=depth + 1)
            where = _scope(relationship, target, self.statement, ours=alias)(theirs)
            return _one_object(columns, f"FROM {target.source} {theirs} WHERE {where}")
        kind = self._types.named(table.name)
        if not isinstance(kind, GraphQLObjectType):
            msg = f"{table.name} is not an object type"
            raise TypeError(msg)
        return self.many(
            target,
            self.arguments(nodes[0], kind.fields[name]),
            nodes,
            cost,
            scope=_scope(relationship, target, self.statement, ours=alias),
            aggregate=aggregate,
            depth=depth,
        )

    # aggregates

    def _aggregate(self, page: Page, fields: list[FieldNode], cost: Cost, depth: int) -> str:
        self.statement.check_depth(depth + 1, "The document")
        found = []
        for key, nodes in self._selections.of(fields).items():
            self.statement.spend_field()
            name = nodes[0].name.value
            if name == "__typename":
                expression = f"'{page.table.name}_aggregate'::text"
            elif name == "nodes":
                rows = self._cost_of_rows(page.table, page.arguments, cost, depth)
                columns = self._columns(page.table, page.alias, nodes, rows, depth=depth + 2)
                expression = _array(columns, f"FROM ({page.rows()}) {page.alias}")
            else:
                expression = self._aggregate_values(page, nodes)
            found.append((key, expression))
        return _one_object(found, "")

    def _aggregate_values(self, page: Page, fields: list[FieldNode]) -> str:
        found = []
        for key, nodes in self._selections.of(fields).items():
            self.statement.spend_field()
            name = nodes[0].name.value
            if name == "__typename":
                expression = f"'{page.table.name}_aggregate_fields'::text"
            elif name == "count":
                expression = self._count(page, nodes[0])
            else:
                expression = self._function(page, name, nodes)
            found.append((key, expression))
        # HAVING makes it one row even if no aggregate is selected, only __typename.
        return _one_object(found, f"{page.unordered()} HAVING TRUE")

    def _count(self, page: Page, node: FieldNode) -> str:
        kind = self._types.named(f"{page.table.name}_aggregate_fields")
        if not isinstance(kind, GraphQLObjectType):
            msg = f"{kind} is not an object type"
            raise TypeError(msg)
        arguments = self.arguments(node, kind.fields["count"])
        columns = [
            page.table.columns[str(name)].of(page.alias)
            for name in as_list(arguments.get("columns"))
        ]
        if not columns:
            return "count(*)"
        # For one column the values that are not null, for several the rows, as count() in PostgreSQL.
        what = columns[0] if len(columns) == 1 else f"({', '.join(columns)})"
        return f"count({'DISTINCT ' if arguments.get('distinct') is True else ''}{what})"

    def _function(self, page: Page, function: str, fields: list[FieldNode]) -> str:
        pairs = []
        for key, nodes in self._selections.of(fields).items():
            self.statement.spend_field()
            name = nodes[0].name.value
            if name == "__typename":
                value = f"'{page.table.name}_{function}_fields'::text"
            else:
                value = aggregate_call(function, page.table.columns[name], page.alias)
            pairs.append(f"'{key}', {value}")
        if len(pairs) > 50:
            msg = "A selection of more than 50 aggregates must be split."
            raise too_much(msg)
        return f"json_build_object({', '.join(pairs)})"

    # costs

    def _cost_of_rows(self, table: Table, arguments: Arguments, cost: Cost, depth: int) -> Cost:
        limit = arguments.get("limit")
        limits = self.statement.limits
        usual = limits.usual_rows if depth == 1 else limits.usual_nested_rows
        most = limits.default_of(table.name)
        assumed = min(usual, most)
        rows = Cost(
            (lambda inputs: int_value(limit.get(inputs)))
            if isinstance(limit, Given)
            else (lambda _inputs: assumed)
        )
        cost.nested.append(rows)
        return rows


def _one_object(columns: list[tuple[str, str]], source: str) -> str:
    return f"(SELECT row_to_json(o) FROM ({_selected(columns)} {source}) o)"


def _array(columns: list[tuple[str, str]], source: str) -> str:
    return f"(SELECT coalesce(json_agg(o), '[]') FROM ({_selected(columns)} {source}) o)"


def _selected(columns: list[tuple[str, str]]) -> str:
    if len(columns) > _WIDEST_ROW:
        msg = f"A selection of more than {_WIDEST_ROW} fields must be split."
        raise too_much(msg)
    for key, _ in columns:
        if len(key) > _LONGEST_IDENTIFIER:
            msg = f"The alias {key} is longer than {_LONGEST_IDENTIFIER} characters."
            raise too_much(msg)
    return "SELECT " + ", ".join(f"{expression} AS {quoted(key)}" for key, expression in columns)


def _scope(
    relationship: Relationship, target: Table, statement: Statement, *, ours: str
) -> Callable[[str], str]:
    return lambda theirs: conjunction(
        [join_on(relationship, ours=ours, theirs=theirs), tenant_guard(target, theirs, statement)]
    )


def _names(selected: Fields) -> list[tuple[str, str]]:
    return [(key, nodes[0].name.value) for key, nodes in selected.items()]
