"""Access and refresh tokens of Core <= 0.15: a key enters one tenant for a while (reference/requests.md). Pure.

A client shows its API token once to `switch_tenant`, works with the access token, and shows the refresh token alone to
`refresh_token`. Both are sealed with AES-256-GCM under a key that is not in the database: what a token says can be
neither read nor changed. Nothing about it is stored. It names the API key it came from, and that key is looked up
whenever the token is shown, so a token ends with its key, with the membership that let it in, or at its own time.
A browser's session (services.gateway.session) is a third kind of token. Logging out writes its serial number down.
"""

import base64
import binascii
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ACCESS_LASTS = timedelta(minutes=15)  # clients renew it thirty seconds before its end
REFRESH_LASTS = timedelta(days=30)  # the longest silence of a client that does not log in anew
# A working day of a browser; who works on logs in again in the morning.
SESSION_LASTS = timedelta(hours=12)
NONCE_BYTES = 12

NO_KEY = UUID(int=0)
"""The key of tokens that are given out where keys are off. No key has this id: where keys are on, they open nothing."""


class Purpose(StrEnum):
    """What a token is for. Its value begins the token's text."""

    ACCESS = "hwa_"
    REFRESH = "hwr_"
    SESSION = "hws_"


_PREFIX = 4  # characters
_PURPOSES = {purpose.value: purpose for purpose in Purpose}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a token says: this key may work in this tenant, or ask to go on doing so, before that time.

    `serial` tells one token from every other; it is known of tokens that were read.
    """

    purpose: Purpose
    key_id: UUID
    tenant_id: UUID
    expires_at: datetime
    serial: bytes = field(default=b"", compare=False)

    def is_expired(self, now: datetime) -> bool:
        """A token ends exactly at its time of expiry."""
        return now >= self.expires_at


_LASTS = {
    Purpose.ACCESS: ACCESS_LASTS,
    Purpose.REFRESH: REFRESH_LASTS,
    Purpose.SESSION: SESSION_LASTS,
}


def issue(
    purpose: Purpose, *, key_id: UUID, tenant_id: UUID, now: datetime, not_after: datetime | None
) -> Token:
    """A token of the usual length, which ends no later than its key."""
    expires_at = now + _LASTS[purpose]
    if not_after is not None:
        expires_at = min(expires_at, not_after)
    # Whole seconds: the text has this precision, and the answer must equal it.
    return Token(
        purpose=purpose,
        key_id=key_id,
        tenant_id=tenant_id,
        expires_at=expires_at.replace(microsecond=0),
    )


class Seal:
    """Writes tokens and reads what it wrote."""

    def __init__(self, pepper: bytes) -> None:
        key = HKDF(
            algorithm=hashes.SHA256(), length=32, salt=None, info=b"headwater tokens v1"
        ).derive(pepper)
        self._cipher = AESGCM(key)

    def write(self, token: Token, *, nonce: bytes) -> str:
        """The text of a token; `nonce` is `NONCE_BYTES` random bytes."""
        said = (
            token.key_id.bytes
            + token.tenant_id.bytes
            + int(token.expires_at.timestamp()).to_bytes(8, "big")
        )
        sealed = self._cipher.encrypt(nonce, said, token.purpose.value.encode())
        return token.purpose.value + base64.urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()

    def read(self, text: str) -> Token | None:
        """The token of a text; None for anything that was not written here, a key for instance."""
        # Each request asks. Of most texts the first letters say that they are no tokens.
        purpose = _PURPOSES.get(text[:_PREFIX])
        if purpose is None:
            return None
        body = text.removeprefix(purpose.value)
        try:
            packed = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
            said = self._cipher.decrypt(
                packed[:NONCE_BYTES], packed[NONCE_BYTES:], purpose.value.encode()
            )
        except (InvalidTag, ValueError, binascii.Error):
            return None
        return Token(
            purpose=purpose,
            key_id=UUID(bytes=said[:16]),
            tenant_id=UUID(bytes=said[16:32]),
            expires_at=datetime.fromtimestamp(int.from_bytes(said[32:], "big"), UTC),
            # Of the bytes, not of the text: the last letter of a text can be written in several ways.
            serial=packed[:NONCE_BYTES],
        )
