"""A plan: the statement of one request, and how its results become the response."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import orjson
from graphql import DocumentNode, GraphQLError

from libs.runtime import exact_json
from libs.runtime.clock import Clock
from services.gateway.reads.inputs import Inputs
from services.gateway.reads.roots import Root
from services.gateway.reads.statement import Matching
from services.gateway.reads.values import uuid_value

Answers = Mapping[str, bytes | GraphQLError]


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled operation, for all requests of the same structure.

    `together` is one statement for all root fields: one round trip, one snapshot. Its parameters are the roots' own,
    one after the other.
    """

    keys: tuple[str, ...]
    roots: tuple[Root, ...]
    together: str
    typenames: tuple[str, ...] = ()
    """Response keys of `__typename` on the root."""
    foreign: DocumentNode | None = None
    fields: int = 0
    """How many are selected, fragments spread."""
    matching: Matching = Matching.NONE
    """The most demanding of its root fields."""
    tables: frozenset[str] = frozenset()
    """The tables that root fields name, wherever they do."""
    names_tenants: bool = False
    """Whether a root field's filter names a tenant."""

    def bind(self, inputs: Inputs, *, maximum_cost: int) -> "Plan":
        """Bind one request's values; a root field whose values cannot be bound gets its own error."""
        bound: list[Bound] = []
        failed: dict[str, GraphQLError] = {}
        for root in self.roots:
            try:
                values = root.values(inputs, maximum_cost=maximum_cost)
                tenant = root.tenant and uuid_value(root.tenant(inputs))
            except GraphQLError as error:
                failed[root.key] = at_key(error, root.key)
            else:
                bound.append(Bound(root, values, tenant))
        return Plan(self, tuple(bound), failed)


@dataclass(frozen=True, slots=True)
class Bound:
    """A root field with the values of one request.

    `named` is the tenant that its filter names, if it names one; `tenant` is the same once the caller may read it
    (`Plan.granting`), and until then the caller's own is read.
    """

    root: Root
    values: Sequence[Any]
    named: UUID | None = None
    tenant: UUID | None = None

    @property
    def sql(self) -> str:
        """Its statement, alone."""
        return f"SELECT {self.root.sql}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The bound plan of one request. `failed` are root fields that were refused before any statement ran."""

    program: Program
    bound: tuple[Bound, ...]
    failed: Mapping[str, GraphQLError]

    @property
    def foreign(self) -> DocumentNode | None:
        """The operation reduced to the root fields outside of the read path; None without any."""
        return self.program.foreign

    def granting(self, tenants: Collection[UUID]) -> "Plan":
        """The plan in which a root field that names one of these tenants reads that one."""
        granted = tuple(
            replace(bound, tenant=bound.named) if bound.named in tenants else bound
            for bound in self.bound
        )
        return Plan(self.program, granted, self.failed)

    def names(self, tables: Collection[str]) -> bool:
        """Whether any of these tables is named anywhere in it."""
        return not self.program.tables.isdisjoint(tables)

    def refusing(self, tables: Collection[str], error: GraphQLError) -> "Plan":
        """The plan without the root fields that name one of these tables, which answer the error."""
        refused = {
            bound.root.key: at_key(error, bound.root.key)
            for bound in self.bound
            if not bound.root.tables.isdisjoint(tables)
        }
        left = tuple(bound for bound in self.bound if bound.root.key not in refused)
        return Plan(self.program, left, {**self.failed, **refused})

    @property
    def is_whole(self) -> bool:
        """Whether the statement for all root fields can be used."""
        return not self.failed

    def render(
        self,
        answers: Answers,
        *,
        data: Mapping[str, Any] | None = None,
        errors: Sequence[GraphQLError] | None = None,
    ) -> bytes:
        """The response body. `data` and `errors` are the results of the foreign fields."""
        problems = [answer for answer in answers.values() if isinstance(answer, GraphQLError)]
        problems += errors or []
        # One join of all: an answer may have tens of megabytes.
        parts: list[bytes] = [b'{"data":{']
        for key in self.program.keys:
            answer = answers.get(key)
            if isinstance(answer, bytes):
                value = answer
            elif key in self.program.typenames:
                value = b'"Query"'
            else:
                value = exact_json.dumps(
                    data[key] if data is not None and key in data else None, default=str
                )
            parts += (b',"' if len(parts) > 1 else b'"', key.encode(), b'":', value)
        parts.append(b"}")
        if problems:
            found = [error.formatted for error in problems]
            parts += (b',"errors":', orjson.dumps(found, default=str))
        parts.append(b"}")
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class RowPlan:
    """The row below a mutation's payload: its id is known only after the mutation."""

    root: Root
    variables: Mapping[str, Any]
    clock: Clock

    def values(self, row_id: Any) -> list[Any]:
        """The values to bind for this row."""
        inputs = Inputs((), self.variables, self.clock(), row_id)
        return [parameter.value(inputs) for parameter in self.root.parameters]


def at_key(error: GraphQLError, key: str) -> GraphQLError:
    """The error as one of this root field."""
    return GraphQLError(
        error.message,
        path=[key],
        extensions=error.extensions or {"code": "BAD_USER_INPUT"},
    )
