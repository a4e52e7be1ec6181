"""A client's arguments, resolved to trees whose leaves are looked up again at each use.

Compiling depends on the structure of the arguments (which keys, which of them null, which lists empty, which enum and
boolean values) but not on the texts and numbers. A tree has the structure; its leaves are `Given`, which fetch the
value from the literals and variables of the current request. `shape_of` is the structure of the variables as a key.

The order of keys in an object is kept, since `order_by: {name: asc, version: desc}` means it; graphql-core's own
coercion gives them in the order of their definition.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from graphql import (
    BooleanValueNode,
    EnumValueNode,
    FloatValueNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLSchema,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    StringValueNode,
    ValueNode,
    VariableNode,
    is_input_type,
    is_list_type,
    is_non_null_type,
    type_from_ast,
)
from graphql.utilities import validate_input_value


class Inputs(NamedTuple):
    """The values of one request, and its instant. `row_id` is the gateway's, for the rows of mutation payloads."""

    literals: tuple[Any, ...]
    variables: Mapping[str, Any]
    at: datetime
    row_id: Any = None


Get = Callable[[Inputs], Any]


@dataclass(frozen=True, slots=True)
class Given:
    """A scalar, or a list of scalars (`many`, and whether it is `empty`), that a statement binds."""

    get: Get
    many: bool = False
    empty: bool = False


Tree = None | bool | str | Given | list[Any] | dict[str, Any]
"""None: nothing given, or null. bool and str (an enum value) are part of the structure."""


class BadVariables(Exception):  # noqa: N818 - reads as what it is: `except BadVariables`
    """The variables do not fit what the operation declares."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Declared:
    """A variable that the operation declares."""

    name: str
    type: GraphQLInputType
    default: ValueNode | None


def declared_variables(
    schema: GraphQLSchema, operation: OperationDefinitionNode
) -> tuple[Declared, ...]:
    """The variables of a validated operation."""
    found = []
    for definition in operation.variable_definitions or ():
        kind = type_from_ast(schema, definition.type)
        if kind is None or not is_input_type(kind):
            msg = f"Variable '${definition.variable.name.value}' has no input type."
            raise GraphQLError(msg, definition)
        found.append(
            Declared(
                definition.variable.name.value,
                kind,
                definition.default_value,
            )
        )
    return tuple(found)


def check_variables(declared: tuple[Declared, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """The declared variables that were given; raises BadVariables. Defaults are filled in by the compiler."""
    errors: list[GraphQLError] = []
    kept: dict[str, Any] = {}
    for variable in declared:
        if variable.name not in given:
            if variable.default is None and is_non_null_type(variable.type):
                errors.append(
                    GraphQLError(
                        f"Variable '${variable.name}' of required type '{variable.type}' was not provided."
                    )
                )
            continue
        value = given[variable.name]
        _check(variable, value, errors)
        kept[variable.name] = value
    if errors:
        raise BadVariables(errors)
    return kept


def _check(variable: Declared, value: Any, errors: list[GraphQLError]) -> None:
    def on_error(error: GraphQLError, path: list[str | int]) -> None:
        at = f" at '{variable.name}{_path(path)}'" if path else ""
        errors.append(
            GraphQLError(f"Variable '${variable.name}' has invalid value{at}: {error.message}")
        )

    validate_input_value(value, variable.type, on_error)


def _path(path: list[str | int]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


def shape_of(declared: tuple[Declared, ...], values: Mapping[str, Any]) -> tuple[Any, ...]:
    """The structure of the given variables: equal shapes compile to the same statements."""
    return tuple(
        _shape(variable.type, values[variable.name]) if variable.name in values else "absent"
        for variable in declared
    )


def _shape(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    kind = kind.of_type if is_non_null_type(kind) else kind
    if is_list_type(kind):
        items = value if isinstance(value, list | tuple) else [value]
        if _is_bound(kind.of_type):
            return "many" if items else "none"
        return tuple(_shape(kind.of_type, item) for item in items)
    if isinstance(kind, GraphQLInputObjectType):
        return tuple((name, _shape(kind.fields[name].type, item)) for name, item in value.items())
    if isinstance(kind, GraphQLEnumType) or kind.name == "Boolean":
        return value
    return "one"


def _is_bound(kind: Any) -> bool:
    """Whether lists of this type are bound as one parameter."""
    kind = kind.of_type if is_non_null_type(kind) else kind
    return not (is_list_type(kind) or isinstance(kind, GraphQLInputObjectType | GraphQLEnumType))


class Resolver:
    """Resolves argument nodes to trees, for one request whose structure is being compiled."""

    def __init__(
        self,
        declared: tuple[Declared, ...],
        inputs: Inputs,
        slots: Mapping[int, int],
    ) -> None:
        self._defaults = {variable.name: variable for variable in declared}
        self._inputs = inputs
        self._slots = slots

    def tree(self, node: ValueNode, kind: Any) -> Tree:
        """The tree of a value node in a position of this type."""
        kind = kind.of_type if is_non_null_type(kind) else kind
        if isinstance(node, NullValueNode):
            return None
        if isinstance(node, VariableNode):
            return self._variable(node.name.value, kind)
        if is_list_type(kind):
            return self._list(node, kind.of_type)
        if isinstance(kind, GraphQLInputObjectType):
            # Validated before; only possible if the schema has changed.
            if not isinstance(node, ObjectValueNode):
                raise _unfit(node, kind)
            return {
                field.name.value: self.tree(field.value, kind.fields[field.name.value].type)
                for field in node.fields
            }
        if isinstance(kind, GraphQLEnumType):
            if not isinstance(node, EnumValueNode):
                raise _unfit(node, kind)
            return node.value
        if isinstance(node, BooleanValueNode) and kind.name == "Boolean":
            return node.value
        return Given(self._getter(node))

    def boolean(self, node: ValueNode) -> bool:
        """The value of a directive's `if`."""
        if isinstance(node, VariableNode):
            name = node.name.value
            default = self._defaults[name].default if name in self._defaults else None
            if name not in self._inputs.variables and default is not None:
                return self.boolean(default)
            return self._inputs.variables.get(name) is True
        return isinstance(node, BooleanValueNode) and node.value

    def _variable(self, name: str, kind: Any) -> Tree:
        if name not in self._inputs.variables:
            default = self._defaults[name].default if name in self._defaults else None
            return None if default is None else self.tree(default, kind)
        return _tree_of(self._inputs.variables[name], kind, lambda inputs: inputs.variables[name])

    def _list(self, node: ValueNode, item: Any) -> Tree:
        nodes = list(node.values) if isinstance(node, ListValueNode) else [node]
        if not _is_bound(item):
            return [self.tree(one, item) for one in nodes]
        getters = [self._getter(one) for one in nodes]
        return Given(lambda inputs: [get(inputs) for get in getters], many=True, empty=not getters)

    def _getter(self, node: ValueNode) -> Get:
        """A function for the value of a node without a type: a lifted literal, a variable, or a value that contains
        them."""
        slot = self._slots.get(node.loc.start) if node.loc is not None else None
        match node:
            case StringValueNode() | IntValueNode() | FloatValueNode() if slot is not None:
                return lambda inputs: inputs.literals[slot]
            case VariableNode():
                return self._variable_getter(node.name.value)
            case ListValueNode():
                items = [self._getter(item) for item in node.values]
                return lambda inputs: [get(inputs) for get in items]
            case ObjectValueNode():
                fields = [(field.name.value, self._getter(field.value)) for field in node.fields]
                return lambda inputs: {name: get(inputs) for name, get in fields}
            case _:
                constant = _constant(node)
                return lambda _inputs: constant

    def _variable_getter(self, name: str) -> Get:
        default = self._defaults[name].default if name in self._defaults else None
        if name not in self._inputs.variables and default is not None:
            return self._getter(default)
        return lambda inputs: inputs.variables.get(name)


def _tree_of(value: Any, kind: Any, get: Get) -> Tree:
    """The tree of a variable's value: its structure as it is now, leaves fetched again at each use."""
    if value is None:
        return None
    kind = kind.of_type if is_non_null_type(kind) else kind
    if is_list_type(kind):
        single = not isinstance(value, list | tuple)
        if _is_bound(kind.of_type):
            return Given(get, many=True, empty=not single and not value)
        if single:
            return [_tree_of(value, kind.of_type, get)]
        return [_tree_of(item, kind.of_type, _item(get, index)) for index, item in enumerate(value)]
    if isinstance(kind, GraphQLInputObjectType):
        return {
            name: _tree_of(item, kind.fields[name].type, _item(get, name))
            for name, item in value.items()
        }
    if isinstance(kind, GraphQLEnumType):
        return str(value)
    if kind.name == "Boolean":
        return bool(value)
    return Given(get)


def _item(get: Get, key: str | int) -> Get:
    return lambda inputs: get(inputs)[key]


def _constant(node: ValueNode) -> Any:
    match node:
        case NullValueNode():
            return None
        case IntValueNode():
            return int(node.value)
        case FloatValueNode():
            return float(node.value)
        case StringValueNode() | BooleanValueNode() | EnumValueNode():
            return node.value
        case _:
            raise _unfit(node, "a constant")


def _unfit(node: ValueNode, kind: object) -> GraphQLError:
    return GraphQLError(f"Expected a value of type '{kind}'.", node)
