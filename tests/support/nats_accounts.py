"""A nats-server that lets people in by credentials files, as hosted NATS does, and speaks TLS.

An operator vouches for an account and the account for its users, each by a JWT (nats-io/jwt, version 2). Headwater's
services know no credentials files; here they come in without any, as the server's `default_sentinel`.
"""

import base64
import binascii
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.contracts.agent_access import AgentAccess
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from tests.support.certificates import Certificates
from tests.support.engines import make_folder
from tests.support.nats_process import nats_process
from tests.support.ports import free_port

_KINDS = {"operator": 14 << 3, "account": 0, "user": 20 << 3}
"""Prefix bytes of nkeys: their texts begin with O, A and U."""
_SEED = 18 << 3
_NO_LIMITS = {"subs": -1, "data": -1, "payload": -1}
_CONFIGURATION = """\
listen: "127.0.0.1:{port}"
max_payload: 33554432
jetstream {{ store_dir: {store} }}
tls {{ cert_file: {certificate}, key_file: {key} }}
operator: {operator}
system_account: {system}
resolver: MEMORY
resolver_preload: {{ {accounts} }}
default_sentinel: {sentinel}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Somebody with a key pair of their own, who may sign for others."""

    kind: str
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def nkey(self) -> str:
        """The public half."""
        return _text(bytes([_KINDS[self.kind]]) + self.private.public_key().public_bytes_raw())

    @property
    def seed(self) -> str:
        """The private half."""
        kind = _KINDS[self.kind]
        prefix = bytes([_SEED | kind >> 5, (kind & 31) << 3])
        return _text(prefix + self.private.private_bytes_raw())

    def vouch_for(self, holder: "Holder", name: str, claims: Mapping[str, Any]) -> str:
        """The JWT that says so."""
        payload = {
            "jti": str(new_id()),
            "iat": int(utc_now().timestamp()),
            "iss": self.nkey,
            "sub": holder.nkey,
            "name": name,
            "nats": {"type": holder.kind, "version": 2, **claims},
        }
        parts = ({"typ": "JWT", "alg": "ed25519-nkey"}, payload)
        text = ".".join(_in_base64(json.dumps(part).encode()) for part in parts)
        return f"{text}.{_in_base64(self.private.sign(text.encode()))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountNats:
    """The server; `account` is where everybody is."""

    port: int
    account: Holder

    @property
    def url(self) -> str:
        """Whoever comes by it without credentials may do anything."""
        return f"nats://127.0.0.1:{self.port}"

    def write_credentials(self, path: Path, access: AgentAccess) -> Path:
        """A credentials file of a user who may do this and no more."""
        user = Holder(kind="user")
        jwt = self.account.vouch_for(
            user,
            "agent",
            {
                **_NO_LIMITS,
                "pub": {"allow": access.publish},
                "sub": {"allow": access.subscribe},
                "resp": {"max": 1, "ttl": 60_000_000_000},
            },
        )
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )
        path.chmod(0o600)
        return path


@asynccontextmanager
async def account_nats(tls: Certificates) -> AsyncIterator[AccountNats]:
    """A running server with JetStream; gone afterwards."""
    operator, system, account = (
        Holder(kind="operator"),
        Holder(kind="account"),
        Holder(kind="account"),
    )
    unlimited = {
        **_NO_LIMITS,
        "conn": -1,
        "leaf": -1,
        "imports": -1,
        "exports": -1,
        "wildcards": True,
    }
    stored = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    jwts = {
        system.nkey: operator.vouch_for(system, "system", {"limits": unlimited}),
        account.nkey: operator.vouch_for(account, "headwater", {"limits": unlimited | stored}),
    }
    anybody = account.vouch_for(
        Holder(kind="user"), "anybody", {**_NO_LIMITS, "bearer_token": True, "pub": {}, "sub": {}}
    )
    folder, port = make_folder(), free_port()
    configuration = _CONFIGURATION.format(
        port=port,
        store=json.dumps(str(folder / "store")),
        certificate=json.dumps(str(tls.certificate)),
        key=json.dumps(str(tls.key)),
        operator=operator.vouch_for(operator, "operator", {}),
        system=system.nkey,
        accounts=", ".join(f"{nkey}: {jwt}" for nkey, jwt in jwts.items()),
        sentinel=anybody,
    )
    async with nats_process(folder, port, configuration):
        yield AccountNats(port=port, account=account)


def _text(body: bytes) -> str:
    check = binascii.crc_hqx(body, 0).to_bytes(2, "little")
    return base64.b32encode(body + check).rstrip(b"=").decode()


def _in_base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
