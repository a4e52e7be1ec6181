"""Every text that a request can carry, made from the schema itself, each with something odd in it.

Nothing here lists fields: a new input is asked as soon as the schema has it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from tests.integration.gateway.every_field import Asked
from tests.integration.gateway.victim import MARK

TEXTS = {
    "String",
    "UUID",
    "DateTime",
    "log_level",
    "uuid",
    "timestamptz",
    "interval",
    "text",
    "_uuid",
    "bigint",
}
VALUES = {"JSON", "jsonb"}
FREE = {"String", "JSON"}
"""Of these a report may hold anything; an id or a time is what it is."""
ODD = {"U+0000": "a\0b", "half a pair": "a\ud800b", "a million": "x" * 1_000_000}

ACTIONS: dict[str, dict[str, Any]] = {
    "webhook": {"url": "https://hooks.example.com/x"},
    "slack_notification": {"webhook_url_secret": MARK},
    "teams_webhook_notification": {"webhook_url_secret": MARK},
    "email_notification": {"to_emails": ["a@example.com"]},
    "twilio_notification": {
        "account_sid": "a",
        "auth_token_secret": MARK,
        "messaging_service_sid": "m",
        "phone_numbers": ["+15550100"],
    },
    "pagerduty_notification": {"routing_key": "r", "severity": "info"},
    "inbox_notification": {},
    "apprise_notification": {"url_secret": MARK},
    "cancel_flow_run": {},
    "pause_schedule": {},
    "create_flow_run": {},
}
"""What `create_action` takes: exactly one of these, whole but for the odd text. The secret is the victim's."""

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A place for text: where it stands in the variables, and the scalar that it is."""

    path: Path
    scalar: str

    @property
    def name(self) -> str:
        """The field's own name."""
        return [str(part) for part in self.path if isinstance(part, str)][-1]

    def forms(self, odd: str) -> Iterator[Any]:
        """What is put there: the text, and where JSON stands also values and keys that hold it."""
        if self.name == "state":  # what is no state is none, whatever it holds
            yield {"type": "Failed", "message": odd, "context": {odd: [odd]}}
            return
        yield odd
        if self.scalar in VALUES:
            yield {"x": [odd], odd: 1}


def leaves_of(schema: GraphQLSchema, asked: Asked) -> list[Leaf]:
    """The leaves of a mutation's input, or of a query's arguments other than conditions."""
    root = schema.mutation_type if asked.declared else schema.query_type
    assert root is not None
    found: list[Leaf] = []
    for name, argument in root.fields[asked.name].args.items():
        if name not in ("where", "order_by"):
            found += _leaves(argument.type, (name,))
    return found


def _leaves(kind: GraphQLInputType, path: Path) -> Iterator[Leaf]:
    inner: Any = get_nullable_type(kind)
    if is_list_type(inner):
        yield from _leaves(inner.of_type, (*path, 0))
    elif isinstance(inner, GraphQLInputObjectType):
        for name, field in inner.fields.items():
            yield from _leaves(field.type, (*path, name))
    elif inner.name in TEXTS | VALUES:
        yield Leaf(path, inner.name)


def with_leaf(variables: dict[str, Any], leaf: Leaf, value: Any) -> dict[str, Any]:
    """A copy of the variables with the value at the leaf; what is missing on the way is made."""
    changed = copy.deepcopy(variables)
    if leaf.path[:2] == ("input", "config") and leaf.path[2:3] and leaf.path[2] in ACTIONS:
        kind = leaf.path[2]
        changed["input"]["config"] = {kind: copy.deepcopy(ACTIONS[str(kind)])}
    at: Any = changed
    for part, following in zip(leaf.path, (*leaf.path[1:], None), strict=True):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(part, int):
            if not at:
                at.append(None)
            at[0] = value if following is None else at[0] if at[0] is not None else empty
        elif following is None:
            at[part] = value
        elif not isinstance(at.get(part), type(empty)):
            at[part] = empty
        if following is not None:
            at = at[part]
    return changed


@dataclass(frozen=True, slots=True)
class Condition:
    """One operand of a table's filter."""

    table: str
    column: str
    operator: str
    scalar: str
    is_list: bool
    is_first: bool
    """Of its type in this table: others like it are asked less."""

    def query(self) -> str:
        """A document with the operand as `$v`."""
        return f"query($w: {self.table}_bool_exp) {{ {self.table}(where: $w, limit: 1) {{ __typename }} }}"

    def where(self, odd: str) -> dict[str, Any]:
        """The condition with something odd in it."""
        value: Any = {"x": odd} if self.scalar == "jsonb" and self.operator != "_has_key" else odd
        return {self.column: {self.operator: [value] if self.is_list else value}}


def conditions_of(schema: GraphQLSchema, table: str) -> Iterator[Condition]:
    """`_eq` of every column, and every operator of the first column of each type."""
    kind = schema.type_map.get(f"{table}_bool_exp")
    assert isinstance(kind, GraphQLInputObjectType)
    seen: set[str] = set()
    for column, field in kind.fields.items():
        operators: Any = get_named_type(field.type)
        if not operators.name.endswith("_comparison_exp"):
            continue
        for operator, operand in operators.fields.items():
            scalar = get_named_type(operand.type).name
            if scalar in TEXTS | VALUES and (operators.name not in seen or operator == "_eq"):
                is_list = is_list_type(get_nullable_type(operand.type))
                is_first = operators.name not in seen
                yield Condition(table, column, operator, scalar, is_list, is_first)
        seen.add(operators.name)
