"""The people of a tenant, their roles and its invitations, as Cloud's pages and scripts ask for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import strawberry

from services.gateway.context import Context
from services.gateway.graphql.account import (
    MembershipTenant,
    People,
    RoleDetail,
    UserReference,
    reference,
    role_detail,
    tenant_of,
)
from services.gateway.identity import Identity
from services.gateway.roles import RIGHTS, Rights, Role
from services.gateway.store import Invitation, Member, Person, Tenant


@strawberry.type(name="user_view_membership")
@dataclass
class ViewMembership:
    """What somebody may do in the tenant at most; `set_membership_role` takes the id."""

    id: UUID
    tenant_id: UUID
    role: str
    role_id: UUID
    role_detail: RoleDetail


@strawberry.type(name="user_view_same_tenant")
@dataclass
class UserView:
    """Somebody of the tenant, or a guest of it; `account_type` is USER or SERVICE. `email` is how they were invited."""

    id: UUID
    username: str
    email: str | None
    first_name: str
    last_name: str | None
    account_type: str
    created: datetime
    deleted_at: datetime | None
    memberships: list[ViewMembership]


@strawberry.type(name="license_membership")
@dataclass
class LicenseMembership:
    """The same in short."""

    tenant_id: UUID
    membership_id: UUID
    role_id: UUID


@strawberry.type(name="license_users")
@dataclass
class LicenseUser:
    """Somebody of the tenant, for whoever counts them."""

    id: UUID
    first_name: str
    last_name: str | None
    username: str
    email: str | None
    memberships: list[LicenseMembership]


@strawberry.type(name="membership_invitation")
@dataclass
class InvitationRow:
    """An invitation that is good. `user` is who may accept it: the caller, if they have the link and are elsewhere."""

    id: UUID
    created: datetime
    email: str
    tenant_id: UUID
    tenant: MembershipTenant | None
    role: str
    role_id: UUID
    role_detail: RoleDetail
    user: UserReference | None


@dataclass(frozen=True, slots=True)
class Office:
    """The people of a tenant; by the user, the memberships of guests and the roles of good keys."""

    people: People
    guests: Mapping[UUID, list[Member]]
    roles_of_keys: Mapping[UUID, list[Rights]]

    def memberships_of(self, person: Person) -> list[tuple[UUID, Rights]]:
        """The id of each, and the most that it allows. Who is no guest has one, which is called as they are."""
        as_guest = [
            (member.id, member.membership.rights) for member in self.guests.get(person.id, ())
        ]
        roles = self.roles_of_keys.get(person.id, [])
        if as_guest and not roles:
            return as_guest
        # A key without a role is a user's.
        most = max(roles, key=lambda rights: len(rights.permissions), default=RIGHTS[Role.USER])
        return [(person.id, person.ceiling or most), *as_guest]


async def office_of(context: Context) -> Office:
    """The people of the caller's tenant."""
    store = context.shared.store
    guests: dict[UUID, list[Member]] = {}
    for member in await store.memberships(context.tenant_id):
        guests.setdefault(member.membership.user_id, []).append(member)
    return Office(
        people=await store.people(context.tenant_id),
        guests=guests,
        roles_of_keys=await store.roles_of_keys(context.tenant_id),
    )


def views(tenant_id: UUID, office: Office) -> list[UserView]:
    """Everybody that the tenant has a name for, oldest first."""
    return [
        UserView(
            id=person.id,
            username=person.name,
            email=person.email,
            first_name=person.name,
            last_name=None,
            account_type=person.account_type,
            created=person.created,
            deleted_at=person.deleted_at,
            memberships=[
                ViewMembership(
                    id=membership_id,
                    tenant_id=tenant_id,
                    role=rights.code,
                    role_id=rights.id,
                    role_detail=role_detail(rights),
                )
                for membership_id, rights in office.memberships_of(person)
            ],
        )
        for person in office.people.values()
    ]


def license_users(tenant_id: UUID, office: Office) -> list[LicenseUser]:
    """The same people as long as they are there."""
    return [
        LicenseUser(
            id=person.id,
            first_name=person.name,
            last_name=None,
            username=person.name,
            email=person.email,
            memberships=[
                LicenseMembership(
                    tenant_id=tenant_id, membership_id=membership_id, role_id=rights.id
                )
                for membership_id, rights in office.memberships_of(person)
            ],
        )
        for person in office.people.values()
        if person.deleted_at is None
    ]


def invitation(
    found: Invitation, tenant: Tenant | None, identity: Identity, people: People
) -> InvitationRow:
    """An invitation of the tenant, with the person who is known by its address; or of another one, to the caller."""
    if found.tenant_id == identity.tenant_id:
        by_address = (
            p.id for p in people.values() if (p.email or "").lower() == found.email.lower()
        )
        user_id = next(by_address, None)
    else:
        user_id = identity.user_id
    return InvitationRow(
        id=found.id,
        created=found.created,
        email=found.email,
        tenant_id=found.tenant_id,
        tenant=tenant_of(tenant) if tenant else None,
        role=found.rights.code,
        role_id=found.rights.id,
        role_detail=role_detail(found.rights),
        user=None if user_id is None else reference(user_id, people),
    )
