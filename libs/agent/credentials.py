"""NATS credentials files: a user's JWT, and the seed that answers the server's challenge.

Read anew at each log-in, so that a replaced file is used. nats-py reads them too, but hangs on an invalid file.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nats.errors

_BLOCK = rb"-----BEGIN %s-----\s*(\S+)\s*-+END %s-+"


class CredentialsError(nats.errors.Error):
    """The file cannot be used; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The contents of a file. `sign` answers a challenge of the server."""

    jwt: bytes
    sign: Callable[[str], bytes]


def read(path: Path) -> Credentials:
    """Read the file. Raises CredentialsError."""
    try:
        import nkeys  # noqa: PLC0415 - an extra of nats-py that only these files need
    except ImportError:
        msg = "--creds needs nkeys; install nats-py[nkeys]"
        raise CredentialsError(msg) from None
    try:
        text = path.read_bytes()
        jwt, seed = (
            re.findall(_BLOCK % (name, name), text)[0] for name in (b"NATS USER JWT", b"USER NKEY SEED")
        )  # fmt: skip
        keys = nkeys.from_seed(bytearray(seed))
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise CredentialsError(msg) from None
    except (IndexError, ValueError, nkeys.NkeysError):
        msg = f"{path} is not a NATS credentials file"
        raise CredentialsError(msg) from None
    return Credentials(jwt=jwt, sign=lambda nonce: base64.b64encode(keys.sign(nonce.encode())))
