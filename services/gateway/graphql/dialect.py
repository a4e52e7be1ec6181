"""One implementation, two dialects: Core 0.8-0.9 speaks camelCase, 0.10-1.4 snake_case (reference/requests.md).

A mutation is declared once, as plain dataclasses and a function. `mutation_type` makes of each declaration the field
`create_flow(input: create_flow_input!): create_flow_payload` and its twin `createFlow(input: createFlowInput!)`.
A name that exists in one dialect only says so; payloads that nest an object relation (`createFlowRun{flow_run{id}}`)
name it in `relations`, and the table's own type is put there (`schema.py`).
"""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, reduce
from operator import or_
from typing import Any, get_args, get_origin, get_type_hints

import strawberry
from graphql import GraphQLError
from strawberry.tools import create_type
from strawberry.types import Info

from services.gateway.compat import FORBIDDEN
from services.gateway.context import Context
from services.gateway.names import one_line
from services.gateway.permissions import MUTATIONS, Needed, needed_by

Resolver = Callable[[Context, Any], Awaitable[Any]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A declared mutation. `camel` and `snake` are its names; None means the dialect never had it.

    `relations` maps a payload field to (table, attribute of the payload that holds its id).
    """

    snake: str | None
    camel: str | None
    input: type
    payload: type
    run: Resolver
    relations: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    needed: Needed
    """The permissions that its caller must hold."""
    audited: bool = True
    """Whether it leaves a line in the trail when it is done; what it refuses always does."""
    makes_secret: bool = False
    """Whether the id of what it makes is a secret, and not for the trail."""
    reports: bool = False
    """Whether running code sends it: unstorable text in it is cleaned instead of refused (`odd_text`)."""


REGISTRY: list[Mutation] = []
INPUTS: dict[str, tuple[type, dict[str, str]]] = {}
"""GraphQL input type to its dataclass, and its field names to the dataclass's attributes."""
PAYLOADS: dict[str, frozenset[str]] = {}
"""GraphQL payload type to the fields that its dataclass has; the others are relations."""


def camel_case(name: str) -> str:
    """`create_flow` gives `createFlow`; the old dialect wrote API in capitals: `createAPIToken`."""
    head, *rest = name.split("_")
    return head + "".join("API" if part == "api" else part.title() for part in rest)


def mutation(
    name: str | None = None,
    *,
    camel: str | None = "",
    relations: dict[str, tuple[str, str]] | None = None,
    audited: bool = True,
    makes_secret: bool = False,
    reports: bool = False,
) -> Callable[[Resolver], Resolver]:
    """Declare the decorated `async def (context, input: Input) -> Payload` as a mutation.

    `name` is the snake_case name (None: camelCase only); `camel` is derived unless given (None: snake_case only).
    `reports` is said of what running code sends. What it needs is in `permissions.MUTATIONS`.
    """

    def declare(run: Resolver) -> Resolver:
        hints = get_type_hints(run)
        REGISTRY.append(
            Mutation(
                snake=name,
                camel=camel_case(name) if camel == "" and name else camel,
                input=hints["input"],
                payload=hints["return"],
                run=run,
                relations=relations or {},
                needed=needed_by(MUTATIONS, name or camel or ""),
                audited=audited,
                makes_secret=makes_secret,
                reports=reports,
            )
        )
        return run

    return declare


async def perform(declared: Mutation, context: Context, given: Any) -> Any:
    """Run a mutation for a caller who may; what people change or may not change leaves a line in the audit trail.

    States and runs have histories of their own, so what agents and runs do is not repeated there; a log-in and a
    key-value write their own lines, and who has read a message is not kept.
    """
    try:
        context.require(declared.needed)
        payload = await declared.run(context, given)
    except GraphQLError as error:
        if (error.extensions or {}).get("code") == FORBIDDEN:
            await context.record_refusal(_name(declared), info=_facts(declared, given))
        raise
    if declared.audited:
        await context.record(
            _name(declared),
            object_id=None if declared.makes_secret else getattr(payload, "id", None),
            info=_facts(declared, given),
            tenant_id=getattr(given, "tenant_id", None)
            or getattr(given, "default_tenant_id", None),
        )
    return payload


_NAMED = frozenset((
    "name", "key", "slug", "label", "tag", "role", "scope", "action", "request_key", "dry_run", "email", "permissions",
))  # fmt: skip
"""Inputs that say what was changed, beside ids; never what it was changed to where that may be a secret."""


def _name(declared: Mutation) -> str:
    return declared.snake or declared.camel or ""


def _facts(declared: Mutation, given: Any) -> dict[str, str]:
    """What the trail keeps of an input: ids and names. The id of an invitation is a secret: it lets in who shows it."""
    return {
        field.name: one_line(str(value))
        for field in dataclasses.fields(declared.input)
        if (field.name.endswith("_id") or field.name in _NAMED)
        and field.name != "invitation_id"
        and (value := getattr(given, field.name)) is not None
    }


def mutation_type() -> type:
    """The Strawberry type `Mutation` with every declared field in both dialects."""
    fields = []
    for declared in REGISTRY:
        if declared.snake:
            fields.append(_field(declared, declared.snake, _snake))
        if declared.camel:
            fields.append(_field(declared, declared.camel, camel_case))
    return create_type("Mutation", fields)


def _snake(name: str) -> str:
    return name


def _field(declared: Mutation, name: str, convert: Callable[[str], str]) -> Any:
    suffix = ("_input", "_payload") if convert is _snake else ("Input", "Payload")
    input_type = _input_type(declared.input, name + suffix[0], convert)
    payload_type = _payload_type(declared.payload, name + suffix[1])

    async def resolver(info: Info[Context, None], input: Any) -> Any:
        return await perform(declared, info.context, input)

    resolver.__annotations__ = {"info": Info, "input": input_type, "return": payload_type | None}
    field = strawberry.field(resolver=resolver, name=name, description=declared.run.__doc__)
    field.python_name = name
    return field


@cache
def _input_type(source: type, name: str, convert: Callable[[str], str]) -> type:
    """A Strawberry input with the fields of a dataclass, named as the dialect names them."""
    hints = get_type_hints(source)
    body: dict[str, Any] = {"__annotations__": {}}
    for field in dataclasses.fields(source):
        body["__annotations__"][field.name] = _mapped(
            hints[field.name],
            lambda nested: _input_type(nested, convert(f"{_words(nested)}_input"), convert),
        )
        options: dict[str, Any] = {"name": convert(field.name)}
        if field.default is not dataclasses.MISSING:
            options["default"] = field.default
        body[field.name] = strawberry.field(**options)
    INPUTS[name] = (source, {convert(f.name): f.name for f in dataclasses.fields(source)})
    made: Any = strawberry.input(type(name, (), body), name=name)
    built = _built(source, convert)
    made.__strawberry_definition__.from_input = lambda _cls, value, _context: built(value)
    typed: type = made
    return typed


@cache
def _built(source: type, convert: Callable[[str], str]) -> Callable[[Mapping[str, Any]], Any]:
    """Makes the dataclass of a coerced input. Strawberry's own way looks each field of each item up anew: a request
    with 4,000 states would hold up the event loop for a quarter of a second."""
    hints = get_type_hints(source)
    fields = dataclasses.fields(source)
    absent = {
        field.name: None
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    parts = {
        convert(field.name): (field.name, _nested(hints[field.name], convert)) for field in fields
    }

    def build(value: Mapping[str, Any]) -> Any:
        given: dict[str, Any] = dict(absent)
        for key, item in value.items():
            name, nested = parts[key]
            given[name] = item if nested is None or item is None else nested(item)
        return source(**given)

    return build


def _nested(hint: Any, convert: Callable[[str], str]) -> Callable[[Any], Any] | None:
    """Makes what the dataclasses in a hint stand for; None where there are none."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _built(hint, convert)
    inner = next(
        (found for argument in get_args(hint) if (found := _nested(argument, convert))), None
    )
    if inner is None or get_origin(hint) is not list:
        return inner
    item = inner
    return lambda items: [None if value is None else item(value) for value in items]


def _mapped(hint: Any, convert: Callable[[type], type]) -> Any:
    """The hint with each dataclass in it (lists and unions of them too) replaced by its GraphQL type."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return convert(hint)
    arguments = get_args(hint)
    if not arguments:
        return hint
    first, *others = (_mapped(argument, convert) for argument in arguments)
    if get_origin(hint) is list:
        return list[first]  # type: ignore[valid-type] # made at run time
    return reduce(or_, others, first)


def _words(source: type) -> str:
    """`SetFlowRunState` in snake_case: `set_flow_run_state`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in source.__name__).lstrip("_")


@cache
def _payload_type(source: type, name: str) -> type:
    """A Strawberry type with the fields of a dataclass; values are read off the dataclass instance."""
    body: dict[str, Any] = {"__annotations__": dict(get_type_hints(source))}
    for field in dataclasses.fields(source):
        body["__annotations__"][field.name] = _mapped(
            body["__annotations__"][field.name],
            lambda nested: _payload_type(nested, _words(nested)),
        )
        body[field.name] = strawberry.field(name=field.name)
    PAYLOADS[name] = frozenset(field.name for field in dataclasses.fields(source))
    body["is_type_of"] = classmethod(lambda _cls, _value, _info: True)
    return strawberry.type(type(name, (), body), name=name)
