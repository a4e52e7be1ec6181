"""A compiled mutation, and its execution."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLError,
    Undefined,
)

from services.gateway.context import Context
from services.gateway.graphql.dialect import Mutation, perform
from services.gateway.mutation_plans.coercion import (
    FromJson,
    FromRequest,
    Literals,
    NotCoveredError,
    Variables,
    fit,
    fit_json,
)

Project = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One mutation of the document, under its response key."""

    key: str
    declared: Mutation
    argument: FromRequest
    project: Project


@dataclass(frozen=True, slots=True)
class MutationPlan:
    """One compiled document. `run` answers `data` and the errors of its fields, one after the other as GraphQL says."""

    fields: tuple[Field, ...]
    variables: dict[str, tuple[FromJson, bool, Any]]
    """Name to (coercion, required, default)."""

    def fit(self, literals: Literals, given: Variables) -> list[Any]:
        """The arguments of its fields. Raises NotCoveredError; nothing has happened then."""
        variables = self._coerce(given)
        return [fit(field.argument, literals, variables) for field in self.fields]

    async def run(
        self, context: Context, arguments: Sequence[Any]
    ) -> tuple[dict[str, Any], list[GraphQLError]]:
        """Never raises NotCoveredError: a started mutation must not start again elsewhere."""
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
                coerced[name] = fit_json(from_json, value)
            elif default is not Undefined:
                coerced[name] = default
            elif required:
                raise NotCoveredError
        return coerced


def _located(error: GraphQLError, key: str, *, cause: BaseException | None) -> GraphQLError:
    return GraphQLError(
        error.message,
        path=[key],
        original_error=cause if isinstance(cause, Exception) else None,
        extensions=error.extensions,
    )
