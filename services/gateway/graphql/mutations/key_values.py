"""The key-value store and secrets of Core 0.14-1.4 and older (reference/people.md)."""

from dataclasses import dataclass
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime import exact_json
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import Id, Success, success_of
from services.gateway.graphql.scalars import JSON
from services.gateway.reads.values import json_value

VALUE_LIMIT = 10_000  # bytes of JSON, Cloud's limit
SECRET_LIMIT = 100_000  # bytes of JSON
NAME_LIMIT = 255  # characters


@dataclass
class SetKeyValue:
    """`value` is any JSON of at most 10,000 bytes."""

    key: str
    value: JSON


@mutation("set_key_value", audited=False)
async def set_key_value(context: Context, input: SetKeyValue) -> Id:
    """Set a value; the key keeps its id."""
    _check(input.key, input.value, what="key", limit=VALUE_LIMIT)
    # Raises for what PostgreSQL cannot keep; secrets are sealed, and may hold anything.
    json_value(input.value)
    made = await context.shared.store.set_key_value(
        context.shared.ids(), context.tenant_id, input.key, input.value
    )
    if isinstance(made, Refused):
        raise compat.error_of(made)
    await context.record("set_key_value", object_id=made, info={"key": input.key})
    return Id(id=made)


@dataclass
class KeyValueInput:
    """A pair by its id."""

    key_value_id: UUID


@mutation("delete_key_value", audited=False)
async def delete_key_value(context: Context, input: KeyValueInput) -> Success:
    """Delete a pair."""
    key = await context.shared.store.delete_key_value(context.tenant_id, input.key_value_id)
    if key is not None:
        await context.record("delete_key_value", object_id=input.key_value_id, info={"key": key})
    return success_of("key_value", input.key_value_id, success=key is not None)


@dataclass
class SetSecret:
    """`value` is any JSON; it is sealed before it is stored."""

    name: str
    value: JSON


@mutation("set_secret")
async def set_secret(context: Context, input: SetSecret) -> Success:
    """Set a secret for the tenant's flows."""
    _check(input.name, input.value, what="name", limit=SECRET_LIMIT)
    sealed = context.shared.vault.seal(input.value, context.tenant_id, input.name)
    made = await context.shared.store.set_secret(
        context.shared.ids(), context.tenant_id, input.name, sealed
    )
    if isinstance(made, Refused):
        raise compat.error_of(made)
    return Success(success=True)


@dataclass
class SecretInput:
    """A secret by its name."""

    name: str


@mutation("delete_secret")
async def delete_secret(context: Context, input: SecretInput) -> Success:
    """Delete a secret."""
    done = await context.shared.store.delete_secret(context.tenant_id, input.name)
    return success_of("secret", input.name, success=done)


def _check(name: str, value: object, *, what: str, limit: int) -> None:
    reason = None
    if not name.strip() or len(name) > NAME_LIMIT or "\x00" in name:
        reason = f"{what} must be a text of 1 to {NAME_LIMIT} characters"
    else:
        size = len(exact_json.dumps(value))
        if size > limit:
            reason = f"value is {size} bytes of JSON; at most {limit} are stored"
    if reason is not None:
        raise compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))
