"""`/session`: log in, who am I, log out; and the cookie of any request as the token that it is. Plain ASGI."""

import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from starlette.types import Receive, Scope, Send

from libs.runtime.clock import Clock
from libs.runtime.failures import is_outage
from services.gateway.identity import Authenticator, Identity
from services.gateway.known_caller import known_caller
from services.gateway.plain_answers import RefusalError, refuse, send_json
from services.gateway.session import domain
from services.gateway.store import Store
from services.gateway.tokens import NONCE_BYTES, Purpose, Seal, Token, issue

PATH = "/session"
_MOST = 8 * 1024  # bytes of a log-in
METHODS = ("GET", "POST", "DELETE")

Headers = Mapping[str, str]


class Sessions:
    """Gives cookies for keys and takes them as keys."""

    def __init__(
        self,
        authenticator: Authenticator,
        seal: Seal,
        store: Store,
        *,
        keys_required: bool,
        clock: Clock,
        forget: Callable[[UUID], Awaitable[None]],
    ) -> None:
        """`forget` makes every gateway look a key and its sessions up anew."""
        self._authenticator = authenticator
        self._seal = seal
        self._store = store
        self._keys_required = keys_required
        self._clock = clock
        self._forget = forget

    def entered(self, scope: Scope, headers: Headers) -> tuple[Scope, Headers]:
        """The request with its cookie as a token; RefusalError where no page of ours sent it.

        A key or token in `Authorization` counts before a cookie: no browser sends that by itself.
        """
        if not self._keys_required or "authorization" in headers:
            return scope, headers
        text = domain.cookie_in(headers)
        if text is None or (scope["path"] == PATH and scope["method"] == "POST"):
            return scope, headers
        reason = domain.refusal(scope["method"], headers)
        if reason is not None:
            raise RefusalError(403, "FORBIDDEN", reason)
        shown = _bearer(text)
        raw = [*scope["headers"], (b"authorization", shown.encode("latin-1", "replace"))]
        return {**scope, "headers": raw}, {**headers, "authorization": shown}

    def of_socket(self, headers: Headers) -> Headers:
        """The headers of an upgrade with its cookie as a token; RefusalError where no page of ours sent it."""
        text = domain.cookie_in(headers)
        if not self._keys_required or "authorization" in headers or text is None:
            return headers
        reason = domain.socket_refusal(headers)
        if reason is not None:
            raise RefusalError(403, "FORBIDDEN", reason)
        return {**headers, "authorization": _bearer(text)}

    async def answer(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Answer one request at `/session`."""
        method = scope["method"]
        try:
            if method == "POST":
                body, cookie = await self._log_in(scope, headers, receive)
            elif method == "DELETE":
                await self._log_out(headers)
                secure = domain.is_secure(headers)
                body, cookie = {"success": True}, domain.set_cookie("", secure=secure, lasts=_NOW)
            else:
                identity = await known_caller(self._authenticator, headers, scope)
                body, cookie = await self._about(identity), None
        except RefusalError as refused:
            await refuse(send, refused)
            return
        await _send(send, 200, body, cookie=cookie)

    async def _log_in(
        self, scope: Scope, headers: Headers, receive: Receive
    ) -> tuple[dict[str, Any], str | None]:
        reason = domain.refusal("POST", headers)
        if reason is not None:
            raise RefusalError(403, "FORBIDDEN", reason)
        key_text, named = _asked(await _body(receive))
        if not self._keys_required:
            return await self._about(await known_caller(self._authenticator, {}, scope)), None
        shown = {"authorization": f"Bearer {key_text}"}
        identity = await known_caller(self._authenticator, shown, scope)
        key = identity.key
        if key is None or identity.renewing is not None or self._seal.read(key_text) is not None:
            raise RefusalError(401, "UNAUTHENTICATED", "key: show an API key to log in.")
        tenant_id = named or key.tenant_id
        if key.rights_in(tenant_id) is None:
            raise RefusalError(
                404, "NOT_FOUND", f"tenant_id: there is no tenant {tenant_id} of yours."
            )
        secure = domain.is_secure(headers)
        text, token, cookie = begun(
            self._seal, key_id=key.id, tenant_id=tenant_id, now=self._clock(), not_after=key.expires_at,
            secure=secure,
        )  # fmt: skip
        shown = {"authorization": f"Bearer {text}"}
        entered = await known_caller(self._authenticator, shown, scope)
        about = {
            "expires_at": token.expires_at.isoformat(),
            "secure": secure,
            "warning": None if secure else _PLAIN,
        }
        return {**await self._about(entered), **about}, cookie

    async def _log_out(self, headers: Headers) -> None:
        """End the session everywhere. Who shows none, or one that has ended, is logged out already.

        The cookie stays in the browser when the end cannot be written, so that it can be tried again.
        """
        token = self._seal.read(headers.get("authorization", "").removeprefix("Bearer "))
        if token is None or token.purpose is not Purpose.SESSION:
            return
        try:
            await self._store.end_session(
                token.serial, tenant_id=token.tenant_id, expires_at=token.expires_at
            )
        except Exception as error:
            if not is_outage(error):
                raise
            text = "The session cannot be ended while PostgreSQL is away; log out again soon."
            raise RefusalError(503, "API_ERROR", text) from error
        await self._forget(token.key_id)

    async def _about(self, identity: Identity) -> dict[str, Any]:
        """Who the caller is and what it may do, for a page that shows only what it may."""
        try:
            found = await self._store.tenants([identity.tenant_id, *identity.may_enter])
            people = await self._store.people(identity.tenant_id, [identity.user_id])
        except Exception as error:
            if not is_outage(error):
                raise
            text = "The tenant cannot be read while PostgreSQL is away; try again soon."
            raise RefusalError(503, "API_ERROR", text) from error
        tenant = found.get(identity.tenant_id)
        return {
            "keys_required": self._keys_required,
            "user_id": str(identity.user_id),
            "name": people[identity.user_id].name if identity.user_id in people else None,
            "key": None
            if identity.key is None
            else {"id": str(identity.key.id), "name": identity.key.name},
            "role": identity.rights.code,
            "permissions": sorted(identity.rights.permissions),
            "tenant": None
            if tenant is None
            else {"id": str(tenant.id), "slug": tenant.slug, "name": tenant.name},
            "may_enter": [
                {"id": str(other.id), "slug": other.slug, "name": other.name}
                for id_, other in found.items()
                if id_ != identity.tenant_id
            ],
        }


def begun(
    seal: Seal,
    *,
    key_id: UUID,
    tenant_id: UUID,
    now: datetime,
    not_after: datetime | None,
    secure: bool,
) -> tuple[str, Token, str]:
    """A new session of this key: its text, what that says, and the header that gives it to a browser."""
    token = issue(Purpose.SESSION, key_id=key_id, tenant_id=tenant_id, now=now, not_after=not_after)
    text = seal.write(token, nonce=os.urandom(NONCE_BYTES))
    cookie = domain.set_cookie(
        text.removeprefix(Purpose.SESSION.value), secure=secure, lasts=token.expires_at - now
    )
    return text, token, cookie


def _bearer(cookie: str) -> str:
    return f"Bearer {Purpose.SESSION.value}{cookie}"


_PLAIN = (
    "This page came over plain http: whoever is on the way can read the key and the session. Put a proxy with TLS in"
    " front."
)
_NOW = timedelta(0)


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise RefusalError(400, "BAD_REQUEST", "The request broke off.")
        body += message.get("body", b"")
        if len(body) > _MOST:
            raise RefusalError(413, "BAD_REQUEST", f"A log-in has at most {_MOST} bytes.")
        if not message.get("more_body"):
            return bytes(body)


def _asked(body: bytes) -> tuple[str, UUID | None]:
    """The key, and the tenant to enter; RefusalError names what is wrong."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict) or not isinstance(given.get("key", ""), str):
        raise RefusalError(400, "BAD_REQUEST", 'A log-in is a JSON object: {"key": "hw_..."}.')
    key = given.get("key", "").strip()
    if not key.isprintable() or " " in key:
        raise RefusalError(400, "BAD_REQUEST", "key: an API key has no spaces in it.")
    named = given.get("tenant_id")
    try:
        return key, None if named is None else UUID(str(named))
    except ValueError:
        raise RefusalError(400, "BAD_REQUEST", "tenant_id: send a UUID, or leave it out.") from None


async def _send(send: Send, status: int, body: object, *, cookie: str | None) -> None:
    headers = () if cookie is None else ((b"set-cookie", cookie.encode("latin-1")),)
    await send_json(send, status, body, headers=headers)
