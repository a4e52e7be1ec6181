"""Logging in to a tenant with a token, as Core <= 0.15 does in cloud mode (reference/requests.md).

The two dialects have the same verbs and differ in their payloads' field names, so each declares its own.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway import compat, tokens
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.tokens import Purpose, Token


@dataclass
class SwitchTenant:
    """The tenant to enter."""

    tenant_id: UUID


@dataclass
class RefreshToken:
    """The access token that is to be followed by another; it may have expired. The refresh token is in the header."""

    access_token: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """`expires_at` is the access token's end."""

    access_token: str
    expires_at: datetime
    refresh_token: str


@dataclass(frozen=True, slots=True)
class TokensCamel:
    """The same for Core 0.8-0.9."""

    accessToken: str  # noqa: N815 - the wire's name
    expiresAt: datetime  # noqa: N815 - the wire's name
    refreshToken: str  # noqa: N815 - the wire's name


@mutation("switch_tenant", camel=None, audited=False)
async def switch_tenant(context: Context, input: SwitchTenant) -> Tokens:
    """Tokens for a tenant that the caller belongs to."""
    return await _enter(context, input.tenant_id)


@mutation(camel="switchTenant", audited=False)
async def switch_tenant_camel(context: Context, input: SwitchTenant) -> TokensCamel:
    """Tokens for a tenant that the caller belongs to, for Core 0.8-0.9."""
    return _camel(await _enter(context, input.tenant_id))


@mutation("refresh_token", camel=None, audited=False)
async def refresh_token(context: Context, input: RefreshToken) -> Tokens:
    """Tokens that follow those that are shown, for the same tenant."""
    return _renew(context, input.access_token)


@mutation(camel="refreshToken", audited=False)
async def refresh_token_camel(context: Context, input: RefreshToken) -> TokensCamel:
    """Tokens that follow those that are shown, for Core 0.8-0.9."""
    return _camel(_renew(context, input.access_token))


async def _enter(context: Context, tenant_id: UUID) -> Tokens:
    identity = context.identity
    if identity.in_session:
        # A refresh token lasts for a month, and nobody who logs out thinks of it.
        reason = "a browser's session gives no tokens: show the API key, or POST it to /session with a tenant_id"
        raise compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))
    # Whoever holds no key here came in where keys are off, and may choose any tenant there is.
    belongs = (
        identity.key.rights_in(tenant_id) is not None
        if identity.key
        else await context.shared.tenants.exists(tenant_id)
    )
    if not belongs:
        # UNAUTHENTICATED, because a client that finds its stored log-in refused like this forgets it and goes on.
        raise _refused("the caller does not belong to this tenant")
    given = _issue(context, tenant_id)
    await context.record("switch_tenant", object_id=None, info={"tenant_id": str(tenant_id)})
    return given


def _renew(context: Context, access_token: str) -> Tokens:
    renewing = context.identity.renewing
    if renewing is None:
        raise _refused("a refresh token is required: Authorization: Bearer <refresh token>")
    shown = context.shared.seal.read(access_token)
    if shown is None or shown.purpose is not Purpose.ACCESS or not _are_together(shown, renewing):
        raise _refused("the access token and the refresh token do not belong together")
    return _issue(context, renewing.tenant_id)


def _are_together(access: Token, refresh: Token) -> bool:
    return (access.key_id, access.tenant_id) == (refresh.key_id, refresh.tenant_id)


def _issue(context: Context, tenant_id: UUID) -> Tokens:
    key = context.identity.key
    access, refresh = (
        tokens.issue(
            purpose,
            key_id=key.id if key else tokens.NO_KEY,
            tenant_id=tenant_id,
            now=context.shared.clock(),
            not_after=key.expires_at if key else None,
        )
        for purpose in (Purpose.ACCESS, Purpose.REFRESH)
    )
    write = context.shared.seal.write
    return Tokens(
        access_token=write(access, nonce=os.urandom(tokens.NONCE_BYTES)),
        expires_at=access.expires_at,
        refresh_token=write(refresh, nonce=os.urandom(tokens.NONCE_BYTES)),
    )


def _camel(given: Tokens) -> TokensCamel:
    return TokensCamel(
        accessToken=given.access_token,
        expiresAt=given.expires_at,
        refreshToken=given.refresh_token,
    )


def _refused(reason: str) -> Exception:
    return compat.error_of(Refused(code=Code.UNAUTHENTICATED, fields={"reason": reason}))
