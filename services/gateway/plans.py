"""Mutations compiled once and run many times (ARCHITECTURE.md).

graphql-core needs a millisecond of CPU to execute the smallest mutation. Here a document is parsed and validated once;
its plan
keeps how the arguments are coerced, which declared mutation runs, and how the payload is projected. The plan is
found under the document's skeleton, since clients write ids into the text (see `reads.documents`).

The plan covers what can go right. Whatever it does not cover (`compile_plan` answers None) and whatever does not fit
(`NotCoveredError` when it runs) goes to graphql-core, which answers the same and words the errors; a parity test
(tests/integration/gateway/test_parity.py) runs every mutation both ways.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLError,
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

from services.gateway.context import Context
from services.gateway.graphql.dialect import INPUTS, PAYLOADS, REGISTRY, Mutation, perform
from services.gateway.graphql.scalars import json_text

Variables = dict[str, Any]
Literals = tuple[Any, ...]
Slots = dict[int, int]
FromJson = Callable[[Any], Any]
FromRequest = Callable[[Literals, Variables], Any]
Project = Callable[[Any], Any]


class NotCoveredError(Exception):
    """The request does not fit the plan; graphql-core shall answer it."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    key: str
    declared: Mutation
    argument: FromRequest
    project: Project


@dataclasses.dataclass(frozen=True, slots=True)
class MutationPlan:
    """One compiled document. `run` answers `data` and the errors of its fields, one after the other as GraphQL says."""

    fields: tuple[_Field, ...]
    variables: dict[str, tuple[FromJson, bool, Any]]
    """Name to (coercion, required, default)."""

    def fit(self, literals: Literals, given: Variables) -> list[Any]:
        """The arguments of its fields. Raises NotCoveredError; nothing has happened then."""
        variables = self._coerce(given)
        return [_fit(field.argument, literals, variables) for field in self.fields]

    async def run(
        self, context: Context, arguments: Sequence[Any]
    ) -> tuple[dict[str, Any], list[GraphQLError]]:
        """Never raises NotCoveredError: what has begun is not begun again elsewhere."""
        data: dict[str, Any] = {}
        errors: list[GraphQLError] = []
        for field, argument in zip(self.fields, arguments, strict=True):
            try:
                payload = await perform(field.declared, context, argument)
                data[field.key] = field.project(payload)
            except GraphQLError as error:
                data[field.key] = None
                errors.append(_located(error, field.key, cause=error.original_error))
            except Exception as error:
                data[field.key] = None
                errors.append(_located(GraphQLError(str(error)), field.key, cause=error))
        return data, errors

    def _coerce(self, given: Variables) -> Variables:
        coerced: Variables = {}
        for name, (from_json, required, default) in self.variables.items():
            if name in given:
                value = given[name]
                if value is None and required:
                    raise NotCoveredError
                coerced[name] = _fit_json(from_json, value)
            elif default is not Undefined:
                coerced[name] = default
            elif required:
                raise NotCoveredError
        return coerced


def compile_plan(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    slots: Slots | None,
) -> MutationPlan | None:
    """The plan of a validated mutation; None when it uses what plans do not cover.

    `slots` maps the offset of each literal to its place among those lifted; None when the document's own text is the
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

    def root(self, selections: SelectionSetNode) -> list[_Field]:
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
                _Field(key, declared, argument, self.projection(node.selection_set, payload))
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

    # what is selected

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

    # what is given

    def value(self, node: ValueNode, kind: GraphQLInputType) -> FromRequest:
        """How the value at `node` is made from a request's literals and variables."""
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
            return lambda literals, variables: [_given(p(literals, variables)) for p in parts]
        if isinstance(kind, GraphQLInputObjectType):
            return self._object(node, kind)
        return self._leaf(node, kind)

    def _object(self, node: ValueNode, kind: GraphQLInputObjectType) -> FromRequest:
        if not isinstance(node, ObjectValueNode):
            raise NotCoveredError
        given = {field.name.value: field.value for field in node.fields}
        build = _builder(kind)
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
            place = slot
            return lambda literals, _variables: convert(literals[place])
        constant = value_from_ast(node, kind)
        if constant is Undefined:
            raise NotCoveredError
        if isinstance(kind, GraphQLEnumType | GraphQLScalarType):
            return lambda _literals, _variables: constant
        raise NotCoveredError


def _constant(text: str) -> Project:
    return lambda _value: text


def _given(value: Any) -> Any:
    if value is Undefined:
        raise NotCoveredError
    return value


def _fit(argument: FromRequest, literals: Literals, variables: Variables) -> Any:
    try:
        return _given(argument(literals, variables))
    except (ValueError, TypeError, GraphQLError, KeyError) as error:
        raise NotCoveredError from error


def _fit_json(convert: FromJson, value: Any) -> Any:
    try:
        return convert(value)
    except (ValueError, TypeError, GraphQLError, KeyError) as error:
        raise NotCoveredError from error


def from_json(kind: GraphQLInputType) -> FromJson:
    """How a JSON value becomes a value of the type; raises what `_fit` takes for "does not fit"."""
    is_required = isinstance(kind, GraphQLNonNull)
    from_present = _from_present(_nullable(kind))

    def convert(value: Any) -> Any:
        if value is not None:
            return from_present(value)
        if is_required:
            raise NotCoveredError
        return None

    return convert


def _from_present(kind: GraphQLInputType) -> FromJson:
    """The same for a value that is not null, of a type that may be."""
    if isinstance(kind, GraphQLList):
        item = from_json(kind.of_type)
        return lambda value: [item(v) for v in (value if isinstance(value, list) else [value])]
    if isinstance(kind, GraphQLInputObjectType):
        return _object_from_json(kind)
    if isinstance(kind, GraphQLEnumType):
        values = {name: kind.parse_value(name) for name in kind.values}
        return values.__getitem__  # a KeyError does not fit, nor does the TypeError of a list
    if isinstance(kind, GraphQLScalarType):
        return kind.parse_value
    raise NotCoveredError


def _object_from_json(kind: GraphQLInputObjectType) -> FromJson:
    source, attributes, required = _declared(kind)
    parts = {
        name: (
            attributes[name],
            _from_present(_nullable(field.type)),
            isinstance(field.type, GraphQLNonNull),
        )
        for name, field in kind.fields.items()
    }
    needed = {attributes[name] for name in required}

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise NotCoveredError
        values = {}
        for name, item in value.items():
            attribute, from_present, is_required = parts[name]  # a KeyError does not fit either
            # One call a field: a batch of log lines has thousands.
            if item is not None:
                values[attribute] = from_present(item)
            elif is_required:
                raise NotCoveredError
            else:
                values[attribute] = None
        if not needed <= values.keys():
            raise NotCoveredError
        return source(**values)

    return convert


def _nullable(kind: GraphQLInputType) -> GraphQLInputType:
    return kind.of_type if isinstance(kind, GraphQLNonNull) else kind


def _builder(kind: GraphQLInputObjectType) -> Callable[[dict[str, Any]], Any]:
    """Makes the declared dataclass from values by the dialect's names; what is missing gets its default."""
    source, attributes, required = _declared(kind)

    def build(values: dict[str, Any]) -> Any:
        if not required <= values.keys():
            raise NotCoveredError
        return source(**{attributes[name]: value for name, value in values.items()})

    return build


def _declared(
    kind: GraphQLInputObjectType,
) -> tuple[Callable[..., Any], Mapping[str, str], set[str]]:
    """The dataclass of an input, its attributes by the dialect's names, and the names that must be given."""
    if kind.name not in INPUTS:
        raise NotCoveredError
    source, attributes = INPUTS[kind.name]
    return source, attributes, {name for name, f in kind.fields.items() if _is_required(f)}


def _is_required(field: Any) -> bool:
    return isinstance(field.type, GraphQLNonNull) and field.default_value is Undefined


def _is_list_of_lists(kind: Any) -> bool:
    return str(kind).count("[") > 1


def _located(error: GraphQLError, key: str, *, cause: BaseException | None) -> GraphQLError:
    return GraphQLError(
        error.message,
        path=[key],
        original_error=cause if isinstance(cause, Exception) else None,
        extensions=error.extensions,
    )


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
