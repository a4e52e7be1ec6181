"""Selection sets, flattened: fragments expanded, @include and @skip decided, fields of one response key merged."""

from collections.abc import Mapping

from graphql import (
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionSetNode,
)

from services.gateway.reads.inputs import Resolver

Fields = dict[str, list[FieldNode]]
"""The fields of each response key, in the order of the document; several only if they are identical."""


class Selections:
    """Flattens the selection sets of one document. Types are not checked: no generated type has subtypes."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode], resolver: Resolver) -> None:
        self._fragments = fragments
        self._resolver = resolver

    def of(self, fields: list[FieldNode]) -> Fields:
        """The selection below these fields."""
        return self.flat([field.selection_set for field in fields if field.selection_set])

    def flat(self, sets: list[SelectionSetNode]) -> Fields:
        """The merged selection of these selection sets."""
        found: Fields = {}
        for one in sets:
            self._collect(one, found, set())
        return found

    def _collect(self, selection: SelectionSetNode, found: Fields, spread: set[str]) -> None:
        for node in selection.selections:
            if not self._is_included(node.directives or ()):
                continue
            match node:
                case FieldNode():
                    key = node.alias.value if node.alias else node.name.value
                    found.setdefault(key, []).append(node)
                case InlineFragmentNode():
                    self._collect(node.selection_set, found, spread)
                case FragmentSpreadNode() if node.name.value not in spread:
                    # Once per selection set, as the specification says; a repetition would select the same again.
                    spread.add(node.name.value)
                    self._collect(self._fragments[node.name.value].selection_set, found, spread)

    def _is_included(self, directives: "tuple[DirectiveNode, ...] | list[DirectiveNode]") -> bool:
        for directive in directives:
            name = directive.name.value
            if name not in ("include", "skip") or not directive.arguments:
                continue
            if self._resolver.boolean(directive.arguments[0].value) is (name == "skip"):
                return False
        return True
