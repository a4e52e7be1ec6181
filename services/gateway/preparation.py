"""The preparation of a document before its execution: the syntax tree, checks, and a plan.

It shares only caches with the event loop, so it may run in the thread.
"""

from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    get_operation_ast,
)

from services.gateway.budget import Budget
from services.gateway.documents import Documents, Parsed
from services.gateway.mutation_plans.cache import Found, MutationPlans
from services.gateway.reads import Plan, ReadPath
from services.gateway.reads.document_limits import DocumentLimits
from services.gateway.reads.statement import too_much
from services.gateway.requests import Operation

ROOT_LIMIT = DocumentLimits().roots  # mutations in a document, as for queries
INBOX = frozenset({"mark_message_as_read", "mark_message_as_unread", "delete_message"})
INBOX_LIMIT = 2_000
"""Mutations of the inbox in a document: "select all" of the web UI sends one for each message."""


class NotAllowedError(GraphQLError):
    """The operation is not allowed with this HTTP method."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An operation of a valid document: its read plan, or None for graphql-core."""

    parsed: Parsed
    node: OperationDefinitionNode
    plan: Plan | None
    long: Found | None = None
    """Its compiled plan, if it has more mutations than graphql-core can run."""

    @property
    def is_query(self) -> bool:
        """Whether it changes nothing."""
        return self.node.operation is OperationType.QUERY

    def asks_only(self, names: set[str]) -> bool:
        """Whether its root fields are of these names and no others."""
        return _asks_only(self.node, names)


class Preparation:
    """Prepares operations; each document is parsed, validated and compiled once, as long as it is cached."""

    def __init__(self, documents: Documents, reads: ReadPath, mutations: MutationPlans) -> None:
        self._documents = documents
        self._reads = reads
        self._mutations = mutations

    def subscription(self, operation: Operation, budget: Budget) -> Prepared:
        """The same for a subscription; GraphQLError for every other operation."""
        parsed = self._documents.read(operation.query, budget)
        node = get_operation_ast(parsed.document, operation.name)
        if node is None:
            raise _no_operation(operation, parsed.document)
        if node.operation is not OperationType.SUBSCRIPTION:
            msg = f"A socket answers subscriptions; send this {node.operation.value} as POST to /graphql."
            raise GraphQLError(msg, node)
        return Prepared(parsed, node, None)

    def is_quick(self, operation: Operation) -> bool:
        """Whether `prepare` is quick enough for the event loop."""
        known = self._documents.known(operation.query)
        return known is not None and known.is_quick and not operation.is_large

    def prepare(self, operation: Operation, budget: Budget) -> Prepared:
        """Raises GraphQLError, or BadVariables with a list of them."""
        parsed = self._documents.read(operation.query, budget)
        document = parsed.document
        node = get_operation_ast(document, operation.name)
        if node is None:
            raise _no_operation(operation, document)
        if node.operation is OperationType.SUBSCRIPTION:
            msg = (
                "A subscription is answered over WebSocket (graphql-transport-ws) at this address; GET /events tells"
                " the same as server-sent events."
            )
            raise GraphQLError(msg, node)
        if node.operation is not OperationType.QUERY:
            if not operation.may_write:
                msg = "A GET answers queries only; send a mutation as POST."
                raise NotAllowedError(msg)
            count, names = _roots_of(document, node)
            _check_roots(count, names)
            found = self._mutations.remember(operation.query, operation.name, document, node)
            return Prepared(parsed, node, None, long=_long(count, found))
        if _asks_only(node, {"__schema", "__type"}) and not operation.variables:
            return Prepared(parsed, node, None)
        plan = self._reads.compile(operation.query, document, operation.name, operation.variables)
        return Prepared(parsed, node, plan)


def _asks_only(node: OperationDefinitionNode, names: set[str]) -> bool:
    return all(
        isinstance(field, FieldNode) and field.name.value in names
        for field in node.selection_set.selections
    )


def _long(count: int, found: Found | None) -> Found | None:
    if count <= ROOT_LIMIT:
        return None
    if found is None:
        # No plan covers it: it has a directive, or an argument of an unusual kind.
        raise _too_many_mutations(count, ROOT_LIMIT)
    return found


def _check_roots(count: int, names: set[str]) -> None:
    """Refuse more mutations than graphql-core can run: each waits inside the one before it, a level deeper.

    Those of the inbox are run by a plan, one after the other, so there may be more.
    """
    limit = INBOX_LIMIT if names <= INBOX else ROOT_LIMIT
    if count > limit:
        raise _too_many_mutations(count, limit)


def _too_many_mutations(count: int, limit: int) -> GraphQLError:
    msg = f"The document has {count} mutations; at most {limit} are run at once."
    return too_much(msg)


def _roots_of(document: DocumentNode, node: OperationDefinitionNode) -> tuple[int, set[str]]:
    """How many mutations there are, fragments spread, and of which names."""
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    keys: set[str] = set()
    names: set[str] = set()
    spread: set[str] = set()
    todo = list(node.selection_set.selections)
    while todo:
        selection = todo.pop()
        if isinstance(selection, FieldNode):
            keys.add((selection.alias or selection.name).value)
            names.add(selection.name.value)
        elif isinstance(selection, InlineFragmentNode):
            todo += selection.selection_set.selections
        elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in spread:
            spread.add(selection.name.value)
            todo += fragments[selection.name.value].selection_set.selections
    return len(keys), names


def _no_operation(operation: Operation, document: DocumentNode) -> GraphQLError:
    names = [
        d.name.value
        for d in document.definitions
        if isinstance(d, OperationDefinitionNode) and d.name
    ]
    if operation.name is None:
        return GraphQLError("Must provide operation name if query contains multiple operations.")
    return GraphQLError(f"Unknown operation named {operation.name!r}; the document has {names}.")
