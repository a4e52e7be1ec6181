"""The gateway's own tables: the only place of the gateway that writes rows. One module for each kind of row.

Each method is one statement or one transaction.
"""

from services.gateway.store.audit import AuditRows
from services.gateway.store.base import tenant_not_found
from services.gateway.store.inbox import InboxRows
from services.gateway.store.keys import KeyRows, Member, MembershipRows
from services.gateway.store.notices import NoticeRows
from services.gateway.store.people import SERVICE, USER, PeopleRows, Person
from services.gateway.store.runs import RunRows, Usage
from services.gateway.store.tenants import PAUSED, Tenant, TenantRows
from services.gateway.store.values import ValueRows

__all__ = [
    "PAUSED", "SERVICE", "USER", "Member", "Person", "Store", "Tenant", "Usage", "tenant_not_found",
]  # fmt: skip


class Store(
    TenantRows,
    KeyRows,
    MembershipRows,
    PeopleRows,
    ValueRows,
    RunRows,
    AuditRows,
    NoticeRows,
    InboxRows,
):
    """All of them over one pool, as requests use them."""
