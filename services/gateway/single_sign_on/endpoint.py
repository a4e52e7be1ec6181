"""`/session/ways`, `/session/sso` and `/session/sso/return`. Plain ASGI."""

import base64
import binascii
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from starlette.datastructures import QueryParams
from starlette.types import Scope, Send

from libs.runtime import log
from libs.runtime.failures import is_outage
from services.gateway.context import Shared
from services.gateway.oidc_settings import SingleSignOn as Settings
from services.gateway.plain_answers import send_json
from services.gateway.roles import RIGHTS
from services.gateway.session.endpoint import begun
from services.gateway.single_sign_on.domain import (
    ATTEMPT_LASTS,
    SENTENCES,
    Attempt,
    FailedError,
    Failure,
    domain_of,
    safe_path,
    visitor_of,
)
from services.gateway.single_sign_on.provider import Provider
from services.gateway.store.sign_ins import ByDomain, LetIn, Refusal
from services.gateway.vault import CannotOpenError
from services.gateway.visitors import Visitor

WAYS, BEGIN, RETURN = "/session/ways", "/session/sso", "/session/sso/return"
PATHS = frozenset({WAYS, BEGIN, RETURN})

_SECURE_COOKIE, _PLAIN_COOKIE = "__Host-hw-attempt", "hw-attempt"
_SEALED_FOR = (UUID(int=0), "attempt to log in")
"""No secret has this tenant."""
_ENTROPY = 32  # bytes
_LONGEST = 2_000  # characters of a code or a state
_FAILURES = {Refusal.NOT_INVITED: Failure.NOT_INVITED, Refusal.ENDED: Failure.ENDED}
_THEIR_OUTAGES = frozenset({"temporarily_unavailable", "server_error"})

Headers = Mapping[str, str]
_log = log.get("gateway")


class SingleSignOn:
    """Sends browsers to the provider, and takes them back."""

    def __init__(self, shared: Shared, monotonic: Callable[[], float]) -> None:
        self._shared = shared
        self._base = shared.settings.public_url.rstrip("/")
        self._secure = self._base.startswith("https://")
        self._settings = settings = shared.settings.single_sign_on
        self.provider = (
            None
            if settings is None
            else Provider(settings, self._base + RETURN, clock=shared.clock, monotonic=monotonic)
        )

    async def answer(self, scope: Scope, headers: Headers, send: Send) -> None:
        """Answer one GET of `PATHS`."""
        query = QueryParams(scope["query_string"])
        provider = self.provider
        if scope["path"] == WAYS or provider is None:
            await send_json(send, 200 if scope["path"] == WAYS else 404, self._ways(query))
            return
        try:
            if scope["path"] == BEGIN:
                attempt = self._attempt(safe_path(query.get("return_to")))
                location = await provider.begin(attempt)
                cookies = [self._kept(attempt)]
            else:
                attempt, let_in = await self._returned(provider, query, headers)
                _, _, cookie = begun(
                    self._shared.seal, key_id=let_in.key_id, tenant_id=let_in.tenant_id,
                    now=self._shared.clock(), not_after=None, secure=self._secure,
                )  # fmt: skip
                location, cookies = self._base + attempt.return_to, [cookie, self._kept(None)]
        except FailedError as error:
            _log.warning("log_in_failed", failure=error.failure.value, reason=str(error))
            location = f"{self._base}/?{urlencode({'log_in_failed': error.failure.value})}"
            cookies = [self._kept(None)]
        await _redirect(send, location, cookies)

    def _ways(self, query: QueryParams) -> dict[str, Any]:
        """What the log-in page shows: the provider's name, and why a log-in failed."""
        failed = query.get("failed")
        sentence = SENTENCES[Failure(failed)] if failed in list(Failure) else None
        return {
            "key": True,
            "single_sign_on": None if self._settings is None else {"name": self._settings.name},
            "failed": sentence,
        }

    def _attempt(self, return_to: str) -> Attempt:
        return Attempt(
            state=secrets.token_urlsafe(_ENTROPY),
            nonce=secrets.token_urlsafe(_ENTROPY),
            verifier=secrets.token_urlsafe(_ENTROPY),
            return_to=return_to,
            ends=(self._shared.clock() + ATTEMPT_LASTS).timestamp(),
        )

    async def _returned(
        self, provider: Provider, query: QueryParams, headers: Headers
    ) -> tuple[Attempt, LetIn]:
        attempt, state = self._attempt_in(headers), query.get("state", "")
        if attempt is None or attempt.is_over(self._shared.clock()):
            raise FailedError(Failure.STARTED_ELSEWHERE)
        if not secrets.compare_digest(state.encode(), attempt.state.encode()):
            raise FailedError(Failure.STARTED_ELSEWHERE, "state: of another log-in")
        if "error" in query:
            error = query["error"][:100]
            is_outage_of_theirs = error in _THEIR_OUTAGES
            failure = Failure.PROVIDER_AWAY if is_outage_of_theirs else Failure.REFUSED_THERE
            raise FailedError(failure, f"the provider answered {error!r}")
        issuer = provider.settings.issuer
        if query.get("iss", issuer) != issuer:
            raise FailedError(Failure.BAD_ANSWER, "iss: the answer is another provider's")
        code = query.get("code", "")
        if not 0 < len(code) <= _LONGEST:
            raise FailedError(Failure.BAD_ANSWER, "code: the answer has none")
        visitor = visitor_of(issuer, await provider.claims(code, attempt))
        try:
            return attempt, await self._let_in(provider.settings, visitor)
        except Exception as error:
            if not is_outage(error):
                raise
            raise FailedError(Failure.AWAY, type(error).__name__) from error

    async def _let_in(self, settings: Settings, visitor: Visitor) -> LetIn:
        shared = self._shared
        role = settings.domains.get(domain_of(visitor.email))
        found = await shared.store.sign_in(
            visitor,
            None if role is None else ByDomain(rights=RIGHTS[role], slug=settings.tenant),
            new_key=shared.ids(), new_user=shared.ids(),
            label=f"log-in of {visitor.email} ({settings.name})",
        )  # fmt: skip
        if isinstance(found, Refusal):
            await self._audit_refusal(settings, visitor, found)
            raise FailedError(_FAILURES[found], f"subject {visitor.subject}")
        await shared.store.audit(
            shared.ids(),
            tenant_id=found.tenant_id,
            actor=f"key:log-in of {visitor.email}:{found.key_id}",
            user_id=found.user_id,
            message="log_in",
            object_id=found.key_id,
            info={**_facts(visitor), "how": found.how.value},
        )
        return found

    async def _audit_refusal(self, settings: Settings, visitor: Visitor, refusal: Refusal) -> None:
        """In the trail of the tenant that people of a domain enter, once a minute for each person."""
        shared = self._shared
        actor = f"visitor:{visitor.subject}"
        times = shared.refusals.worth_a_line(actor, "log_in", now=shared.clock())
        tenant_id = await shared.store.tenant_of_sign_ins(settings.tenant)
        if times is None or tenant_id is None:
            return
        await shared.store.audit(
            shared.ids(), tenant_id=tenant_id, actor=actor, user_id=None, message="log_in refused", object_id=None,
            info={**_facts(visitor), "why": refusal.value, "times": str(times)},
        )  # fmt: skip

    def _kept(self, attempt: Attempt | None) -> str:
        """The header that gives a browser its attempt; None takes it away.

        Lax: the browser comes back from another site.
        """
        name = _SECURE_COOKIE if self._secure else _PLAIN_COOKIE
        text, lasts = "", timedelta(0)
        if attempt is not None:
            sealed = self._shared.vault.seal(attempt.as_json(), *_SEALED_FOR)
            text, lasts = base64.urlsafe_b64encode(sealed).decode(), ATTEMPT_LASTS
        ends = f"Max-Age={int(lasts.total_seconds())}"
        kept = f"{name}={text}; Path=/; HttpOnly; SameSite=Lax; {ends}"
        return f"{kept}; Secure" if self._secure else kept

    def _attempt_in(self, headers: Headers) -> Attempt | None:
        name = _SECURE_COOKIE if self._secure else _PLAIN_COOKIE
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(name)
            if found is None:
                return None
            sealed = base64.b64decode(found.value, altchars=b"-_", validate=True)
            return Attempt.of(self._shared.vault.open(sealed, *_SEALED_FOR))
        except (CookieError, CannotOpenError, binascii.Error, ValueError):
            return None


def _facts(visitor: Visitor) -> dict[str, str]:
    return {"issuer": visitor.issuer, "subject": visitor.subject, "email": visitor.email}


async def _redirect(send: Send, location: str, cookies: list[str]) -> None:
    headers = [
        (b"location", location.encode("ascii", "ignore")),
        (b"content-length", b"0"),
        (b"cache-control", b"no-store"),
        # The address has the code.
        (b"referrer-policy", b"no-referrer"),
        *((b"set-cookie", cookie.encode("latin-1")) for cookie in cookies),
    ]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
