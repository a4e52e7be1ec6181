"""Requests with text or numbers that cannot be stored: cleaned in reports, refused elsewhere.

Odd values are: U+0000, lone surrogates, NaN and the infinities, numbers out of range, and too deep nesting. A mutation
that reports (`reports=True` where it is declared) gets them cleaned (`libs/runtime/reported.py`): one bad log line must
not cost its batch. In all other requests they are refused, with their path.

Ordinary requests do not come here: `http` marks a request as odd after one search for bytes, and literals are checked
only when a document was refused.
"""

import math
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FloatValueNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    IntValueNode,
    Node,
    OperationDefinitionNode,
    OperationType,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    Visitor,
    get_named_type,
    get_operation_ast,
    parse,
    print_ast,
    visit,
)

from libs.runtime import exact_json, reported
from services.gateway.graphql.dialect import REGISTRY

Variables = dict[str, Any]

# An escape of GraphQL: a whole surrogate pair, half of one, or any other. Matching all of them shows which backslash
# begins an escape.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_LARGE_NUMBER = re.compile(r"[0-9](?:[eE]\+?[0-9]{3}|[0-9]{308})")
_ODD_WORDS = ("\\u", "NaN", "Infinity")
_TOKEN_LIMIT = 100_000


def admitted(
    schema: GraphQLSchema, query: str, variables: Variables | None, name: str | None
) -> tuple[str, Variables | None]:
    """The document and the variables after cleaning. GraphQLError for values that must be refused."""
    text = _with_whole_characters(query)
    document = _parsed(text)
    operation = None if document is None else get_operation_ast(document, name)
    if document is None or operation is None:
        _refuse(reported.faults(variables or {}, "variables"))
        return query, variables  # the parser reports its error
    uses = _Uses(document, operation)
    if text != query and not uses.only_reports:
        msg = "The document holds U+0000 or half of a surrogate pair, which is not text."
        raise GraphQLError(msg)
    typed = TypeInfo(schema)
    literals = _Literals(uses, typed)
    changed = visit(operation, TypeInfoVisitor(typed, literals))
    _refuse(iter(literals.faults))
    if changed is not operation:
        text = print_ast(_replaced(document, operation, changed))
    return text, None if variables is None else _clean_variables(variables, uses)


def may_be_odd(query: str) -> bool:
    """Whether a refused document may have been refused for a literal that can be cleaned."""
    # Words by themselves: as one pattern with the number, a search takes three to six times as long.
    return any(word in query for word in _ODD_WORDS) or _LARGE_NUMBER.search(query) is not None


def with_clean_literals(schema: GraphQLSchema, query: str, name: str | None) -> str | None:
    """A refused document with the literals of its reports cleaned; None where that changes nothing."""
    if not may_be_odd(query):
        return None
    try:
        cleaned, _ = admitted(schema, query, None, name)
    except GraphQLError:
        return None  # it was refused, with a better text
    return None if cleaned == query else cleaned


def _with_whole_characters(query: str) -> str:
    if "\\u" in query:
        query = _ESCAPE.sub(lambda found: "\\uFFFD" if found[1] else found[0], query)
    return reported.clean_text(query)


def _parsed(text: str) -> DocumentNode | None:
    try:
        return parse(text, max_tokens=_TOKEN_LIMIT)
    except (GraphQLError, RecursionError):
        return None


def _clean_variables(variables: Variables, uses: "_Uses") -> Variables:
    cleaned = {}
    for name, value in variables.items():
        if uses.only_reports or name in uses.of_reports:
            cleaned[name] = reported.clean(value)
        else:
            _refuse(reported.faults(value, name))
            cleaned[name] = value
    return cleaned


def _refuse(faults: Iterator[str]) -> None:
    fault = next(faults, None)
    if fault is not None:
        raise GraphQLError(f"{fault}.")


def _replaced(
    document: DocumentNode, old: OperationDefinitionNode, new: OperationDefinitionNode
) -> DocumentNode:
    return DocumentNode(
        definitions=tuple(new if node is old else node for node in document.definitions)
    )


@cache
def _reports() -> frozenset[str]:
    """The names of mutations that report, of both dialects."""
    return frozenset(
        name for declared in REGISTRY if declared.reports for name in (declared.snake, declared.camel) if name
    )  # fmt: skip


class _Uses:
    """The root fields of an operation that report, and the variables used only by them."""

    def __init__(self, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        selections = operation.selection_set.selections
        # Fragments at the root are rare, and never in reports: odd values in them are refused, not cleaned.
        roots = [node for node in selections if isinstance(node, FieldNode)]
        is_mutation = operation.operation is OperationType.MUTATION
        self._reporting = {
            id(node) for node in roots if is_mutation and node.name.value in _reports()
        }
        self.only_reports = len(self._reporting) == len(selections)
        of_reports: set[str] = set()
        others: set[str] = set()
        for node in selections:
            (of_reports if self.reports(node) else others).update(_variables_in(node))
            if isinstance(node, FragmentSpreadNode):
                others.update(_variables_in(document))
        self.of_reports = of_reports - others

    def reports(self, node: Node) -> bool:
        """Whether a root field reports."""
        return id(node) in self._reporting


def _variables_in(node: Node) -> set[str]:
    found: set[str] = set()

    class Names(Visitor):
        def enter_variable(self, variable: VariableNode, *_: Any) -> None:
            found.add(variable.name.value)

    visit(node, Names())
    return found


class _Literals(Visitor):
    """Cleans the literals of reports, and collects the errors in those of other fields."""

    def __init__(self, uses: _Uses, typed: TypeInfo) -> None:
        super().__init__()
        self._uses = uses
        self._typed = typed
        self.faults: list[str] = []
        self._path: list[str] = []
        self._depth = 0
        self._is_report = False
        self._within_json = 0
        """Objects and lists given for JSON around this node: strings in them are values, not JSON text."""

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        """Fields within fields have arguments too."""
        if not self._depth:
            self._is_report = self._uses.reports(node)
        self._depth += 1

    def leave_field(self, *_: Any) -> None:
        """Back to the field around it."""
        self._depth -= 1

    def enter_argument(self, node: Any, *_: Any) -> None:
        """A name of the path."""
        self._path.append(node.name.value)

    def leave_argument(self, *_: Any) -> None:
        """The name is done."""
        self._path.pop()

    enter_object_field = enter_argument
    leave_object_field = leave_argument

    def enter_object_value(self, *_: Any) -> None:
        """An object given for JSON is a value as a whole."""
        if self._within_json or self._expects_json:
            self._within_json += 1

    def leave_object_value(self, *_: Any) -> None:
        """The object is done."""
        if self._within_json:
            self._within_json -= 1

    enter_list_value = enter_object_value
    leave_list_value = leave_object_value

    def enter_string_value(self, node: StringValueNode, *_: Any) -> StringValueNode | None:
        """Text, or JSON as text."""
        is_json = not self._within_json and self._expects_json
        value: Any = node.value
        if is_json:
            try:
                value = exact_json.loads_leniently(node.value)
            except ValueError:
                return None  # the scalar reports the error
        faults = list(reported.faults(value, ".".join(self._path) or "a literal"))
        if not self._is_report:
            self.faults += faults
        if not faults or not self._is_report:
            return None
        cleaned = reported.clean(value)
        return StringValueNode(value=exact_json.dumps(cleaned).decode() if is_json else cleaned)

    def enter_float_value(self, node: FloatValueNode | IntValueNode, *_: Any) -> Node | None:
        """A number out of range, in an object given for JSON."""
        if not self._within_json or not self._is_report or math.isfinite(float(node.value)):
            return None
        return StringValueNode(value=reported.clean(float(node.value)))

    enter_int_value = enter_float_value

    @property
    def _expects_json(self) -> bool:
        kind = self._typed.get_input_type()
        return kind is not None and get_named_type(kind).name == "JSON"
