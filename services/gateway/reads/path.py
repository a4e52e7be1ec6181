"""The read path: types for the schema, and a cache of compiled documents."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    get_operation_ast,
)

from services.gateway.reads.catalog import Catalog, build_catalog
from services.gateway.reads.compiler import Compiler, Root
from services.gateway.reads.documents import Lifted, lift, slots_of
from services.gateway.reads.inputs import (
    Declared,
    Inputs,
    Resolver,
    check_variables,
    declared_variables,
    shape_of,
)
from services.gateway.reads.limits import Limits
from services.gateway.reads.plans import Plan, Program, RowPlan
from services.gateway.reads.selections import Selections
from services.gateway.reads.statement import Statement, too_much
from services.gateway.reads.types import Types

_PROGRAMS_PER_DOCUMENT = 64  # structures of variables; the UI's filters make a few of each document
_LONGEST_REMEMBERED = (
    100_000  # characters; one giant document must not push out a thousand ordinary ones
)


@dataclass(slots=True)
class _Document:
    """A document that was compiled: what binding another request to it needs.

    `source` is the parsed document and its operation, for other structures of its variables. A document without
    variables has one structure and lets go of it: a syntax tree is ten times as large as what it was compiled to.
    """

    source: tuple[DocumentNode, OperationDefinitionNode] | None
    declared: tuple[Declared, ...]
    slots: Mapping[int, int]
    is_only_ours: bool
    programs: "OrderedDict[tuple[Any, ...], Program]" = field(default_factory=OrderedDict)


class ReadPath:
    """Built once; `use` gives it the merged schema."""

    def __init__(self, catalog: Catalog, types: Types, limits: Limits, *, cache_size: int) -> None:
        self._catalog = catalog
        self._types = types
        self._limits = limits
        self._cache_size = cache_size
        self._schema: GraphQLSchema | None = None
        self._documents: OrderedDict[tuple[str, str | None], _Document] = OrderedDict()

    @classmethod
    def build(
        cls,
        *,
        scalars: Mapping[str, GraphQLScalarType] | None = None,
        limits: Limits | None = None,
        cache_size: int = 2_000,
    ) -> "ReadPath":
        """The read path over the tables of `libs.schema`; `scalars` are types to share with the rest of the schema."""
        catalog = build_catalog()
        return cls(catalog, Types(catalog, scalars), limits or Limits(), cache_size=cache_size)

    @property
    def fields(self) -> dict[str, GraphQLField]:
        """The root fields, for the query type."""
        return self._types.fields

    @property
    def types(self) -> list[GraphQLNamedType]:
        """Every generated type."""
        return self._types.all()

    @property
    def catalog(self) -> Catalog:
        """What can be read."""
        return self._catalog

    def object_type(self, table: str) -> GraphQLObjectType:
        """The object type of a table's rows."""
        kind = self._types.named(table)
        if not isinstance(kind, GraphQLObjectType):
            msg = f"{table} is not a table"
            raise KeyError(msg)
        return kind

    def input_type(self, name: str) -> GraphQLInputObjectType | GraphQLEnumType:
        """A comparison or an ordering by its name, for lists of others that are filtered alike."""
        kind = self._types.named(name)
        if not isinstance(kind, GraphQLInputObjectType | GraphQLEnumType):
            msg = f"{name} is not an input type"
            raise KeyError(msg)
        return kind

    def use(self, schema: GraphQLSchema) -> None:
        """Take the schema that documents are validated against."""
        self._schema = schema

    # queries

    def recall(
        self, lifted: Lifted, operation_name: str | None, variables: Mapping[str, Any] | None
    ) -> Plan | None:
        """The plan of a document that was compiled before (with whatever literals), or None. Parses nothing."""
        found = self._recalled((lifted.skeleton, operation_name))
        if found is not None:
            return self._plan(found, lifted.literals, variables)
        found = self._recalled((lifted.text, operation_name))
        return None if found is None else self._plan(found, (), variables)

    def compile(
        self,
        text: str,
        document: DocumentNode,
        operation_name: str | None,
        variables: Mapping[str, Any] | None,
    ) -> Plan:
        """The plan of a validated document; remembered if it asks for nothing but ours."""
        operation = get_operation_ast(document, operation_name)
        if operation is None:
            msg = "Must provide operation name if query contains multiple operations."
            raise GraphQLError(msg)
        lifted = lift(text)
        slots = slots_of(lifted, document)
        # Where the scan and the parser disagree, the whole text is the key and its literals are constants.
        key = (text if slots is None else lifted.skeleton, operation_name)
        entry = _Document(
            (document, operation),
            declared_variables(self._used_schema(), operation),
            slots or {},
            is_only_ours=self._is_only_ours(document, operation),
        )
        plan = self._plan(entry, () if slots is None else lifted.literals, variables)
        if entry.is_only_ours and len(text) <= _LONGEST_REMEMBERED:
            if not entry.declared:
                entry.source = None
            self._documents[key] = entry
            if len(self._documents) > self._cache_size:
                self._documents.popitem(last=False)
        return plan

    # rows below mutations

    def row_plan(
        self,
        table: str,
        info: GraphQLResolveInfo[Any] | None = None,
        *,
        field_nodes: Sequence[FieldNode] | None = None,
        document: DocumentNode | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> RowPlan:
        """The row of a table with what is selected below these fields, for `Reader.row`."""
        if info is not None:
            field_nodes, variables = info.field_nodes, info.variable_values.coerced
            fragments = info.fragments
            operation: OperationDefinitionNode | None = info.operation
        else:
            fragments = _fragments(document)
            operation = None
        declared = declared_variables(self._used_schema(), operation) if operation else ()
        resolver = Resolver(declared, Inputs((), variables or {}), {})
        compiler = Compiler(self._catalog, self._types, resolver, Selections(fragments, resolver))
        root = compiler.row(self._statement(None), self._catalog[table], list(field_nodes or ()))
        return RowPlan(root, dict(variables or {}))

    # inside

    def _used_schema(self) -> GraphQLSchema:
        if self._schema is None:
            msg = "the read path was not given its schema"
            raise RuntimeError(msg)
        return self._schema

    def _recalled(self, key: tuple[str, str | None]) -> _Document | None:
        found = self._documents.get(key)
        if found is not None:
            self._documents.move_to_end(key)
        return found

    def _plan(
        self, entry: _Document, literals: tuple[Any, ...], variables: Mapping[str, Any] | None
    ) -> Plan:
        try:
            return self._bound(entry, literals, variables or {})
        except RecursionError:
            msg = (
                f"The document or its variables are nested deeper than {self._limits.depth} levels."
            )
            raise too_much(msg) from None

    def _bound(
        self, entry: _Document, literals: tuple[Any, ...], variables: Mapping[str, Any]
    ) -> Plan:
        given = check_variables(entry.declared, variables)
        inputs = Inputs(literals, given)
        shape = shape_of(entry.declared, given)
        program = entry.programs.get(shape)
        if program is None:
            program = self._program(entry, inputs)
            entry.programs[shape] = program
            if len(entry.programs) > _PROGRAMS_PER_DOCUMENT:
                entry.programs.popitem(last=False)
        return program.bind(inputs, maximum_cost=self._limits.cost)

    def _program(self, entry: _Document, inputs: Inputs) -> Program:
        if entry.source is None:
            msg = "a document without variables has one structure"
            raise RuntimeError(msg)
        document, operation = entry.source
        resolver = Resolver(entry.declared, inputs, entry.slots)
        selections = Selections(_fragments(document), resolver)
        compiler = Compiler(self._catalog, self._types, resolver, selections)
        fields = selections.flat([operation.selection_set])
        if len(fields) > self._limits.roots:
            msg = f"The document has more than {self._limits.roots} root fields."
            raise too_much(msg)
        roots: list[Root] = []
        statement: Statement | None = None
        for key, nodes in fields.items():
            if nodes[0].name.value in self._types.fields:
                statement = self._statement(statement)
                roots.append(compiler.root(statement, key, nodes))
        typenames = [key for key, nodes in fields.items() if nodes[0].name.value == "__typename"]
        ours = {root.key for root in roots} | set(typenames)
        foreign = [node for key, nodes in fields.items() if key not in ours for node in nodes]
        return Program(
            tuple(fields),
            tuple(roots),
            _together(roots),
            tuple(typenames),
            _reduced(document, operation, foreign) if foreign else None,
            tables=frozenset(root.table for root in roots),
            names_tenants=any(root.tenant is not None for root in roots),
        )

    def _statement(self, before: Statement | None) -> Statement:
        """A new statement; the budgets are of the document, not of each root field."""
        if before is None:
            return Statement(
                self._limits,
                fields_left=self._limits.fields,
                conditions_left=self._limits.conditions,
            )
        return Statement(
            self._limits, fields_left=before.fields_left, conditions_left=before.conditions_left
        )

    def _is_only_ours(self, document: DocumentNode, operation: OperationDefinitionNode) -> bool:
        """Whether every root field is ours, whatever the directives come to."""
        fragments = _fragments(document)
        todo: list[SelectionNode] = list(operation.selection_set.selections)
        seen: set[str] = set()
        while todo:
            node = todo.pop()
            if isinstance(node, FieldNode):
                if node.name.value != "__typename" and node.name.value not in self._types.fields:
                    return False
                continue
            selection = getattr(node, "selection_set", None)
            if selection is None:
                name = node.name.value  # type: ignore[attr-defined]  # a fragment spread
                if name in seen:
                    continue
                seen.add(name)
                selection = fragments[name].selection_set
            todo += selection.selections
        return True


def _fragments(document: DocumentNode | None) -> dict[str, FragmentDefinitionNode]:
    return {
        definition.name.value: definition
        for definition in (document.definitions if document else ())
        if isinstance(definition, FragmentDefinitionNode)
    }


def _together(roots: Sequence[Root]) -> str:
    """One statement for all root fields; the tenant is shared, the other parameters follow one another."""
    columns = []
    before = 0
    for root in roots:
        columns.append(root.shifted(before))
        before += len(root.parameters)
    return "SELECT " + ", ".join(columns)


def _reduced(
    document: DocumentNode, operation: OperationDefinitionNode, fields: Sequence[FieldNode]
) -> DocumentNode:
    """The document with these root fields only; directives on fragments around them are decided already."""
    reduced = OperationDefinitionNode(
        operation=operation.operation,
        name=operation.name,
        variable_definitions=operation.variable_definitions,
        directives=operation.directives,
        selection_set=SelectionSetNode(selections=tuple(fields)),
        loc=operation.loc,
    )
    definitions = [
        reduced if definition is operation else definition
        for definition in document.definitions
        if definition is operation or isinstance(definition, FragmentDefinitionNode)
    ]
    return DocumentNode(definitions=tuple(definitions), loc=document.loc)
