"""One operation in, one answer out: read path, Strawberry's mutations, or both, and what errors look like.

HTTP 200 whenever there is `data` (a resolver's error included); 400 for what does not parse, validate or coerce, which
is how clients tell their own mistakes from ours (reference/requests.md).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    execute,
    get_operation_ast,
    get_variable_values,
)

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime import exact_json, log, reported
from libs.runtime.failures import is_outage
from libs.runtime.ids import NewId
from libs.runtime.trace import Tracing
from services.gateway import compat, odd_text
from services.gateway.budget import CHARACTERS, Budget
from services.gateway.caches import BYTES_OF_COMPILED_TOKEN, BoundedCache
from services.gateway.context import Context
from services.gateway.discreet import without_values
from services.gateway.documents import Documents, Parsed
from services.gateway.permissions import UNREADABLE
from services.gateway.plans import MutationPlan, NotCoveredError, compile_plan
from services.gateway.reads import BadVariables, Plan, Reader, ReadPath
from services.gateway.reads.documents import Lifted, lift, slots_of
from services.gateway.reads.limits import Limits
from services.gateway.reads.statement import too_much
from services.gateway.requests import Operation
from services.gateway.shares import BusyError, Shares

Variables = dict[str, Any]

T = TypeVar("T")

_PATIENCE = 10.0  # seconds
_LONG = 32_768  # characters of a document that is scanned beside the loop
_HEAD = re.compile(
    r"(?:\s|#[^\n]*\n)*(?:(query|mutation|subscription)\b\s*(\w+)?[^{]*)?\{\s*(?:\w+\s*:\s*)?(\w+)?"
)
ROOT_LIMIT = Limits().roots  # mutations in a document, as of queries
LONGEST_SENTENCE = 1_000  # characters of an error's message
_INTROSPECTIONS = 16  # answers kept; each tool asks its own document, half a megabyte the answer


@dataclass(frozen=True, slots=True)
class Answer:
    """A response body and its HTTP status."""

    body: bytes
    status: int = 200
    is_busy: bool = False
    """Whether it only says to ask again."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An operation of a valid document: what it reads, or None for what graphql-core runs."""

    parsed: Parsed
    node: OperationDefinitionNode
    plan: Plan | None


class NotAllowedError(GraphQLError):
    """The operation may not come by this method of HTTP."""


class Operations:
    """Executes operations against the merged schema; documents are parsed and validated once."""

    def __init__(
        self,
        schema: GraphQLSchema,
        reads: ReadPath,
        reader: Reader,
        *,
        cache_size: int,
        cache_bytes: int,
        ids: NewId,
        compile_mutations: bool = True,
        tracing: Tracing | None = None,
    ) -> None:
        self._tracing = tracing
        self._schema = schema
        self._reads = reads
        self._reader = reader
        self._ids = ids
        self._compile_mutations = compile_mutations
        self._documents = Documents(schema, count=cache_size, size=cache_bytes)
        self._introspections: BoundedCache[tuple[str, str | None], Answer] = BoundedCache(
            count=_INTROSPECTIONS, size=_INTROSPECTIONS << 20
        )
        self._plans: BoundedCache[tuple[str, str | None], MutationPlan] = BoundedCache(
            count=cache_size, size=cache_bytes
        )
        # As many as a service commits together, so that a tenant alone is as quick as it was.
        self._mutations = Shares(
            "mutations", 512, of_tenant=384, of_key=256,
            patience=_PATIENCE, what="their mutations to be done",
        )  # fmt: skip
        self._log = log.get("gateway")

    async def run(self, operation: Operation, context: Context) -> Answer:
        """Answer one operation; never raises for what a client sent."""
        if self._tracing is None:
            return _discreet(operation, await self._answered(operation, context))
        with self._tracing.span(f"graphql {title_of(operation)}") as span:
            answer = _discreet(operation, await self._answered(operation, context))
            span.set_attribute("headwater.refused", answer.status != 200)
            return answer

    async def _answered(self, operation: Operation, context: Context) -> Answer:
        try:
            if operation.odd:
                operation = await self._beside(context, partial(self._admitted, operation))
            return await self._run(operation, context)
        except NotAllowedError as error:
            return self._refusal([error], status=405)
        except BusyError as error:
            return self.busy(error)
        except (BadVariables, GraphQLError) as error:
            cleaned = await self._cleaned(operation, context)
            if cleaned is not None:
                return await self._answered(replace(operation, query=cleaned), context)
            return self._refusal(error.errors if isinstance(error, BadVariables) else [error])
        except Exception as error:
            return self.failed(error)

    async def _cleaned(self, operation: Operation, context: Context) -> str | None:
        """The refused document without what is odd in it; None where that is not why."""
        if len(operation.query) > CHARACTERS or not odd_text.may_be_odd(operation.query):
            return None
        clean = partial(odd_text.with_clean_literals, self._schema, operation.query, operation.name)
        try:
            return await self._beside(context, clean)
        except (BusyError, GraphQLError):
            return None

    def _admitted(self, operation: Operation) -> Operation:
        query, variables = odd_text.admitted(
            self._schema, operation.query, operation.variables, operation.name
        )
        return replace(operation, query=query, variables=variables, odd=False)

    def failed(self, error: Exception) -> Answer:
        """What a client is told about a surprise: API_ERROR for an outage, else an id that the log has too."""
        return Answer(_body(None, [self._masked(GraphQLError(str(error), original_error=error))]))

    def busy(self, error: BusyError) -> Answer:
        """What a client is told who has its share, in the form on which clients ask again."""
        text = GraphQLError(str(error), extensions={"code": compat.API_ERROR})
        return Answer(_body(None, [text]), is_busy=True)

    async def _run(self, operation: Operation, context: Context) -> Answer:
        context.budget.spend_characters(len(operation.query))
        if context.identity.renewing is not None:
            return await self._renew(operation, context)
        lifted, plan = await self._recall(operation, context)
        if plan is not None:
            context.budget.spend_fields(plan.program.fields)
            return await self._read(plan, operation, context)
        known = self._introspections.get((operation.query, operation.name))
        if known is not None:
            return known
        if operation.may_write:
            done = await self._run_plan(operation, lifted, context)
            if done is not None:
                return done
        prepared = await self._prepared(operation, context)
        context.budget.spend_fields(prepared.parsed.weight.fields)
        if prepared.plan is not None:
            return await self._read(prepared.plan, operation, context, prepared.parsed)
        if prepared.node.operation is OperationType.QUERY:
            return await self._introspect(prepared.parsed, operation, context)
        given = compat.variables_by_field(prepared.node, operation.variables or {})
        return await self._execute(prepared, replace(operation, variables={**given}), context)

    async def _recall(self, operation: Operation, context: Context) -> tuple[Lifted, Plan | None]:
        """The document without its literals, and its plan if it is a query that was compiled before."""

        def recall() -> tuple[Lifted, Plan | None]:
            lifted = lift(operation.query)
            return lifted, self._reads.recall(lifted, operation.name, operation.variables)

        if operation.is_large or len(operation.query) > _LONG:
            return await self._beside(context, recall)
        return recall()

    async def _beside(self, context: Context, work: Callable[[], T]) -> T:
        """What `work` comes to, in the thread beside the loop, when it is the caller's turn."""
        context.budget.check_seconds()

        def timed() -> T:
            began = perf_counter()
            try:
                return work()
            finally:
                context.budget.spend_seconds(perf_counter() - began)

        return await context.shared.off_loop.run(context.owner, timed)

    async def _prepared(self, operation: Operation, context: Context) -> "_Prepared":
        known = self._documents.known(operation.query)
        if known is not None and known.is_quick and not operation.is_large:
            return self._prepare(operation, context.budget)
        return await self._beside(context, lambda: self._prepare(operation, context.budget))

    def _prepare(self, operation: Operation, budget: Budget) -> "_Prepared":
        """Whatever is made of a document before anything is asked; it shares nothing with the loop but caches."""
        parsed = self._documents.read(operation.query, budget)
        node = get_operation_ast(parsed.document, operation.name)
        if node is None:
            raise _no_operation(operation, parsed.document)
        if node.operation is not OperationType.QUERY:
            if not operation.may_write:
                msg = "A GET answers queries only; send a mutation as POST."
                raise NotAllowedError(msg)
            _check_roots(parsed.document, node)
            self._remember_plan(operation, parsed.document, node)
            return _Prepared(parsed, node, None)
        if _is_introspection(node) and not operation.variables:
            return _Prepared(parsed, node, None)
        plan = self._reads.compile(
            operation.query, parsed.document, operation.name, operation.variables
        )
        return _Prepared(parsed, node, plan)

    async def _read(
        self, plan: Plan, operation: Operation, context: Context, parsed: Parsed | None = None
    ) -> Answer:
        """Answer a query: what is ours by its plan, the rest by its resolvers."""
        identity = context.identity
        visible = await context.shared.tenants.all() if identity.any_tenant else identity.may_enter
        if identity.any_tenant and plan.program.names_tenants:
            plan = plan.granting({*visible} - {context.tenant_id})
        unreadable = UNREADABLE[identity.role]
        if not unreadable.isdisjoint(plan.program.tables):
            for table in sorted(unreadable & plan.program.tables):
                await context.record_refusal(table)
            forbidden = compat.error_of(Refused(code=Code.FORBIDDEN))
            plan = plan.refusing(unreadable, forbidden)
        answers = await self._reader.execute(
            plan, context.tenant_id, visible_tenants=visible, caller=context.caller
        )
        if plan.foreign is None:
            return Answer(plan.render(answers))
        introspects = parsed is not None and parsed.weight.introspects
        rest = await self._resolve(plan.foreign, operation, context, beside=introspects)
        if rest.data is None and not answers:
            return self._refusal(rest.errors or [])
        errors = [self._masked(error) for error in rest.errors or []]
        return Answer(plan.render(answers, data=rest.data, errors=errors))

    async def _renew(self, operation: Operation, context: Context) -> Answer:
        """Answer who shows a refresh token: it is good for new tokens alone."""
        prepared = await self._prepared(operation, context)
        if not _asks_only(prepared.node, {"refresh_token", "refreshToken"}):
            fields = {"reason": "a refresh token is good for refresh_token alone"}
            refused = compat.error_of(Refused(code=Code.UNAUTHENTICATED, fields=fields))
            return Answer(_body(None, [refused]))
        return await self._execute(prepared, operation, context)

    async def _introspect(self, parsed: Parsed, operation: Operation, context: Context) -> Answer:
        """The schema about itself: a second of work the first time, the same bytes for ever after.

        Beside the loop, so that one curious person does not keep everybody's runs waiting.
        """
        result = await self._resolve(parsed.document, operation, context, beside=True)
        answer = Answer(_body(result.data, [self._masked(e) for e in result.errors or []]))
        key = (operation.query, operation.name)
        self._introspections.put(key, answer, size=len(answer.body) + len(operation.query))
        return answer

    async def _run_plan(
        self, operation: Operation, lifted: Lifted, context: Context
    ) -> Answer | None:
        """Answer a mutation by its compiled plan; None when there is none or the request does not fit it."""
        plan = self._plans.get((lifted.skeleton, operation.name))
        literals = lifted.literals
        if plan is None:
            plan, literals = self._plans.get((operation.query, operation.name)), ()
        if plan is None:
            return None
        try:
            if operation.is_large:
                fit = partial(plan.fit, literals, operation.variables or {})
                arguments = await self._beside(context, fit)
            else:
                arguments = plan.fit(literals, operation.variables or {})
        except NotCoveredError:
            return None
        async with self._mutations.of(context.owner):
            data, errors = await plan.run(context, arguments)
        return Answer(_body(data, [self._masked(error) for error in errors]))

    def _remember_plan(
        self, operation: Operation, document: DocumentNode, node: OperationDefinitionNode
    ) -> None:
        """Compile for the next request; this one goes through graphql-core, whose answer is the same."""
        if not self._compile_mutations:
            return
        lifted = lift(operation.query)
        slots = slots_of(lifted, document)
        key = (operation.query if slots is None else lifted.skeleton, operation.name)
        if self._plans.get(key) is not None:
            return
        plan = compile_plan(self._schema, document, node, slots)
        if plan is not None:
            size = BYTES_OF_COMPILED_TOKEN * document.token_count + 2 * len(operation.query)
            self._plans.put(key, plan, size=size)

    async def _execute(
        self, prepared: "_Prepared", operation: Operation, context: Context
    ) -> Answer:
        if operation.is_large:
            # Most that a plan does not fit does not fit here either, and so many values take a while to look at.
            definitions = prepared.node.variable_definitions or ()
            given = operation.variables or {}
            unfit = await self._beside(
                context, lambda: get_variable_values(self._schema, definitions, given)
            )
            if isinstance(unfit, list):
                return self._refusal(unfit)
        async with self._mutations.of(context.owner):
            result = await self._resolve(prepared.parsed.document, operation, context)
        if result.data is None and result.errors and all(e.path is None for e in result.errors):
            return self._refusal(result.errors)  # nothing ran: the variables did not fit
        errors = [self._masked(error) for error in result.errors or []]
        return Answer(_body(result.data, errors))

    async def _resolve(
        self,
        document: DocumentNode,
        operation: Operation,
        context: Context,
        *,
        beside: bool = False,
    ) -> ExecutionResult:
        run = partial(
            execute,
            self._schema,
            document,
            context_value=context,
            variable_values=operation.variables or {},
            operation_name=operation.name,
        )
        result = await self._beside(context, run) if beside else run()
        return result if isinstance(result, ExecutionResult) else await result

    def _refusal(self, errors: Sequence[GraphQLError], *, status: int = 400) -> Answer:
        return Answer(_body(None, errors, with_data=False), status=status)

    def _masked(self, error: GraphQLError) -> GraphQLError:
        """An expected error as it is; a surprise without its text, under an id that the log has too."""
        cause = error.original_error
        while isinstance(cause, GraphQLError):
            if cause.extensions and not error.extensions:
                error.extensions = cause.extensions
            cause = cause.original_error
        if cause is None:
            return error
        error_id = str(self._ids())
        outage = is_outage(cause)
        self._log.error(
            "resolver_failed", error_id=error_id, path=error.path, error=str(cause),
            exc_info=None if outage else cause,
        )  # fmt: skip
        text = (
            "Unable to complete operation. An internal API error occurred; try again."
            if outage
            else f"Unable to complete operation. An internal error occurred: {error_id}."
        )
        code = compat.API_ERROR if outage else "INTERNAL_SERVER_ERROR"
        return GraphQLError(
            text,
            nodes=error.nodes,
            path=error.path,
            extensions={"code": code, "error_id": error_id},
        )


def _discreet(operation: Operation, answer: Answer) -> Answer:
    body = without_values(operation.query, answer.body)
    return answer if body is answer.body else replace(answer, body=body)


def title_of(operation: Operation) -> str:
    """What a trace calls an operation: its kind and name, else its first field. No argument, no literal."""
    head = _HEAD.match(operation.query[:2000])
    if head is None:
        return "operation"
    asked = operation.name if operation.name and operation.name.isidentifier() else None
    name = asked or head[2] or head[3] or "operation"
    return f"{head[1] or 'query'} {name[:100]}"


def _is_introspection(node: OperationDefinitionNode) -> bool:
    """Whether the operation asks for the schema and nothing else."""
    return _asks_only(node, {"__schema", "__type"})


def _asks_only(node: OperationDefinitionNode, names: set[str]) -> bool:
    return all(
        isinstance(field, FieldNode) and field.name.value in names
        for field in node.selection_set.selections
    )


def _check_roots(document: DocumentNode, node: OperationDefinitionNode) -> None:
    """Refuse more mutations than graphql-core can run: each waits inside the one before it, a level deeper."""
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    keys: set[str] = set()
    spread: set[str] = set()
    todo = list(node.selection_set.selections)
    while todo:
        selection = todo.pop()
        if isinstance(selection, FieldNode):
            keys.add((selection.alias or selection.name).value)
        elif isinstance(selection, InlineFragmentNode):
            todo += selection.selection_set.selections
        elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in spread:
            spread.add(selection.name.value)
            todo += fragments[selection.name.value].selection_set.selections
    if len(keys) > ROOT_LIMIT:
        msg = f"The document has {len(keys)} mutations; at most {ROOT_LIMIT} are run at once."
        raise too_much(msg)


def _no_operation(operation: Operation, document: DocumentNode) -> GraphQLError:
    names = [
        d.name.value
        for d in document.definitions
        if isinstance(d, OperationDefinitionNode) and d.name
    ]
    if operation.name is None:
        return GraphQLError("Must provide operation name if query contains multiple operations.")
    return GraphQLError(f"Unknown operation named {operation.name!r}; the document has {names}.")


def _shown(error: GraphQLError) -> Any:
    """The error as clients read it. A sentence that quotes a value quotes no megabyte of it."""
    formatted = error.formatted
    if len(formatted["message"]) > LONGEST_SENTENCE:
        formatted["message"] = reported.cut_text(formatted["message"], LONGEST_SENTENCE)
    return formatted


def _body(data: Any, errors: Sequence[GraphQLError], *, with_data: bool = True) -> bytes:
    body: dict[str, Any] = {}
    if errors:
        body["errors"] = [_shown(error) for error in errors]
    if with_data:
        body["data"] = data
    return exact_json.dumps(body, default=str)
