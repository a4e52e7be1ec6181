"""One subscription in, its results out. What was resolved of an event for one client is not resolved for the next."""

from collections.abc import AsyncGenerator, AsyncIterable
from inspect import isawaitable
from typing import Any, cast

import orjson
from graphql import ExecutionResult as CoreResult
from graphql import Executor, GraphQLError, create_source_event_stream
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from libs.runtime import exact_json
from services.gateway.graphql.subscriptions import EventMessage
from services.gateway.operations import Operations
from services.gateway.reads import BadVariables
from services.gateway.requests import Operation
from services.gateway.shares import BusyError
from services.gateway.subscriptions.listening import Listening

Result = ExecutionResult | PreExecutionError


class Subscriptions:
    """Stands where Strawberry's handler expects its schema: ours is merged, and keeps what it has resolved."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def stream(
        self,
        query: str,
        *,
        variable_values: dict[str, Any] | None,
        context_value: Listening,
        root_value: None,
        operation_name: str | None,
    ) -> AsyncGenerator[Result, None]:
        """The results; one PreExecutionError where there is none."""
        return self._results(Operation(query, variable_values, operation_name), context_value)

    async def _results(
        self, operation: Operation, listening: Listening
    ) -> AsyncGenerator[Result, None]:
        try:
            executor = await self._executor(operation, listening)
            source = create_source_event_stream(executor)
            events = await source if isawaitable(source) else source
            if isinstance(events, CoreResult):
                yield self._refused(events.errors or [])
                return
            asked = (operation.query, operation.name, exact_json.dumps(operation.variables or {}))
            async for event in cast("AsyncIterable[EventMessage]", events):
                yield self._rendered(executor, event, asked)
        except BadVariables as error:
            yield self._refused(error.errors)
        except GraphQLError as error:
            yield self._refused([error])
        except BusyError as error:
            yield self._refused([GraphQLError(str(error), extensions={"code": "BUSY"})])

    async def _executor(self, operation: Operation, listening: Listening) -> "Executor[Any]":
        prepared = await self._operations.subscription(operation, listening.context())
        executor = Executor.build(
            self._operations.schema,
            prepared.parsed.document,
            context_value=listening,
            raw_variable_values=operation.variables or {},
            operation_name=operation.name,
        )
        if isinstance(executor, list):
            raise BadVariables(executor)
        return executor

    def _rendered(
        self, executor: "Executor[Any]", event: EventMessage, asked: tuple[object, ...]
    ) -> ExecutionResult:
        body = event.renderings.get(asked)
        if body is None:
            # Only attributes are resolved, so the result is no awaitable.
            result = cast(
                "CoreResult", executor.build_per_event_executor(event).execute_operation()
            )
            if result.errors:
                errors = [self._operations.answers.masked(error) for error in result.errors]
                return ExecutionResult(data=result.data, errors=errors)
            body = event.renderings[asked] = orjson.dumps(result.data, default=str)
        return ExecutionResult(data=cast("Any", orjson.Fragment(body)), errors=None)

    def _refused(self, errors: list[GraphQLError]) -> PreExecutionError:
        masked = [self._operations.answers.masked(error) for error in errors]
        return PreExecutionError(data=None, errors=masked)
