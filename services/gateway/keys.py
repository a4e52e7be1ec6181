"""API keys: how they are made, hashed and what their roles may do. Pure; no clock, no database.

A key is shown once and stored as a keyed hash: a reader of the table can neither use a key nor test guesses without the
pepper, which is not in the database.
"""

import base64
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from uuid import UUID, uuid5

from services.gateway.names import NAME_LIMIT

PREFIX = "hw_"
KEY_BYTES = 32  # 256 bits; nobody guesses one


RESERVED_SLUGS = frozenset({
    "agent", "api", "assets", "calendar", "events", "flow", "flow-run", "graphql", "health", "lease", "limits",
    "login", "metrics", "notifications", "project", "ready", "runs", "search", "session", "static", "task",
    "task-run", "team", "tutorial", "user",
})  # fmt: skip
"""First segments of addresses that mean something: `/<slug>/...` would hide them, or they it."""


class Role(StrEnum):
    """What a key may do."""

    TENANT_ADMIN = "tenant_admin"
    USER = "user"
    READ_ONLY = "read_only"
    AGENT = "agent"


NAMES: dict[Role, str] = {
    Role.TENANT_ADMIN: "TENANT_ADMIN",
    Role.USER: "USER",
    Role.READ_ONLY: "READ_ONLY_USER",
    Role.AGENT: "RUNNER",
}
"""What Cloud calls the roles."""


def role_id(role: Role) -> UUID:
    """The id of a role, the same in every installation: roles are no rows."""
    return uuid5(_ROLES, NAMES[role])


_ROLES = UUID("6d0f4c0e-52e5-4c6f-9d3a-0b8f6a1f7c11")


class Guard(StrEnum):
    """What a mutation asks of its caller."""

    ADMIN = "admin"  # keys, tenants: the tenant's administrators
    WRITE = "write"  # flows, projects, settings: people who register and operate flows
    RUN = "run"  # what agents and the runs they start must be able to do
    LOG_IN = "log_in"  # what anybody with a key may: enter a tenant, and stay there


ALLOWED: dict[Guard, frozenset[Role]] = {
    Guard.ADMIN: frozenset({Role.TENANT_ADMIN}),
    Guard.WRITE: frozenset({Role.TENANT_ADMIN, Role.USER}),
    Guard.RUN: frozenset({Role.TENANT_ADMIN, Role.USER, Role.AGENT}),
    Guard.LOG_IN: frozenset(Role),
}

TOKEN_SCOPES: dict[str, Role] = {
    # Core <= 0.15 names scopes, not roles; agents insist on RUNNER
    "RUNNER": Role.AGENT,
    "USER": Role.USER,
    "TENANT": Role.TENANT_ADMIN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key that exists, as the gateway knows it.

    `memberships` are the other tenants that its holder may enter, and as what.
    """

    id: UUID
    tenant_id: UUID
    user_id: UUID
    name: str
    role: Role
    expires_at: datetime | None
    memberships: Mapping[UUID, Role] = field(default_factory=dict)

    def is_expired(self, now: datetime) -> bool:
        """A key ends exactly at its time of expiry."""
        return self.expires_at is not None and now >= self.expires_at

    def role_in(self, tenant_id: UUID) -> Role | None:
        """What the key may do in a tenant: elsewhere never more than at home; None if its holder may not enter it."""
        if tenant_id == self.tenant_id:
            return self.role
        there = self.memberships.get(tenant_id)
        return there and min(there, self.role, key=_reach)


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
    role: Role


def _reach(role: Role) -> int:
    """How many guards let a role pass; each role may do all that those with less reach may."""
    return sum(role in allowed for allowed in ALLOWED.values())


def beyond(role: Role) -> tuple[Role, ...]:
    """The roles that may do what this one may not."""
    return tuple(other for other in Role if _reach(other) > _reach(role))


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


def may(role: Role, guard: Guard) -> bool:
    """Whether a caller with `role` may call what asks for `guard`."""
    return role in ALLOWED[guard]
