"""The log-in of an agent to NATS with its API key: nats-server asks us, we answer with the permissions of the key's
tenant.

The protocol is nats-server's auth callout (ADR-26). The server publishes a JWT that says who asks; the answer is a
JWT that either says why not, or holds a user JWT with the permissions and the time at which the server ends the
connection. Both are signed with the issuer's Ed25519 key, whose public half is in nats-server's configuration.

Pure: no clock, no connection. NATS's nkey is a prefix byte, 32 bytes of a public key and a CRC-16, in base 32. The
request's own signature is not checked: only the server may publish to its subject.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.contracts.agent_access import access_of

SEED_BYTES = 32
_ACCOUNT_PREFIX = 0  # a public account key starts with the letter A
_OURS = "$G"  # the account of all users without another one
_ANSWER_WITHIN = 60_000_000_000  # nanoseconds in which an agent may answer a request
_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRequest:
    """A log-in of a user outside of the configuration. `key` is the given password or token."""

    server_id: str
    user_nkey: str
    name: str
    key: str


class Issuer:
    """Signs the answers for nats-server."""

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = account_nkey(self._private.public_key().public_bytes_raw())

    def admit(
        self, request: AuthRequest, tenant_id: UUID, *, jti: UUID, now: datetime, until: datetime
    ) -> bytes:
        """The answer for an agent of this tenant; the server ends its connection at `until`."""
        access = access_of(tenant_id)
        user = self._signed(
            jti=jti,
            now=now,
            sub=request.user_nkey,
            aud=_OURS,
            exp=int(until.timestamp()),
            name=f"agent-{tenant_id}",
            nats={
                "type": "user",
                "version": 2,
                "pub": {"allow": access.publish},
                "sub": {"allow": access.subscribe},
                "resp": {"max": 1, "ttl": _ANSWER_WITHIN},
                # -1: no limit; nats-server takes 0 for a limit of nothing
                "subs": -1,
                "data": -1,
                "payload": -1,
            },
        )
        return self._answer(request, jti=jti, now=now, jwt=user.decode())

    def refuse(self, request: AuthRequest, reason: str, *, jti: UUID, now: datetime) -> bytes:
        """The answer for all others; the reason is for the server's log."""
        return self._answer(request, jti=jti, now=now, error=reason)

    def _answer(self, request: AuthRequest, *, jti: UUID, now: datetime, **said: str) -> bytes:
        return self._signed(
            jti=jti,
            now=now,
            sub=request.user_nkey,
            aud=request.server_id,
            nats={"type": "authorization_response", "version": 2, **said},
        )

    def _signed(self, *, jti: UUID, now: datetime, **claims: Any) -> bytes:
        payload = {"jti": str(jti), "iat": int(now.timestamp()), "iss": self.public, **claims}
        text = b".".join(_in_base64(orjson.dumps(part)) for part in (_HEADER, payload))
        return text + b"." + _in_base64(self._private.sign(text))


def auth_request_of(request: bytes) -> AuthRequest:
    """The log-in in a request. ValueError when the request is not one of nats-server's."""
    try:
        _, payload, _ = request.split(b".")
        padded = payload + b"=" * (-len(payload) % 4)
        asked = orjson.loads(base64.urlsafe_b64decode(padded))["nats"]
        options = asked.get("connect_opts", {})
        return AuthRequest(
            server_id=str(asked["server_id"]["id"]),
            user_nkey=str(asked["user_nkey"]),
            name=str(asked.get("client_info", {}).get("name", "")),
            key=str(options.get("auth_token") or options.get("pass") or ""),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        msg = f"no request of nats-server: {type(error).__name__}"
        raise ValueError(msg) from None


def account_nkey(public: bytes) -> str:
    """The nkey of an account with this public key."""
    body = bytes([_ACCOUNT_PREFIX]) + public
    check = binascii.crc_hqx(body, 0).to_bytes(2, "little")
    return base64.b32encode(body + check).rstrip(b"=").decode()


def _in_base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
