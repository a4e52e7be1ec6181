"""The statement under construction: parameters, aliases, and the counters that limits are checked against."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from graphql import GraphQLError

from services.gateway.reads.document_limits import DocumentLimits
from services.gateway.reads.inputs import Get, Given, Inputs
from services.gateway.reads.values import BINDINGS, named_timestamp

_LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
TENANT = "$1"
"""The first parameter of every statement."""

VISIBLE_TENANTS = object()
"""A placeholder for the tenants whose names the caller may see; the executor replaces it."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Fetches a parameter's value from a request and converts it for the driver."""

    get: Get
    convert: Callable[[Any], Any]

    def value(self, inputs: Inputs) -> Any:
        """The value to bind; raises GraphQLError when it cannot be of this type."""
        return self.convert(self.get(inputs))


@dataclass(slots=True)
class Cost:
    """The rows of a list, and the cost nested in each row."""

    rows: Get
    nested: "list[Cost]" = field(default_factory=list)

    def total(self, inputs: Inputs) -> int:
        """The rows that a request may render."""
        return int(self.rows(inputs)) * (1 + sum(cost.total(inputs) for cost in self.nested))


class Matching(IntEnum):
    """The kinds of text matching; the greater one needs the tighter limits."""

    NONE = 0
    LIKE = 1
    """Patterns of LIKE: each row's whole text is read, once for each possible start."""
    REGEX = 2
    """Regular expressions: one row may take extremely long."""


class Statement:
    """One root field's statement while it is being written."""

    def __init__(self, limits: DocumentLimits, *, fields_left: int, conditions_left: int) -> None:
        self.limits = limits
        self.parameters: list[Parameter] = []
        self.cost = Cost(lambda _inputs: 1)
        self.matching = Matching.NONE
        # Every table that it names: whoever may not read one of them is not answered.
        self.tables: set[str] = set()
        self._aliases = 0
        self.fields_left = fields_left
        self.conditions_left = conditions_left

    def alias(self) -> str:
        """A new table alias."""
        self._aliases += 1
        return f"t{self._aliases}"

    def bind(self, given: Given, scalar: str) -> str:
        """A parameter for one value."""
        binding = BINDINGS[scalar]
        return binding.one.format(self._parameter(_getter(given, scalar), binding.convert))

    def bind_many(self, given: Given, scalar: str) -> str:
        """A parameter for a list of values."""
        binding = BINDINGS[scalar]
        return binding.many.format(self._parameter(_getter(given, scalar), binding.convert_many))

    def bind_as(self, given: Given, convert: Callable[[Any], Any], cast: str) -> str:
        """A parameter with a conversion of its own."""
        return f"{self._parameter(_getter(given, cast), convert)}::{cast}"

    def bind_visible_tenants(self) -> str:
        """A parameter for the tenants whose names the caller may see."""
        return f"{self._parameter(lambda _inputs: VISIBLE_TENANTS, lambda value: value)}::uuid[]"

    def spend_field(self) -> None:
        """Count a selected field."""
        self.fields_left -= 1
        if self.fields_left < 0:
            msg = f"The document selects more than {self.limits.fields} fields."
            raise too_much(msg)

    def spend_condition(self) -> None:
        """Count a comparison or combinator."""
        self.conditions_left -= 1
        if self.conditions_left < 0:
            msg = f"The filters have more than {self.limits.conditions} conditions."
            raise too_much(msg)

    def check_depth(self, depth: int, what: str) -> None:
        """Refuse too deep nesting."""
        if depth > self.limits.depth:
            msg = f"{what} is nested deeper than {self.limits.depth} levels."
            raise too_much(msg)

    def _parameter(self, get: Get, convert: Callable[[Any], Any]) -> str:
        self.parameters.append(Parameter(get, convert))
        return f"${len(self.parameters) + 1}"


def _getter(given: Given, scalar: str) -> Get:
    """Fetches the operand; a timestamp may be a word (such as `now`), with another instant in each request."""
    get = given.get
    if scalar != "timestamptz":
        return get
    return lambda inputs: named_timestamp(get(inputs), inputs.at)


def too_much(message: str) -> GraphQLError:
    """A document that asks for more than a limit allows."""
    return GraphQLError(message, extensions={"code": _LIMIT_EXCEEDED})


def is_too_much(error: Exception) -> bool:
    """Whether it is such a refusal; cleaning what is odd in the document would not help."""
    return (
        isinstance(error, GraphQLError) and (error.extensions or {}).get("code") == _LIMIT_EXCEEDED
    )


def quoted(name: str) -> str:
    """A response key as an SQL identifier; GraphQL names have letters, digits and underscores only."""
    return f'"{name}"'
