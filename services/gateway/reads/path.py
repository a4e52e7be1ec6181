"""The read path: types for the schema, and a cache of compiled documents."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from itertools import count
from typing import Any, Concatenate, ParamSpec, TypeVar

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

from libs.runtime.clock import Clock, utc_now
from services.gateway.caches import BYTES_OF_COMPILED_TOKEN, BoundedCache
from services.gateway.reads.catalog import Catalog, build_catalog
from services.gateway.reads.compiler import Compiler
from services.gateway.reads.document_limits import DocumentLimits
from services.gateway.reads.documents import Lifted, lift, slots_of
from services.gateway.reads.inputs import (
    Declared,
    Inputs,
    Resolver,
    check_variables,
    declared_variables,
    shape_of,
)
from services.gateway.reads.plans import Plan, Program, RowPlan
from services.gateway.reads.roots import Root, bounded
from services.gateway.reads.selections import Selections
from services.gateway.reads.statement import Matching, Statement, too_much
from services.gateway.reads.types import Types

_BYTES_OF_VARIABLE = 500
# Structures of variables per document, on average; the UI's filters make a few for some documents.
_PROGRAMS_OF_A_DOCUMENT = 4

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Document:
    """A compiled document: everything needed to bind another request to it.

    `number` is its own, and with a structure of its variables the key of a program.
    """

    number: int
    declared: tuple[Declared, ...]


def _within_depth(
    method: Callable[Concatenate["ReadPath", P], T],
) -> Callable[Concatenate["ReadPath", P], T]:
    """A document nested deeper than Python's recursion is also deeper than the limit, and refused as such."""

    @wraps(method)
    def guarded(self: "ReadPath", /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except RecursionError:
            depth = self._limits.depth
            msg = f"The document or its variables are nested deeper than {depth} levels."
            raise too_much(msg) from None

    return guarded


class ReadPath:
    """Built once; `use` gives it the merged schema."""

    def __init__(
        self,
        catalog: Catalog,
        types: Types,
        limits: DocumentLimits,
        *,
        cache_size: int,
        cache_bytes: int,
        clock: Clock = utc_now,
    ) -> None:
        self.now = clock
        self._catalog = catalog
        self._types = types
        self._limits = limits
        self._schema: GraphQLSchema | None = None
        self._numbers = count()
        self._documents: BoundedCache[tuple[str, str | None], _Document] = BoundedCache(
            count=cache_size, size=cache_bytes
        )
        self._programs: BoundedCache[tuple[Any, ...], Program] = BoundedCache(
            count=_PROGRAMS_OF_A_DOCUMENT * cache_size, size=cache_bytes
        )

    @classmethod
    def build(
        cls,
        *,
        scalars: Mapping[str, GraphQLScalarType] | None = None,
        limits: DocumentLimits | None = None,
        cache_size: int = 2_000,
        cache_bytes: int = 32 << 20,
        clock: Clock = utc_now,
    ) -> "ReadPath":
        """The read path over the tables of `libs.schema`; `scalars` are types to share with the rest of the schema."""
        catalog = build_catalog()
        return cls(
            catalog,
            Types(catalog, scalars),
            limits or DocumentLimits(),
            cache_size=cache_size,
            cache_bytes=cache_bytes,
            clock=clock,
        )

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
        """The catalog."""
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

    def scalar(self, name: str) -> GraphQLScalarType:
        """A scalar of the read path by its name, such as `uuid`."""
        kind = self._types.named(name)
        if not isinstance(kind, GraphQLScalarType):
            msg = f"{name} is not a scalar"
            raise KeyError(msg)
        return kind

    def use(self, schema: GraphQLSchema) -> None:
        """Take the schema that documents are validated against."""
        self._schema = schema

    # queries

    @_within_depth
    def recall(
        self, lifted: Lifted, operation_name: str | None, variables: Mapping[str, Any] | None
    ) -> Plan | None:
        """The plan of a document that was compiled before, with any literals and variables of the same structure.

        None if there is none: then `compile` it. Parses and compiles nothing.
        """
        literals = lifted.literals
        found = self._documents.get((lifted.skeleton, operation_name))
        if found is None:
            found, literals = self._documents.get((lifted.text, operation_name)), ()
        if found is None:
            return None
        inputs = self._inputs(found, literals, variables)
        program = self._programs.get(self._key(found, inputs))
        return None if program is None else self._bind(program, inputs)

    @_within_depth
    def compile(
        self,
        text: str,
        document: DocumentNode,
        operation_name: str | None,
        variables: Mapping[str, Any] | None,
    ) -> Plan:
        """The plan of a validated document; cached if all its fields are in the read path."""
        operation = get_operation_ast(document, operation_name)
        if operation is None:
            msg = "Must provide operation name if query contains multiple operations."
            raise GraphQLError(msg)
        lifted = lift(text)
        slots = slots_of(lifted, document)
        # If the scan and the parser differ, the whole text is the key and its literals are constants.
        key = (text if slots is None else lifted.skeleton, operation_name)
        entry = self._documents.get(key) or _Document(
            next(self._numbers),
            declared_variables(self._used_schema(), operation),
        )
        inputs = self._inputs(entry, () if slots is None else lifted.literals, variables)
        program = self._program(entry, inputs, slots or {}, document, operation)
        plan = self._bind(program, inputs)
        if self._is_only_ours(document, operation):
            self._documents.put(
                key, entry, size=4 * len(text) + _BYTES_OF_VARIABLE * len(entry.declared)
            )
            size = BYTES_OF_COMPILED_TOKEN * document.token_count + 2 * len(program.together)
            self._programs.put(self._key(entry, inputs), program, size=size)
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
        """The row of a table with the selection below these fields, for `Reader.row`."""
        if info is not None:
            field_nodes, variables = info.field_nodes, info.variable_values.coerced
            fragments = info.fragments
            operation: OperationDefinitionNode | None = info.operation
        else:
            fragments = _fragments(document)
            operation = None
        declared = declared_variables(self._used_schema(), operation) if operation else ()
        resolver = Resolver(declared, Inputs((), variables or {}, self.now()), {})
        compiler = Compiler(self._catalog, self._types, resolver, Selections(fragments, resolver))
        root = compiler.row(self._statement(None), self._catalog[table], list(field_nodes or ()))
        return RowPlan(root, dict(variables or {}), self.now)

    # inside

    def _used_schema(self) -> GraphQLSchema:
        if self._schema is None:
            msg = "the read path was not given its schema"
            raise RuntimeError(msg)
        return self._schema

    def _inputs(
        self, entry: _Document, literals: tuple[Any, ...], variables: Mapping[str, Any] | None
    ) -> Inputs:
        given = check_variables(entry.declared, variables or {})
        return Inputs(literals, given, self.now())

    def _key(self, entry: _Document, inputs: Inputs) -> tuple[Any, ...]:
        return entry.number, shape_of(entry.declared, inputs.variables)

    def _bind(self, program: Program, inputs: Inputs) -> Plan:
        return program.bind(inputs, maximum_cost=self._limits.cost)

    def _program(
        self,
        entry: _Document,
        inputs: Inputs,
        slots: Mapping[int, int],
        document: DocumentNode,
        operation: OperationDefinitionNode,
    ) -> Program:
        resolver = Resolver(entry.declared, inputs, slots)
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
            fields=self._limits.fields
            - (statement.fields_left if statement else self._limits.fields),
            matching=max((root.matching for root in roots), default=Matching.NONE),
            tables=frozenset().union(*(root.tables for root in roots)),
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
        """Whether every root field is in the read path, for all values of directives."""
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
    return bounded(columns, before)


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
