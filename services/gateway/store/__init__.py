"""The gateway's own tables: the only place of the gateway that writes rows. One module for each kind of row.

Each method is one statement or one transaction.
"""

from services.gateway.store.audit import AuditRows
from services.gateway.store.base import tenant_not_found
from services.gateway.store.cloud_hooks import CloudHookChanges, CloudHookRows, NewCloudHook
from services.gateway.store.inbox import InboxRows
from services.gateway.store.invitations import Accepted, Invitation, InvitationRows
from services.gateway.store.keys import KeyRows
from services.gateway.store.memberships import Member, MembershipRows
from services.gateway.store.notices import NoticeRows
from services.gateway.store.people import SERVICE, USER, PeopleRows, Person
from services.gateway.store.roles import CustomRole, RoleRows, role_not_found, too_far
from services.gateway.store.runs import RunRows, Usage
from services.gateway.store.sign_ins import SignInRows
from services.gateway.store.tenants import PAUSED, Tenant, TenantRows
from services.gateway.store.values import ValueRows

__all__ = [
    "PAUSED", "SERVICE", "USER", "Accepted", "CloudHookChanges", "CustomRole", "Invitation", "Member", "NewCloudHook",
    "Person", "Store", "Tenant", "Usage", "role_not_found", "tenant_not_found", "too_far",
]  # fmt: skip


class Store(
    TenantRows, KeyRows, MembershipRows, InvitationRows, RoleRows, PeopleRows, ValueRows, RunRows, AuditRows,
    NoticeRows, InboxRows, CloudHookRows, SignInRows,
):  # fmt: skip
    """All of them over one pool, as requests use them."""
