"""Executes one operation: by the read path, a mutation's plan or graphql-core.

HTTP 200 whenever there is `data` (a resolver's error included); 400 for invalid documents and variables, by which
clients distinguish their own mistakes from ours (reference/requests.md).
"""

import asyncio
from collections.abc import Hashable
from dataclasses import replace
from functools import partial
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    Executor,
    GraphQLError,
    GraphQLSchema,
    execute,
    execute_root_selection_set,
)

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime.ids import NewId
from libs.runtime.trace import Tracing
from services.gateway import compat, odd_text
from services.gateway.answers import Answer, Answers
from services.gateway.budget import CHARACTERS
from services.gateway.caches import BoundedCache
from services.gateway.context import Context
from services.gateway.documents import Documents, Parsed
from services.gateway.mutation_plans.cache import Found, MutationPlans
from services.gateway.mutation_plans.coercion import NotCoveredError
from services.gateway.outcomes import DONE, outcome_of
from services.gateway.preparation import NotAllowedError, Preparation, Prepared
from services.gateway.reads import BadVariables, Plan, Reader, ReadPath
from services.gateway.reads.documents import lift
from services.gateway.reads.statement import is_too_much
from services.gateway.requests import Operation, title_of
from services.gateway.shares import BusyError, Shares

UNFINISHED_OF_TENANT = 4_000
UNFINISHED_OF_KEY = 3_000
"""Requests: each takes memory, a connection and a place in every queue. A key is shared by all runs of a tenant, and
each has one request under way at most times."""
# As many as a service commits together, so that a single tenant loses no speed.
_MUTATIONS = 512
_PATIENCE = 10.0  # seconds
_LONG = 32_768  # characters of a document that is scanned in the thread
# Cached answers; each tool has its own document; an answer has half a megabyte.
_INTROSPECTIONS = 16


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
        self.schema = schema
        self._reads = reads
        self._reader = reader
        self.answers = Answers(ids)
        self.plans = MutationPlans(
            schema, count=cache_size, size=cache_bytes, compiles=compile_mutations
        )
        documents = Documents(schema, count=cache_size, size=cache_bytes)
        self._preparation = Preparation(documents, reads, self.plans)
        self._introspections: BoundedCache[tuple[str, str | None], Answer] = BoundedCache(
            count=_INTROSPECTIONS, size=_INTROSPECTIONS << 20
        )
        self._preparing: dict[Hashable, asyncio.Future[None]] = {}
        self.under_way = Shares(
            "mutations", _MUTATIONS, of_tenant=384, of_key=256,
            patience=_PATIENCE, what="their mutations to be done",
            present_of_tenant=UNFINISHED_OF_TENANT, present_of_key=UNFINISHED_OF_KEY,
        )  # fmt: skip
        """Requests are present until they are answered; its units are mutations."""

    async def run(self, operation: Operation, context: Context) -> Answer:
        """Answer one operation; never raises for what a client sent."""
        if self._tracing is None:
            return (await self._answered(operation, context)).without_values(operation.query)
        with self._tracing.span(f"graphql {title_of(operation)}") as span:
            answer = (await self._answered(operation, context)).without_values(operation.query)
            span.set_attribute("headwater.refused", answer.status != 200)
            return answer

    async def _answered(self, operation: Operation, context: Context) -> Answer:
        try:
            if operation.odd:
                operation = await context.beside(partial(self._admitted, operation))
            return await self._run(operation, context)
        except NotAllowedError as error:
            return self.answers.refused([error], status=405)
        except BusyError as error:
            return self.answers.busy(error)
        except (BadVariables, GraphQLError) as error:
            cleaned = None if is_too_much(error) else await self._cleaned(operation, context)
            if cleaned is not None:
                return await self._answered(replace(operation, query=cleaned), context)
            errors = error.errors if isinstance(error, BadVariables) else [error]
            return self.answers.refused(errors)
        except Exception as error:
            return self.answers.failed(error)

    async def _run(self, operation: Operation, context: Context) -> Answer:
        context.budget.spend_characters(len(operation.query))
        if context.identity.renewing is not None:
            return await self._renew(operation, context)
        if operation.is_large or len(operation.query) > _LONG:
            recall = partial(self._recall, operation)
            mutation, plan = await context.beside(recall, until_left=operation.only_reads)
        else:
            mutation, plan = self._recall(operation)
        if mutation is None and plan is None and await self._waited_for_alike(operation, context):
            mutation, plan = self._recall(operation)
        if mutation is not None:
            done = await self._run_plan(mutation, operation, context)
            if done is not None:
                return done
        elif plan is not None:
            context.budget.spend_fields(plan.program.fields)
            return await self._read(plan, operation, context)
        else:
            known = self._introspections.get((operation.query, operation.name))
            if known is not None:
                return known
        prepared = await self._prepared(operation, context)
        return await self._run_prepared(prepared, mutation, operation, context)

    async def _run_prepared(
        self,
        prepared: Prepared,
        mutation: Found | None,
        operation: Operation,
        context: Context,
    ) -> Answer:
        """`mutation` is a plan that the request does not fit."""
        context.budget.spend_fields(prepared.parsed.weight.fields)
        if prepared.plan is not None:
            return await self._read(prepared.plan, operation, context, prepared.parsed)
        if prepared.is_query:
            return await self._introspect(prepared.parsed, operation, context)
        if mutation is None:
            done = await self._run_new(prepared, operation, context)
            if done is not None:
                return done
        given = compat.variables_by_field(prepared.node, operation.variables or {})
        return await self._execute(prepared, replace(operation, variables={**given}), context)

    async def subscription(self, operation: Operation, context: Context) -> Prepared:
        """The subscription, parsed and validated. Raises GraphQLError, BadVariables or BusyError."""
        context.budget.spend_characters(len(operation.query))
        prepare = partial(self._preparation.subscription, operation, context.budget)
        prepared = (
            prepare() if self._preparation.is_quick(operation) else await context.beside(prepare)
        )
        context.budget.spend_fields(prepared.parsed.weight.fields)
        return prepared

    # the document

    def _recall(self, operation: Operation) -> tuple[Found | None, Plan | None]:
        """The plan of a mutation, or of a query, whose document was compiled before. At most one of them."""
        lifted = lift(operation.query)
        # Without the word it is none. Mutations come first: they are what clients send thousands of times a second.
        if operation.may_write and "mutation" in operation.query:
            found = self.plans.find(lifted, operation.name)
            if found is not None:
                return found, None
        return None, self._reads.recall(lifted, operation.name, operation.variables)

    async def _prepared(self, operation: Operation, context: Context) -> Prepared:
        if self._preparation.is_quick(operation):
            return self._preparation.prepare(operation, context.budget)
        prepare = partial(self._preparation.prepare, operation, context.budget)
        alike = self._alike(operation, context)
        ended = asyncio.get_running_loop().create_future()
        self._preparing.setdefault(alike, ended)
        try:
            return await context.beside(prepare, until_left=operation.only_reads)
        finally:
            if self._preparing.get(alike) is ended:
                del self._preparing[alike]
            ended.set_result(None)

    async def _waited_for_alike(self, operation: Operation, context: Context) -> bool:
        """Wait while a document that differs in its literals alone is prepared; whether there was one.

        Many tasks of a flow that starts ask the same at once. Without this each would be parsed, validated and compiled
        for itself, one after the other.
        """
        ended = self._preparing.get(self._alike(operation, context))
        if ended is None:
            return False
        await asyncio.shield(ended)
        return True

    def _alike(self, operation: Operation, context: Context) -> Hashable:
        """Equal for documents that one plan answers. Of one key only: no key waits until it is another's turn."""
        return context.owner, lift(operation.query).skeleton, operation.name

    def _admitted(self, operation: Operation) -> Operation:
        query, variables = odd_text.admitted(
            self.schema, operation.query, operation.variables, operation.name
        )
        return replace(operation, query=query, variables=variables, odd=False)

    async def _cleaned(self, operation: Operation, context: Context) -> str | None:
        """The refused document after cleaning; None if odd text is not the reason."""
        query = operation.query
        if len(query) > CHARACTERS or (len(query) <= _LONG and not odd_text.may_be_odd(query)):
            return None
        clean = partial(odd_text.with_clean_literals, self.schema, query, operation.name)
        try:
            return await context.beside(clean, until_left=operation.only_reads)
        except (BusyError, GraphQLError):
            return None

    # queries

    async def _read(
        self, plan: Plan, operation: Operation, context: Context, parsed: Parsed | None = None
    ) -> Answer:
        """Answer a query: fields of the read path by its plan, the rest by resolvers."""
        identity = context.identity
        visible = await context.shared.tenants.all() if identity.any_tenant else identity.may_enter
        if identity.any_tenant and plan.program.names_tenants:
            plan = plan.granting({*visible} - {context.tenant_id})
        unreadable, outcome = identity.rights.unreadable, DONE
        if not unreadable.isdisjoint(plan.program.tables):
            for table in sorted(unreadable & plan.program.tables):
                await context.record_refusal(table)
            forbidden = compat.error_of(Refused(code=Code.FORBIDDEN))
            plan = plan.refusing(unreadable, forbidden)
            outcome = outcome_of([forbidden])
        answers = await self._reader.execute(
            plan, context.tenant_id, visible_tenants=visible, caller=context.caller
        )
        if plan.foreign is None:
            return Answer(plan.render(answers), outcome=outcome)
        introspects = parsed is not None and parsed.weight.introspects
        rest = await self._resolve(plan.foreign, operation, context, beside=introspects)
        if rest.data is None and not answers:
            return self.answers.refused(rest.errors or [])
        errors = [self.answers.masked(error) for error in rest.errors or []]
        outcome = outcome_of(errors) if errors else outcome
        return Answer(plan.render(answers, data=rest.data, errors=errors), outcome=outcome)

    async def _introspect(self, parsed: Parsed, operation: Operation, context: Context) -> Answer:
        """Introspection: a second of work the first time, then the same bytes from the cache.

        In the thread, so that one introspection does not delay all other requests.
        """
        result = await self._resolve(parsed.document, operation, context, beside=True)
        answer = self.answers.done(result.data, result.errors)
        key = (operation.query, operation.name)
        self._introspections.put(key, answer, size=len(answer.body) + len(operation.query))
        return answer

    # mutations

    async def _run_plan(
        self, found: Found, operation: Operation, context: Context
    ) -> Answer | None:
        """Answer a mutation by its compiled plan; None when the request does not fit it."""
        try:
            if operation.is_large:
                arguments = await context.beside(partial(found.fit, operation.variables))
            else:
                arguments = found.fit(operation.variables)
        except NotCoveredError:
            return None
        mutations, account = self.under_way, context.account
        # As `using` does, in two calls: a compiled mutation is what is asked most.
        if not mutations.take_now(account, 1):
            await mutations.take(account, 1)
        try:
            data, errors = await found.plan.run(context, arguments)
        finally:
            mutations.release(account, 1)
        return self.answers.done(data, errors)

    async def _run_new(
        self, prepared: Prepared, operation: Operation, context: Context
    ) -> Answer | None:
        """Answer by the plan that was made of the document just now; None where graphql-core may as well.

        It converts arguments on the event loop, and runs each mutation a level deeper than the one before.
        """
        if prepared.long is not None:
            done = await self._run_plan(prepared.long, operation, context)
            if done is None:
                msg = "The variables do not fit the document; write the ids into it, or send fewer mutations at once."
                raise GraphQLError(msg)
            return done
        if not operation.is_large:
            return None
        found, _ = await context.beside(partial(self._recall, operation))
        return await self._run_plan(found, operation, context) if found else None

    async def _renew(self, operation: Operation, context: Context) -> Answer:
        """Answer a caller with a refresh token: it is valid for new tokens only."""
        prepared = await self._prepared(operation, context)
        if not prepared.asks_only({"refresh_token", "refreshToken"}):
            fields = {"reason": "a refresh token is good for refresh_token alone"}
            refused = compat.error_of(Refused(code=Code.UNAUTHENTICATED, fields=fields))
            return self.answers.done(None, [refused])
        return await self._execute(prepared, operation, context)

    async def _execute(self, prepared: Prepared, operation: Operation, context: Context) -> Answer:
        document = prepared.parsed.document
        if operation.is_large:
            # So many values take a while to look at.
            build: partial[Any] = partial(
                Executor.build,
                self.schema,
                document,
                context_value=context,
                raw_variable_values=operation.variables,
                operation_name=operation.name,
            )
            built = await context.beside(build)
            if isinstance(built, list):
                return self.answers.refused(built)
            async with self.under_way.using(context.account):
                result = await _awaited(execute_root_selection_set(built))
        else:
            async with self.under_way.using(context.account):
                result = await self._resolve(document, operation, context)
        if result.data is None and result.errors and all(e.path is None for e in result.errors):
            # Nothing ran: the variables did not fit.
            return self.answers.refused(result.errors)
        return self.answers.done(result.data, result.errors)

    # graphql-core

    async def _resolve(
        self,
        document: DocumentNode,
        operation: Operation,
        context: Context,
        *,
        beside: bool = False,
    ) -> ExecutionResult:
        run: partial[Any] = partial(
            execute,
            self.schema,
            document,
            context_value=context,
            variable_values=operation.variables or {},
            operation_name=operation.name,
        )
        return await _awaited(await context.beside(run) if beside else run())


async def _awaited(result: Any) -> ExecutionResult:
    """What graphql-core answers, at once where nothing has to be waited for."""
    found: ExecutionResult = result if isinstance(result, ExecutionResult) else await result
    return found
