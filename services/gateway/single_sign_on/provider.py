"""The OpenID Connect provider: its discovery document, its keys, and the exchange of a code for who somebody is."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from services.gateway.oidc_settings import SingleSignOn
from services.gateway.single_sign_on.domain import Attempt, FailedError, Failure

ALGORITHMS = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
]
"""Signatures by a key that only the provider has. Never `none`, and never HS256: its key would be our own secret."""
SKEW = timedelta(seconds=60)
"""How far the provider's clock may be from ours."""
_KEPT = timedelta(hours=1)
_REFETCH = timedelta(seconds=5)
"""Forged tokens name unknown keys; the provider is not asked for each."""
_TIMEOUT = 10.0  # seconds a request
_UNDER_WAY = 16


class Provider:
    """Asks the provider. Its document and keys are kept for an hour; a new key is fetched when it is first met."""

    def __init__(
        self,
        settings: SingleSignOn,
        redirect_uri: str,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.settings = settings
        self._redirect_uri = redirect_uri
        self._clock = clock
        self._monotonic = monotonic
        self._transport = transport
        self._document: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._one_fetch = asyncio.Lock()
        self._slots = asyncio.Semaphore(_UNDER_WAY)

    async def begin(self, attempt: Attempt) -> str:
        """The provider's address to send the browser to. FailedError."""
        document = await self._discovered()
        async with self._client(document) as client:
            address, _ = client.create_authorization_url(
                document["authorization_endpoint"],
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
            )
        return str(address)

    async def claims(self, code: str, attempt: Attempt) -> dict[str, Any]:
        """What the provider says of the person of this code. FailedError for anything that is not as it must be."""
        document = await self._discovered()
        async with self._slots, self._client(document) as client:
            try:
                tokens = await client.fetch_token(
                    document["token_endpoint"], code=code, code_verifier=attempt.verifier
                )
            except AuthlibBaseError as error:
                # Its description may have the code in it.
                raise FailedError(
                    Failure.BAD_ANSWER, f"the code was refused: {error.error}"
                ) from None
            except (httpx2.HTTPError, ValueError) as error:
                raise _away(error) from None
            id_token = tokens.get("id_token")
            if not isinstance(id_token, str):
                raise FailedError(
                    Failure.BAD_ANSWER, "id_token: the answer has none; ask for the scope `openid`"
                )
            claims = await self._verified(id_token, attempt, document)
            if "email" not in claims and "userinfo_endpoint" in document:
                claims |= await _more(client, document["userinfo_endpoint"], claims.get("sub"))
        return claims

    async def _verified(
        self, id_token: str, attempt: Attempt, document: dict[str, Any]
    ) -> dict[str, Any]:
        keys = await self._known_keys(document)
        try:
            token = jwt.decode(id_token, keys, algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            # Perhaps its key is new.
            keys = await self._known_keys(document, anew=True)
            try:
                token = jwt.decode(id_token, keys, algorithms=ALGORITHMS)
            except (JoseError, ValueError) as error:
                raise FailedError(Failure.BAD_ANSWER, f"id_token: {type(error).__name__}") from None
        check(
            token.claims,
            issuer=self.settings.issuer, client_id=self.settings.client_id,
            nonce=attempt.nonce, now=self._clock(),
        )  # fmt: skip
        return dict(token.claims)

    async def _discovered(self) -> dict[str, Any]:
        async with self._one_fetch:
            kept = self._document
            if kept is not None and self._monotonic() - kept[0] < _KEPT.total_seconds():
                return kept[1]
            address = self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
            found = await self._fetched(address)
            if found.get("issuer") != self.settings.issuer:
                raise FailedError(
                    Failure.PROVIDER_AWAY,
                    f"HEADWATER_OIDC_ISSUER is {self.settings.issuer}, and the provider calls itself"
                    f" {str(found.get('issuer'))[:200]}: they must be equal",
                )
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                if not self._is_kept_private(found.get(name)):
                    raise FailedError(
                        Failure.PROVIDER_AWAY,
                        f"{name}: the provider's document must have an https address",
                    )
            self._document = (self._monotonic(), found)
            return found

    def _is_kept_private(self, address: object) -> bool:
        """Whether nobody on the way reads what is sent there: https, unless the issuer itself is not."""
        if not isinstance(address, str):
            return False
        return address.startswith("https://") or not self.settings.issuer.startswith("https://")

    async def _known_keys(self, document: dict[str, Any], *, anew: bool = False) -> KeySet:
        async with self._one_fetch:
            least = _REFETCH if anew else _KEPT
            if self._keys is not None and self._monotonic() - self._keys[0] < least.total_seconds():
                return self._keys[1]
            found = await self._fetched(document["jwks_uri"])
            try:
                keys = KeySet.import_key_set({"keys": _for_signatures(found)})
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise FailedError(
                    Failure.PROVIDER_AWAY, f"jwks_uri: {type(error).__name__}"
                ) from None
            self._keys = (self._monotonic(), keys)
            return keys

    async def _fetched(self, address: str) -> dict[str, Any]:
        try:
            async with httpx2.AsyncClient(timeout=_TIMEOUT, transport=self._transport) as client:
                answer = await client.get(address)
                answer.raise_for_status()
                found = answer.json()
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise _away(error) from None
        if not isinstance(found, dict):
            raise FailedError(Failure.PROVIDER_AWAY, "the provider answered with no JSON object")
        return found

    def _client(self, document: dict[str, Any]) -> AsyncOAuth2Client:
        secret = self.settings.secret()
        ways = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        way = "client_secret_basic" if "client_secret_basic" in ways else "client_secret_post"
        return AsyncOAuth2Client(
            client_id=self.settings.client_id,
            client_secret=secret,
            token_endpoint_auth_method="none" if secret is None else way,
            redirect_uri=self._redirect_uri,
            scope=" ".join(self.settings.scopes),
            code_challenge_method="S256",
            timeout=_TIMEOUT,
            transport=self._transport,
        )


def check(
    claims: dict[str, Any], *, issuer: str, client_id: str, nonce: str, now: datetime
) -> None:
    """FailedError unless the token is the provider's, for us, of this attempt, and of now."""
    registry = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=int(SKEW.total_seconds()),
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": client_id},
        sub={"essential": True},
        nonce={"essential": True, "value": nonce},
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        registry.validate(claims)
    except JoseError as error:
        raise FailedError(
            Failure.BAD_ANSWER, f"id_token: {error.error}: {error.description}"
        ) from None
    # A token for several clients must say that we asked for it.
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if (several or "azp" in claims) and claims.get("azp") != client_id:
        raise FailedError(Failure.BAD_ANSWER, "id_token: azp is not this client")


async def _more(client: AsyncOAuth2Client, address: str, subject: object) -> dict[str, Any]:
    """What the provider tells at its userinfo address only; it must be of the same person."""
    try:
        answer = await client.get(address)
        answer.raise_for_status()
        found = answer.json()
    except (httpx2.HTTPError, AuthlibBaseError, ValueError) as error:
        raise _away(error) from None
    if not isinstance(found, dict) or found.get("sub") != subject:
        raise FailedError(Failure.BAD_ANSWER, "userinfo: it is of somebody else")
    return {name: found[name] for name in ("email", "email_verified", "name") if name in found}


def _for_signatures(found: dict[str, Any]) -> list[Any]:
    return [
        key
        for key in found["keys"]
        if key.get("use", "sig") == "sig" and key.get("kty") in ("RSA", "EC", "OKP")
    ]


def _away(error: Exception) -> FailedError:
    return FailedError(Failure.PROVIDER_AWAY, f"{type(error).__name__}: {str(error)[:200]}")
