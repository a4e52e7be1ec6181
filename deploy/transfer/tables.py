"""Which tables go with a tenant, in which order, and which do not and why. Pure."""

from sqlalchemy import Table

from libs.schema import metadata

TENANT = "gateway.tenant"
KEYS = "gateway.api_key"
LEFT_OUT: dict[str, str] = {
    "gateway.bulk_item": "requests under way go on where they were made",
    "gateway.bulk_request": "requests under way go on where they were made",
    "gateway.deleted_tenant": "of tenants that are gone",
    "gateway.ended_session": "sessions are of the place where somebody logged in",
    "heartbeat.outbox": "events are published where they were committed",
    "heartbeat.watch": "of the processes that watch",
    "heartbeat.zombie": "of the processes that watch",
    "registry.outbox": "events are published where they were committed",
    "runs.outbox": "events are published where they were committed",
    "scheduler.schedule": "the scheduler makes its rows from the flows",
}
"""Tables that stay, each with its reason."""

EMPTIED: dict[str, frozenset[str]] = {
    "automations.delivery": frozenset({"lease", "leased_until"}),
    "runs.flow_run": frozenset({"lease_token", "lease_expires"}),
}
"""Columns that are not carried: a lease of a process there would keep the row from those here."""

_ONLY: dict[str, str] = {
    # Memberships of people whose home is another tenant stay, since that tenant does.
    "gateway.membership": "(home_tenant_id IS NULL OR home_tenant_id = tenant_id)",
}


def carried() -> list[Table]:
    """The tables that go with a tenant, referred ones before referring ones."""
    return [table for table in metadata.sorted_tables if table.fullname not in LEFT_OUT]


def columns_of(table: Table) -> list[str]:
    """The columns that are carried."""
    emptied = EMPTIED.get(table.fullname, frozenset())
    return [column.name for column in table.columns if column.name not in emptied]


def tenant_column(table: Table) -> str:
    """The column with the tenant's id."""
    return "id" if table.fullname == TENANT else "tenant_id"


def selection(table: Table) -> str:
    """The statement whose rows are exported, for the tenant $1."""
    columns = ", ".join(f'"{name}"' for name in columns_of(table))
    order = ", ".join(f'"{column.name}"' for column in table.primary_key)
    only = _ONLY.get(table.fullname)
    also = f" AND {only}" if only else ""
    return f"SELECT {columns} FROM {table.fullname} WHERE {tenant_column(table)} = $1{also} ORDER BY {order}"
