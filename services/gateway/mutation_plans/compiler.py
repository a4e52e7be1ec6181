"""Compiles a validated document to its plan."""

from collections.abc import Callable
from enum import Enum
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    InlineFragmentNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_named_type,
    type_from_ast,
    value_from_ast,
)

from services.gateway.graphql.dialect import PAYLOADS, REGISTRY, Mutation
from services.gateway.graphql.scalars import json_text
from services.gateway.mutation_plans.coercion import (
    FromJson,
    FromRequest,
    Literals,
    NotCoveredError,
    Variables,
    builder,
    from_json,
    given,
)
from services.gateway.mutation_plans.plan import Field, MutationPlan, Project

Slots = dict[int, int]


def compile_plan(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    slots: Slots | None,
) -> MutationPlan | None:
    """The plan of a validated mutation; None when it uses what plans do not cover.

    `slots` maps the offset of each literal to its index among those lifted; None when the document's own text is the
    key and its literals are constant.
    """
    if operation.directives:
        return None
    compiler = _Compiler(schema, document, slots)
    try:
        variables = {
            node.variable.name.value: compiler.variable(node)
            for node in operation.variable_definitions or ()
        }
        return MutationPlan(tuple(compiler.root(operation.selection_set)), variables)
    except NotCoveredError:
        return None


class _Compiler:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode, slots: Slots | None) -> None:
        self._schema = schema
        self._slots = slots
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }

    # the operation

    def variable(self, node: Any) -> tuple[FromJson, bool, Any]:
        declared = type_from_ast(self._schema, node.type)
        if declared is None:
            raise NotCoveredError
        default = Undefined
        if node.default_value is not None:
            default = value_from_ast(node.default_value, declared)
        return from_json(declared), isinstance(declared, GraphQLNonNull), default

    def root(self, selections: SelectionSetNode) -> list[Field]:
        mutation = self._schema.mutation_type
        if mutation is None:
            raise NotCoveredError
        fields = []
        for key, node in self._collect(selections).items():
            declared = _DECLARED.get(node.name.value)
            arguments = node.arguments or ()
            if declared is None or len(arguments) != 1:
                raise NotCoveredError
            field = mutation.fields[node.name.value]
            argument = self.value(arguments[0].value, field.args["input"].type)
            payload = get_named_type(field.type)
            if not isinstance(payload, GraphQLObjectType) or node.selection_set is None:
                raise NotCoveredError
            fields.append(
                Field(key, declared, argument, self.projection(node.selection_set, payload))
            )
        return fields

    def _collect(self, selections: SelectionSetNode) -> dict[str, FieldNode]:
        """Response key to field, fragments spread; a key that is selected twice is for graphql-core to merge."""
        found: dict[str, FieldNode] = {}
        for node in selections.selections:
            if node.directives:
                raise NotCoveredError
            if isinstance(node, FieldNode):
                nested = {(node.alias or node.name).value: node}
            elif isinstance(node, FragmentSpreadNode):
                nested = self._collect(self._fragments[node.name.value].selection_set)
            elif isinstance(node, InlineFragmentNode):
                nested = self._collect(node.selection_set)
            else:
                raise NotCoveredError
            if nested.keys() & found.keys():
                raise NotCoveredError
            found |= nested
        return found

    # the selection

    def projection(self, selections: SelectionSetNode, kind: GraphQLObjectType) -> Project:
        parts: list[tuple[str, Project]] = []
        for key, node in self._collect(selections).items():
            name = node.name.value
            if name == "__typename":
                parts.append((key, _constant(kind.name)))
                continue
            parts.append((key, self._attribute(name, node, kind)))

        def project(value: Any) -> Any:
            return {key: part(value) for key, part in parts}

        return project

    def _attribute(self, name: str, node: FieldNode, kind: GraphQLObjectType) -> Project:
        declared = kind.fields[name]
        named = get_named_type(declared.type)
        if isinstance(named, GraphQLScalarType):
            serialize = _SERIALIZE.get(named.name)
            if serialize is None or _is_list_of_lists(declared.type):
                raise NotCoveredError

            def scalar(value: Any) -> Any:
                found = getattr(value, name)
                if isinstance(found, list) and named.name != "JSON":
                    return [serialize(item) for item in found]
                return None if found is None else serialize(found)

            return scalar
        if not isinstance(named, GraphQLObjectType) or node.selection_set is None:
            raise NotCoveredError
        if name not in PAYLOADS[kind.name]:
            raise NotCoveredError  # a relation: a table's row, read after the mutation
        inner = self.projection(node.selection_set, named)

        def nested(value: Any) -> Any:
            found = getattr(value, name)
            if isinstance(found, list):
                return [inner(item) for item in found]
            return None if found is None else inner(found)

        return nested

    # the arguments

    def value(self, node: ValueNode, kind: GraphQLInputType) -> FromRequest:
        """A function that makes the value at `node` from a request's literals and variables."""
        if isinstance(node, VariableNode):
            name = node.name.value
            return lambda _literals, variables: variables.get(name, Undefined)
        if isinstance(kind, GraphQLNonNull):
            if isinstance(node, NullValueNode):
                raise NotCoveredError
            return self.value(node, kind.of_type)
        if isinstance(node, NullValueNode):
            return lambda _literals, _variables: None
        if isinstance(kind, GraphQLList):
            items = node.values if isinstance(node, ListValueNode) else (node,)
            parts = [self.value(item, kind.of_type) for item in items]
            return lambda literals, variables: [given(p(literals, variables)) for p in parts]
        if isinstance(kind, GraphQLInputObjectType):
            return self._object(node, kind)
        return self._leaf(node, kind)

    def _object(self, node: ValueNode, kind: GraphQLInputObjectType) -> FromRequest:
        if not isinstance(node, ObjectValueNode):
            raise NotCoveredError
        given = {field.name.value: field.value for field in node.fields}
        build = builder(kind)
        parts = [
            (name, self.value(given[name], field.type), isinstance(field.type, GraphQLNonNull))
            for name, field in kind.fields.items()
            if name in given
        ]

        def make(literals: Literals, variables: Variables) -> Any:
            values = {}
            for name, part, required in parts:
                value = part(literals, variables)
                if value is Undefined:
                    continue  # a variable that was not given is as if the field were left out
                if value is None and required:
                    raise NotCoveredError
                values[name] = value
            return build(values)

        return make

    def _leaf(self, node: ValueNode, kind: GraphQLInputType) -> FromRequest:
        slot = None
        if self._slots is not None and node.loc is not None:
            slot = self._slots.get(node.loc.start)
        convert = from_json(kind)
        if isinstance(kind, GraphQLScalarType) and kind.name == "JSON":
            if not isinstance(node, StringValueNode):
                raise NotCoveredError
            convert = json_text  # an inline literal is JSON text (reference/requests.md)
        if slot is not None:
            index = slot
            return lambda literals, _variables: convert(literals[index])
        constant = value_from_ast(node, kind)
        if constant is Undefined:
            raise NotCoveredError
        if isinstance(kind, GraphQLEnumType | GraphQLScalarType):
            return lambda _literals, _variables: constant
        raise NotCoveredError


def _constant(text: str) -> Project:
    return lambda _value: text


def _is_list_of_lists(kind: Any) -> bool:
    return str(kind).count("[") > 1


def _text(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


_DECLARED: dict[str, Mutation] = {
    name: declared for declared in REGISTRY for name in (declared.snake, declared.camel) if name
}
_SERIALIZE: dict[str, Callable[[Any], Any]] = {
    "UUID": str,
    "DateTime": lambda value: value.isoformat(),
    "JSON": lambda value: value,
    "String": _text,
    "Int": _text,
    "Boolean": _text,
    "Float": _text,
}
