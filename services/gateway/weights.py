"""What a document weighs before it is validated: validation itself compares any two fields of one position.

Fields are counted as they come out when fragments are spread, so a short text cannot stand for very many of them. An
introspection selects each field once: there are thousands of types and fields for each of its selections.
"""

from collections import Counter
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from services.gateway.reads.document_limits import DocumentLimits
from services.gateway.reads.statement import too_much

FIELDS = DocumentLimits().fields
DEFINITIONS = 200  # operations and fragments; the web UI's documents have one or two
_SELECTIONS = 3 * FIELDS  # fields, fragments and spreads, counted again wherever they are spread
_COMPARISONS = 200_000
_INTROSPECTION = frozenset({"__schema", "__type"})
_ROOT = 0


@dataclass(frozen=True, slots=True)
class Weight:
    """`fields` of all operations, and whether any of them asks for the schema."""

    fields: int
    introspects: bool


def weigh(document: DocumentNode) -> Weight:
    """Raises GraphQLError for a document of more than may be validated."""
    if len(document.definitions) > DEFINITIONS:
        msg = f"The document has more than {DEFINITIONS} operations and fragments."
        raise too_much(msg)
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    scales = _Scales(fragments)
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            scales.put(node.selection_set)
    fields = scales.fields
    # Fragments are validated on their own, whether or not they are used.
    for node in fragments.values():
        scales.put(node.selection_set)
    return Weight(fields, scales.introspects)


@dataclass(slots=True)
class _Scales:
    fragments: dict[str, FragmentDefinitionNode]
    fields: int = 0
    introspects: bool = False
    _selections: int = 0
    _comparisons: int = 0

    def put(self, selections: SelectionSetNode) -> None:
        """Weigh what is selected, fragments spread where they are named."""
        positions: dict[tuple[int, str], int] = {}
        seen: Counter[int] = Counter()
        # Below an introspection, positions are by the field's own name: an alias makes it no cheaper.
        todo: list[tuple[SelectionSetNode, int, bool, frozenset[str]]] = [
            (selections, _ROOT, False, frozenset())
        ]
        while todo:
            selected, position, introspects, spread = todo.pop()
            for node in selected.selections:
                self._count_selection()
                if isinstance(node, FieldNode):
                    begins = node.name.value in _INTROSPECTION
                    name = (node.alias or node.name).value
                    if introspects or begins:
                        name = f"__{node.name.value}"
                    here = positions.setdefault((position, name), len(positions) + 1)
                    self._count_field(seen[here], introspects, begins)
                    seen[here] += 1
                    if node.selection_set is not None:
                        todo.append((node.selection_set, here, introspects or begins, spread))
                elif isinstance(node, FragmentSpreadNode):
                    fragment = self.fragments.get(node.name.value)
                    if fragment is not None and node.name.value not in spread:
                        within = spread | {node.name.value}
                        todo.append((fragment.selection_set, position, introspects, within))
                else:
                    todo.append((node.selection_set, position, introspects, spread))  # type: ignore[attr-defined]  # an inline fragment

    def _count_selection(self) -> None:
        self._selections += 1
        if self._selections > _SELECTIONS:
            msg = f"The document selects more than {FIELDS} fields."
            raise too_much(msg)

    def _count_field(self, same: int, introspects: bool, begins: bool) -> None:
        self.fields += 1
        self._comparisons += same
        if self.fields > FIELDS:
            msg = f"The document selects more than {FIELDS} fields."
            raise too_much(msg)
        if self._comparisons > _COMPARISONS:
            msg = "The document selects the same fields too often."
            raise too_much(msg)
        if begins:
            self.introspects = True
        if same and introspects:
            msg = "An introspection may select each field once."
            raise too_much(msg)
