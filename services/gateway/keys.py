"""API keys: how they are made and hashed, and what their holders may do. Pure; no clock, no database.

A key is shown once and stored as a keyed hash: a reader of the table can neither use a key nor test guesses without the
pepper, which is not in the database.
"""

import base64
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from uuid import UUID

from services.gateway.names import NAME_LIMIT
from services.gateway.roles import RIGHTS, Rights, Role, both

# Who makes a key names its role beside it.
__all__ = ["Role"]

PREFIX = "hw_"
KEY_BYTES = 32  # 256 bits; nobody guesses one


RESERVED_SLUGS = frozenset({
    "accept", "agent", "api", "assets", "calendar", "events", "flow", "flow-run", "graphql", "health", "lease",
    "limits", "login", "metrics", "notifications", "project", "ready", "runs", "search", "session", "static",
    "task", "task-run", "team", "tutorial", "user",
})  # fmt: skip
"""First segments of addresses that mean something: `/<slug>/...` would hide them, or they it."""


TOKEN_SCOPES: dict[str, Role] = {
    # Core <= 0.15 names scopes, not roles; agents insist on RUNNER
    "RUNNER": Role.AGENT,
    "USER": Role.USER,
    "TENANT": Role.TENANT_ADMIN,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A membership of a key's holder in another tenant: its id, and what it allows there."""

    id: UUID
    rights: Rights


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key that exists, as the gateway knows it.

    `role` is its built-in role; READ_ONLY beside a `custom` one. `ceiling` is the most that any key of its holder may
    do (None: whatever the key's own role allows). `memberships` are the other tenants that its holder may enter.
    """

    id: UUID
    tenant_id: UUID
    user_id: UUID
    name: str
    role: Role
    expires_at: datetime | None
    custom: Rights | None = None
    ceiling: Rights | None = None
    memberships: Mapping[UUID, Entry] = field(default_factory=dict)
    rights: Rights = field(init=False)
    """What its holder may do at home."""

    def __post_init__(self) -> None:
        """Once for all requests: they only look it up."""
        rights = self.given if self.ceiling is None else both(self.given, self.ceiling)
        object.__setattr__(self, "rights", rights)

    @property
    def given(self) -> Rights:
        """The role that the key was made with."""
        return self.custom or RIGHTS[self.role]

    def is_expired(self, now: datetime) -> bool:
        """A key ends exactly at its time of expiry."""
        return self.expires_at is not None and now >= self.expires_at

    def rights_in(self, tenant_id: UUID) -> Rights | None:
        """What the key may do in a tenant: elsewhere never more than at home; None if its holder may not enter it."""
        if tenant_id == self.tenant_id:
            return self.rights
        there = self.memberships.get(tenant_id)
        return None if there is None else both(there.rights, self.rights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A key in a list of keys: when it was made and changed, and by which user (None: by the machine itself)."""

    key: Key
    created: datetime
    updated: datetime
    created_by: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A user of the home tenant who may enter this tenant too.

    Whoever makes keys in the home tenant can make one for that user, so a membership trusts its administrators.
    """

    tenant_id: UUID
    user_id: UUID
    home_tenant_id: UUID
    rights: Rights


def slug_refusal(slug: str) -> str | None:
    """Why a tenant cannot have this slug; None when it can."""
    if not _SLUG.fullmatch(slug):
        # the sentence that clients know (reference/people.md)
        return 'Slug must be "slugified" (lowercase; no spaces)'
    if len(slug) > NAME_LIMIT:
        return f"slug has {len(slug)} characters; at most {NAME_LIMIT} are taken"
    if slug in RESERVED_SLUGS:
        return f"slug: {slug} is the beginning of an address of Headwater's own; choose another"
    return None


_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def make(entropy: bytes) -> str:
    """The text of a key, from `KEY_BYTES` random bytes."""
    return PREFIX + base64.urlsafe_b64encode(entropy).rstrip(b"=").decode()


def fingerprint(key: str, pepper: bytes) -> bytes:
    """The keyed hash under which a key is stored and found."""
    # As quick as `hmac.digest`, which lets go of the interpreter: while a second thread works on somebody's documents,
    # every request would wait here until that lets go of it in turn.
    hashing = _keyed(pepper).copy()
    hashing.update(key.encode())
    return hashing.digest()


@cache
def _keyed(pepper: bytes) -> hmac.HMAC:
    return hmac.new(pepper, digestmod="sha256")


def bearer(header: str | None) -> str | None:
    """The key in an `Authorization` header; None when there is no header. ValueError when it is malformed."""
    if header is None or not header.strip():
        return None
    scheme, _, key = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not key.strip() or " " in key.strip():
        msg = "Malformed Authorization header"
        raise ValueError(msg)
    return key.strip()
