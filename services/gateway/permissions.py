"""The permissions of each role, in Cloud's form: `verb:object`. Pure.

The lists are those of Cloud's built-in roles, as far as known. They are the answers of `auth_info` and `auth_role`, and
decide which queries are reserved. The permission for each mutation is declared beside it (`keys.Guard`);
`tests/unit/gateway/test_permissions.py` holds both against each other.

One deviation: flows that run under an agent's key may also set and delete key-values, because Core's tasks do.
"""

from services.gateway.keys import Role

VERBS = ("create", "read", "update", "delete")
OBJECTS = (
    "api-key", "service-account", "service-api-key", "run", "project", "log", "flow", "agent", "secret",
    "secret-value", "cloud-hook", "hook", "flow-sla", "key-value", "concurrency-limit", "audit-trail", "usage",
    "user", "tenant", "license", "role", "membership", "membership-invitation", "message",
)  # fmt: skip
FEATURES = tuple(
    f"feature:{name}"
    for name in (
        "basic-rbac", "custom-role", "version-locking", "concurrency-limit", "flow-sla", "agent-sla",
        "api-action", "audit-trail",
    )
)  # fmt: skip

_DAILY = (
    "run", "project", "log", "flow", "agent", "secret", "secret-value", "cloud-hook", "hook", "flow-sla",
    "key-value", "message",
)  # fmt: skip
_SEEN_BY_USERS = (
    "user", "tenant", "license", "role", "membership", "concurrency-limit", "usage",
)  # fmt: skip
_KEPT_FROM_READERS = {"secret-value", "api-key", "service-api-key", "audit-trail"}


def _all_of(*objects: str) -> set[str]:
    return {f"{verb}:{name}" for name in objects for verb in VERBS}


PERMISSIONS: dict[Role, frozenset[str]] = {
    Role.TENANT_ADMIN: frozenset({*_all_of(*OBJECTS), *FEATURES}),
    Role.USER: frozenset(
        {*_all_of(*_DAILY), *(f"read:{name}" for name in _SEEN_BY_USERS), *FEATURES}
    ),
    Role.READ_ONLY: frozenset(
        {
            *(f"read:{name}" for name in OBJECTS if name not in _KEPT_FROM_READERS),
            *_all_of("message"),
            *FEATURES,
        }
    ),
    Role.AGENT: frozenset(
        {
            *(f"read:{name}" for name in ("flow", "run", "agent", "secret-value", "key-value")),
            *(f"create:{name}" for name in ("run", "log", "agent")),
            *_all_of("key-value"),
            "update:run",
        }
    ),
}

RESERVED: dict[str, str] = {
    "audit_log": "read:audit-trail",
    "cloud_hook": "read:cloud-hook",
    "key_value": "read:key-value",
    "message": "read:message",
}
"""Tables of the read path that need a permission. No relationship leads to one. All other tables are about flows and
runs: processes of runs read them, so every role may."""

UNREADABLE: dict[Role, frozenset[str]] = {
    role: frozenset(t for t, permission in RESERVED.items() if permission not in PERMISSIONS[role])
    for role in Role
}
"""The reserved tables that a role may not read."""


def has(role: Role, permission: str) -> bool:
    """Whether a role has a permission."""
    return permission in PERMISSIONS[role]
