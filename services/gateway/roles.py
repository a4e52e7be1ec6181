"""The built-in roles, and what somebody with a role may do. Pure.

The lists are those of Cloud's built-in roles, as far as known. One deviation: flows that run under an agent's key may
also set and delete key-values, and read whatever is about flows and runs, because Core's processes do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from uuid import UUID, uuid5

from services.gateway.permissions import ALL, FEATURES, OBJECTS, TABLES, Needed, all_of


class Role(StrEnum):
    """A built-in role."""

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
    """The id of a built-in role, the same in every installation: they are no rows."""
    return uuid5(_ROLES, NAMES[role])


_ROLES = UUID("6d0f4c0e-52e5-4c6f-9d3a-0b8f6a1f7c11")

_DAILY = (
    "run", "project", "log", "flow", "agent", "secret", "secret-value", "cloud-hook", "hook", "flow-sla",
    "key-value", "message",
)  # fmt: skip
_SEEN_BY_USERS = (
    "user", "tenant", "license", "role", "membership", "concurrency-limit", "usage", "service-account",
)  # fmt: skip
_KEPT_FROM_READERS = {
    "secret-value", "api-key", "service-api-key", "audit-trail",
    # Who sees an invitation can hand it on.
    "membership-invitation",
}  # fmt: skip


def _read(*objects: str) -> set[str]:
    return {f"read:{name}" for name in objects}


PERMISSIONS: dict[Role, Needed] = {
    Role.TENANT_ADMIN: ALL,
    Role.USER: frozenset({*all_of(*_DAILY), *_read(*_SEEN_BY_USERS), *FEATURES}),
    Role.READ_ONLY: frozenset(
        {
            *_read(*(name for name in OBJECTS if name not in _KEPT_FROM_READERS)),
            *all_of("message"),
            *FEATURES,
        }
    ),
    Role.AGENT: frozenset(
        {
            *_read("flow", "run", "agent", "secret-value", "project", "log", "tenant"),
            *_read("concurrency-limit"),
            *(f"create:{name}" for name in ("run", "log", "agent")),
            *all_of("key-value"),
            "update:run",
        }
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What a caller may do, and the role that it comes from. One object for all who have the same.

    `code` is the role's name in answers of ours (`tenant_admin`), `name` Cloud's (`TENANT_ADMIN`); a custom role has
    one name. `unreadable` are the tables that its holder may not read.
    """

    id: UUID
    code: str
    name: str
    permissions: frozenset[str]
    unreadable: frozenset[str]

    def may(self, needed: Needed) -> bool:
        """Whether all of these permissions are held."""
        return needed <= self.permissions

    @property
    def is_built_in(self) -> bool:
        """Whether it is a built-in role, as it is: not a custom one, and not cut by another role."""
        return self in _BUILT_IN


def _rights(id_: UUID, code: str, name: str, permissions: frozenset[str]) -> Rights:
    return Rights(
        id=id_,
        code=code,
        name=name,
        permissions=permissions,
        unreadable=frozenset(table for table, read in TABLES.items() if read not in permissions),
    )


RIGHTS: dict[Role, Rights] = {
    role: _rights(role_id(role), role.value, NAMES[role], PERMISSIONS[role]) for role in Role
}
_BUILT_IN = frozenset(RIGHTS.values())
BY_ID: dict[UUID, Role] = {role_id(role): role for role in Role}


@lru_cache(maxsize=1_000)
def _custom(id_: UUID, name: str, permissions: frozenset[str]) -> Rights:
    return _rights(id_, name, name, permissions)


def custom(id_: UUID, name: str, permissions: Iterable[str]) -> Rights:
    """A tenant's own role. What a later release took away from the permissions is no right any more."""
    return _custom(id_, name, ALL.intersection(permissions))


def stored(rights: Rights) -> tuple[str, UUID | None]:
    """How a row holds a role: its built-in name, and the id of a custom role beside read_only.

    A release without custom roles sees the first alone.
    """
    built_in = BY_ID.get(rights.id)
    return (Role.READ_ONLY.value, rights.id) if built_in is None else (built_in.value, None)


def missing(given: frozenset[str], held: frozenset[str]) -> str:
    """What of this is not held, in words; empty where all of it is."""
    beyond = sorted(given - held)
    more = f" and {len(beyond) - 3} more" if len(beyond) > 3 else ""
    return ", ".join(beyond[:3]) + more


@lru_cache(maxsize=1_000)
def both(one: Rights, other: Rights) -> Rights:
    """What both allow, as the first role where none of them is the lesser one."""
    if one.permissions <= other.permissions:
        return one
    if other.permissions <= one.permissions:
        return other
    return _rights(one.id, one.code, one.name, one.permissions & other.permissions)


def refused_permissions(given: Iterable[str]) -> str | None:
    """Why these are no permissions of a role; None when they are."""
    for permission in given:
        if permission not in ALL:
            return (
                f"permissions: there is no permission {permission[:64]!r};"
                " permissions_info { all_permissions_filtered_by_license_features } lists them"
            )
    return None


def known_permissions(given: Iterable[str]) -> tuple[str, ...]:
    """The permissions once each, sorted, without the `read:undefined` that the web UI's editor makes."""
    return tuple(sorted({p for p in given if not p.endswith(":undefined")}))
