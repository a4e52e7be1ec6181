"""API keys, and the tokens of Core <= 0.15 which are keys by another name (reference/people.md).

A token scope RUNNER is the role `agent`, TENANT is `tenant_admin`, USER is `user`.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway import compat, keys
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.grants import granted
from services.gateway.graphql.mutations.payloads import Success, success_of
from services.gateway.keys import Key
from services.gateway.names import ANYBODY
from services.gateway.permissions import KEYS_OF, needs
from services.gateway.roles import BY_ID, RIGHTS, Rights, Role
from services.gateway.store import SERVICE, USER


@dataclass
class CreateApiKey:
    """`role` is tenant_admin, user (the default), read_only or agent, and `role_id` any role of `auth_role`; nobody can
    give more than they hold.

    `user_id` is whose key it is: the caller's own without it. Who has no name yet is called as their first key. A key
    of a service account has its account's role by default.
    """

    name: str
    user_id: UUID | None = None
    expires_at: datetime | None = None
    default_tenant_id: UUID | None = None
    role: str | None = None
    role_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ApiKeyPayload:
    """`key` is shown here and never again."""

    id: UUID
    key: str


@mutation("create_api_key")
async def create_api_key(context: Context, input: CreateApiKey) -> ApiKeyPayload:
    """Make a key for the caller's tenant. Its text is in the answer and nowhere else."""
    key, text = await _create(
        context,
        name=input.name,
        role=input.role or None,
        role_id=input.role_id,
        user_id=input.user_id,
        expires_at=input.expires_at,
        tenant_id=input.default_tenant_id,
    )
    return ApiKeyPayload(id=key.id, key=text)


@dataclass
class KeyInput:
    """A key by its id."""

    key_id: UUID


@mutation("delete_api_key")
async def delete_api_key(context: Context, input: KeyInput) -> Success:
    """Revoke a key; every gateway refuses it within a second."""
    return await _revoke(context, input.key_id)


@dataclass
class CreateApiToken:
    """`scope` is RUNNER, USER (the default) or TENANT; Core 0.8-0.9 calls it `role`."""

    name: str
    scope: str | None = None
    role: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TokenPayload:
    """`token` is shown here and never again."""

    id: UUID
    token: str


@mutation("create_api_token")
async def create_api_token(context: Context, input: CreateApiToken) -> TokenPayload:
    """Make a token, as Core <= 0.15 calls a key."""
    scope = input.scope or input.role or "USER"
    role = keys.TOKEN_SCOPES.get(scope.upper())
    if role is None:
        reason = f"scope must be one of {', '.join(keys.TOKEN_SCOPES)}, not {scope!r}"
        raise compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))
    key, text = await _create(
        context,
        name=input.name,
        role=role.value,
        role_id=None,
        user_id=None,
        expires_at=input.expires_at,
        tenant_id=None,
    )
    return TokenPayload(id=key.id, token=text)


@dataclass
class TokenInput:
    """A token by its id."""

    token_id: UUID


@mutation("delete_api_token")
async def delete_api_token(context: Context, input: TokenInput) -> Success:
    """Revoke a token."""
    return await _revoke(context, input.token_id)


async def _create(
    context: Context,
    *,
    name: str,
    role: str | None,
    role_id: UUID | None,
    user_id: UUID | None,
    expires_at: datetime | None,
    tenant_id: UUID | None,
) -> tuple[Key, str]:
    context.require_name("name", name)
    tenant_id = await context.tenant_for(tenant_id, field="default_tenant_id")
    holder = _holder(context, user_id)
    account = await _account_of(context, tenant_id, holder)
    rights = await granted(
        context,
        role=role,
        role_id=role_id,
        tenant_id=tenant_id,
        default=account or RIGHTS[Role.USER],
    )
    text = keys.make(secrets.token_bytes(keys.KEY_BYTES))
    key = Key(
        id=context.shared.ids(),
        tenant_id=tenant_id,
        user_id=holder,
        name=name,
        role=BY_ID.get(rights.id, Role.READ_ONLY),
        custom=None if rights.id in BY_ID else rights,
        expires_at=expires_at,
    )
    made = await context.shared.store.create_key(
        key,
        keys.fingerprint(text, context.shared.pepper),
        created_by=context.identity.user_id,
        made_with=context.identity.key.id if context.identity.key else None,
    )
    if isinstance(made, Refused):
        raise compat.error_of(made)
    return key, text


def _holder(context: Context, user_id: UUID | None) -> UUID:
    """Whose key it is. Where keys are off everybody is one user, whose runs must not be called as this key later."""
    holder = user_id or context.identity.user_id
    return context.shared.ids() if holder == ANYBODY else holder


async def _account_of(context: Context, tenant_id: UUID, holder: UUID) -> Rights | None:
    """The role of a service account. GraphQLError where the caller makes no keys for such a holder."""
    if context.identity.key is not None and holder == context.identity.user_id:
        return None
    known = (await context.shared.store.people(tenant_id, [holder])).get(holder)
    account_type = known.account_type if known else USER
    _require_other(context, "create", account_type, field="user_id")
    return known.ceiling if known and account_type == SERVICE else None


def _require_other(context: Context, verb: str, account_type: str, *, field: str) -> None:
    """Keys of others, with which one would act as them, take more than one's own."""
    needed = f"{verb}:{KEYS_OF[account_type]}"
    if not context.identity.rights.may(needs(needed)):
        raise compat.error_of(
            Refused(code=Code.ROLE_TOO_FAR, fields={"field": field, "missing": needed})
        )


async def _revoke(context: Context, key_id: UUID) -> Success:
    of = await context.shared.store.holder_of(context.tenant_id, key_id)
    if of is not None and of[0] != context.identity.user_id:
        _require_other(context, "delete", of[1], field="key_id")
    revoked = await context.shared.store.revoke_key(context.tenant_id, key_id)
    if isinstance(revoked, Refused):
        raise compat.error_of(revoked)
    if revoked:
        await context.shared.forget_keys([key_id])
    return success_of("key", key_id, success=revoked)
