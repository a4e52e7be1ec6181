"""Secrets at rest: sealed with AES-256-GCM under a key that is not in the database.

The tenant and the name are authenticated with the value, so a row copied to another name or tenant does not open.
"""

import os
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from libs.runtime import exact_json

_NONCE_BYTES = 12


class CannotOpenError(Exception):
    """The value was sealed under another key, or for another name or tenant."""


class Vault:
    """Seals and opens the values of secrets."""

    def __init__(self, pepper: bytes) -> None:
        key = HKDF(
            algorithm=hashes.SHA256(), length=32, salt=None, info=b"headwater secrets v1"
        ).derive(pepper)
        self._cipher = AESGCM(key)

    def seal(self, value: Any, tenant_id: UUID, name: str) -> bytes:
        """The sealed JSON of a value."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, exact_json.dumps(value), _bound(tenant_id, name))

    def open(self, sealed: bytes, tenant_id: UUID, name: str) -> Any:
        """The value. CannotOpenError when it was not sealed here, for this tenant and name."""
        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return exact_json.loads(self._cipher.decrypt(nonce, body, _bound(tenant_id, name)))
        except InvalidTag as error:
            raise CannotOpenError from error


def _bound(tenant_id: UUID, name: str) -> bytes:
    return tenant_id.bytes + name.encode()
