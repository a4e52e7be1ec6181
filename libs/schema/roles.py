"""PostgreSQL roles and what each may do, generated from table ownership (ARCHITECTURE.md).

One login role per service writes its own schema's tables and reads everything. `reader` is the gateway's query role:
it may only read, and is the one that compiled GraphQL queries run as. Objects are owned by the migrating role, so no
service can alter or drop a table; partitions are made and dropped through the SECURITY DEFINER functions of the first
migration.
"""

from dataclasses import dataclass

from libs.schema.base import OWNERS, metadata

ROLE_PREFIX = "headwater_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A login role. `writes` are the schemas it may write; `settings` are set on the role in PostgreSQL."""

    name: str
    writes: tuple[str, ...]
    settings: dict[str, str]


_GUARDS = {
    # Transactions here are tiny; anything slower is a fault that must not hold locks (ARCHITECTURE.md).
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "15s",
    "timezone": "UTC",
}

_PLANS: dict[str, dict[str, str]] = {
    # The ledger's statements are look-ups by key. A plan that was cached while a table had one page would read the
    # table from end to end until the next ANALYZE, by when a burst of runs has made it a thousand pages.
    "runs": {"enable_seqscan": "off"},
}

SERVICE_ROLES: tuple[Role, ...] = tuple(
    Role(name=ROLE_PREFIX + owner, writes=(owner,), settings=_GUARDS | _PLANS.get(owner, {}))
    for owner in OWNERS
)
READER = Role(
    name=ROLE_PREFIX + "reader",
    writes=(),
    settings=_GUARDS | {"statement_timeout": "10s", "default_transaction_read_only": "on"},
)
ROLES: tuple[Role, ...] = (*SERVICE_ROLES, READER)

HIDDEN_FROM_READERS: frozenset[str] = frozenset(
    {"gateway.api_key", "gateway.former_cloud_hook", "gateway.secret"}
)
"""Tables that only their owner may read."""

APPEND_ONLY: frozenset[str] = frozenset({"gateway.audit_log", "gateway.deleted_tenant"})
"""Tables that their owner may only append to: an attacker who takes over a gateway cannot remove the traces."""

DEFINER_FUNCTIONS: dict[str, tuple[str, ...]] = {
    # function signature: the schemas' roles that may call it
    "gateway.work_queue_is_open(uuid)": ("runs",),
    "registry.share_flows(uuid[])": ("runs",),
    "registry.share_free_flows(uuid[])": ("runs",),
    "runs.ensure_partitions(timestamptz, int)": ("runs",),
    "runs.drop_partitions(text, timestamptz)": ("runs",),
    "runs.share_free_flow_runs(uuid[])": ("automations",),
}


def grants() -> list[str]:
    """The statements that give every role exactly its rights; run after each migration, idempotent."""
    statements: list[str] = []
    for owner in OWNERS:
        statements.append(f"REVOKE ALL ON SCHEMA {owner} FROM PUBLIC")
        for role in ROLES:
            statements.append(f"GRANT USAGE ON SCHEMA {owner} TO {role.name}")
            statements.append(f"REVOKE ALL ON ALL TABLES IN SCHEMA {owner} FROM {role.name}")
    for table in metadata.tables.values():
        for role in ROLES:
            if table.schema in role.writes:
                rights = "SELECT, INSERT"
                if table.fullname not in APPEND_ONLY:
                    rights += ", UPDATE, DELETE"
            elif table.fullname in HIDDEN_FROM_READERS:
                continue
            else:
                rights = "SELECT"
            statements.append(f"GRANT {rights} ON {table.fullname} TO {role.name}")
    for signature, callers in DEFINER_FUNCTIONS.items():
        statements.append(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        statements += [
            f"GRANT EXECUTE ON FUNCTION {signature} TO {ROLE_PREFIX}{caller}" for caller in callers
        ]
    return statements
