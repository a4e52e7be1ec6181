"""The caller, keys, roles, users and memberships as Cloud's clients and scripts ask for them.

A user is an id that keys carry, and a name of each tenant that knows them (`gateway.person`). Their address is known to
the tenant that invited them by it. Built-in roles are no rows; each has the same id everywhere.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import strawberry

from services.gateway.graphql.scalars import JSON
from services.gateway.identity import Identity
from services.gateway.keys import TOKEN_SCOPES, Key, Listed
from services.gateway.names import NAMELESS
from services.gateway.permissions import ALL
from services.gateway.roles import RIGHTS, Rights, Role
from services.gateway.store import USER, CustomRole, Member, Person, Tenant

People = Mapping[UUID, Person]
"""A user with a name in the tenant."""


AGENT_SCOPE = "RUNNER"
_SCOPES = {role: scope for scope, role in TOKEN_SCOPES.items()}

_LICENSE = {
    "terms": {
        # Null is unlimited; `plan` must be a text, the web UI looks into it.
        "plan": "SELF_HOSTED",
        "users": None,
        "read_only_users": None,
        "tenants": None,
        "flow_concurrency": None,
        "history_retention_days": None,
        "key_value_pairs": None,
        "permissions": None,
        "task_runs_usage_limit": None,
        "is_self_serve": False,
        "is_usage_based": False,
        "frozen": False,
    }
}


@strawberry.type(name="auth_info")
@dataclass
class AuthInfo:
    """The caller, as Cloud's clients ask: `api_token_scope` is RUNNER, which agents up to 0.15 insist on."""

    tenant_id: UUID | None
    user_id: UUID | None
    role: str
    role_id: UUID
    permissions: list[str]
    license: JSON
    api_token_scope: str
    token_type: str
    token_id: UUID | None
    token_expires: datetime | None
    token_jti: UUID | None


@strawberry.type(name="authInfo")
@dataclass
class AuthInfoCamel:
    """The same for Core 0.8-0.9."""

    apiTokenScope: str  # noqa: N815 - the wire's name


@strawberry.type(name="auth_role")
@dataclass
class AuthRole:
    """A role. Of a built-in one `tenant_id` is null, as it is every tenant's, and so are its timestamps."""

    id: UUID
    name: str
    permissions: list[str]
    tenant_id: UUID | None
    created: datetime | None
    updated: datetime | None


@strawberry.type(name="permissions_info")
@dataclass
class PermissionsInfo:
    """What the caller may do, and all that a role can name. No licence is asked for, so nothing is filtered."""

    user_permissions_filtered_by_license_features: list[str]
    all_permissions_filtered_by_license_features: list[str]


@strawberry.type(name="user_reference")
@dataclass
class UserReference:
    """A user as the tenant calls them; `username` is the id as text where it has no name for them."""

    id: UUID
    username: str
    email: str | None


@strawberry.type(name="auth_api_key")
@dataclass
class AuthApiKey:
    """A key without its text; `key_hash` is null, as the hash stays here too."""

    id: UUID
    name: str
    created: datetime
    updated: datetime
    expires_at: datetime | None
    role: str
    role_id: UUID
    user_id: UUID
    user: UserReference
    default_tenant_id: UUID
    created_by: UserReference | None
    key_hash: str | None


@strawberry.type(name="api_token")
@dataclass
class ApiToken:
    """A token of Core <= 0.15 without its text."""

    id: UUID
    name: str
    created: datetime
    updated: datetime
    expires_at: datetime | None
    api_token_scope: str
    role: str
    tenant_id: UUID
    user_id: UUID
    user: UserReference
    created_by: UserReference | None


@strawberry.type(name="role_detail")
@dataclass
class RoleDetail:
    """A role by name and id."""

    id: UUID
    name: str


@strawberry.type(name="membership_tenant")
@dataclass
class MembershipTenant:
    """What flow URLs are made of. Nothing here is billed or set by a vendor, so the last two are null and empty."""

    id: UUID
    slug: str
    name: str
    settings: JSON
    stripe_customer: JSON | None
    prefect_admin_settings: JSON


@strawberry.type(name="membership")
@dataclass
class MembershipRow:
    """A user of another tenant who may enter this one."""

    id: UUID
    created: datetime
    updated: datetime
    user_id: UUID
    user: UserReference
    home_tenant_id: UUID
    tenant_id: UUID
    tenant: MembershipTenant | None
    role: str
    role_id: UUID
    role_detail: RoleDetail


@strawberry.type(name="user_membership")
@dataclass
class Membership:
    """A tenant that a user works in, and as what."""

    id: UUID
    tenant_id: UUID
    tenant: MembershipTenant
    role: str
    role_id: UUID
    role_detail: RoleDetail


@strawberry.type(name="user")
@dataclass
class User:
    """The caller, and every tenant it may enter; the default one is that of its key or header."""

    id: UUID
    username: str
    email: str | None
    first_name: str | None
    last_name: str | None
    account_type: str
    settings: JSON
    default_membership_id: UUID | None
    default_membership: Membership | None
    memberships: list[Membership]


def caller(identity: Identity) -> AuthInfo:
    """Who the server takes the caller for."""
    key = identity.key
    return AuthInfo(
        tenant_id=identity.tenant_id,
        user_id=identity.user_id,
        role=identity.rights.code,
        role_id=identity.rights.id,
        permissions=sorted(identity.rights.permissions),
        license=JSON(_LICENSE),
        api_token_scope=AGENT_SCOPE,
        token_type="API_KEY" if key else "NONE",
        token_id=key.id if key else None,
        token_expires=key.expires_at if key else None,
        token_jti=key.id if key else None,
    )


def permissions(identity: Identity) -> PermissionsInfo:
    """What the role editor of the web UI asks."""
    return PermissionsInfo(
        user_permissions_filtered_by_license_features=sorted(identity.rights.permissions),
        all_permissions_filtered_by_license_features=sorted(ALL),
    )


def roles(own: Iterable[CustomRole], tenant_id: UUID) -> list[AuthRole]:
    """The built-in roles, and those of the tenant's own."""
    built_in = [_auth_role(RIGHTS[role]) for role in Role]
    return built_in + [_auth_role(role.rights, role, tenant_id) for role in own]


def _auth_role(
    rights: Rights, own: CustomRole | None = None, tenant_id: UUID | None = None
) -> AuthRole:
    return AuthRole(
        id=rights.id,
        name=rights.name,
        permissions=sorted(rights.permissions),
        tenant_id=tenant_id,
        created=own.created if own else None,
        updated=own.updated if own else None,
    )


def api_key(listed: Listed, people: People) -> AuthApiKey:
    """A key as Core >= 0.15 lists it."""
    key = listed.key
    return AuthApiKey(
        **_listed(listed, people),
        role_id=key.given.id,
        default_tenant_id=key.tenant_id,
        key_hash=None,
    )


def api_token(listed: Listed, people: People) -> ApiToken:
    """The same key as Core <= 0.15 lists it."""
    key = listed.key
    # No scope of theirs only reads.
    scope = key.given.name if key.custom else _SCOPES.get(key.role, key.given.name)
    return ApiToken(**_listed(listed, people), api_token_scope=scope, tenant_id=key.tenant_id)


def _listed(listed: Listed, people: People) -> dict[str, Any]:
    """What both lists say of a key."""
    key = listed.key
    return {
        "id": key.id,
        "name": key.name,
        "created": listed.created,
        "updated": listed.updated,
        "expires_at": key.expires_at,
        "role": key.given.code,
        "user_id": key.user_id,
        "user": reference(key.user_id, people),
        "created_by": None if listed.created_by is None else reference(listed.created_by, people),
    }


def membership(member: Member, tenant: Tenant | None, people: People) -> MembershipRow:
    """A guest of the tenant."""
    given = member.membership
    return MembershipRow(
        id=member.id,
        created=member.created,
        updated=member.updated,
        user_id=given.user_id,
        user=reference(given.user_id, people),
        home_tenant_id=given.home_tenant_id,
        tenant_id=given.tenant_id,
        tenant=tenant_of(tenant) if tenant else None,
        role=given.rights.code,
        role_id=given.rights.id,
        role_detail=role_detail(given.rights),
    )


def user(identity: Identity, tenants: dict[UUID, Tenant], people: People) -> User:
    """The caller with a membership in each of these tenants that it may enter."""
    memberships = {
        tenant_id: Membership(
            id=_membership_id(identity, tenant_id),
            tenant_id=tenant_id,
            tenant=tenant_of(tenant),
            role=rights.code,
            role_id=rights.id,
            role_detail=role_detail(rights),
        )
        for tenant_id, tenant in tenants.items()
        if (rights := _rights_in(identity, tenant_id)) is not None
    }
    default = memberships.get(identity.tenant_id)
    known = people.get(identity.user_id)
    return User(
        id=identity.user_id,
        username=reference(identity.user_id, people).username,
        email=None,
        first_name=known.name if known else None,
        last_name=None,
        account_type=known.account_type if known else USER,
        settings=JSON({}),
        default_membership_id=default.id if default else None,
        default_membership=default,
        memberships=list(memberships.values()),
    )


def _membership_id(identity: Identity, tenant_id: UUID) -> UUID:
    """The same at each question: a membership in the home tenant is no row, and is called as the member."""
    key = identity.key
    if key is None:
        return uuid5(identity.user_id, str(tenant_id))
    there = key.memberships.get(tenant_id)
    return identity.user_id if there is None else there.id


def _rights_in(identity: Identity, tenant_id: UUID) -> Rights | None:
    key: Key | None = identity.key
    if key is None or tenant_id == identity.tenant_id:
        return identity.rights
    return key.rights_in(tenant_id)


def tenant_of(tenant: Tenant) -> MembershipTenant:
    """A tenant as links need it."""
    return MembershipTenant(
        id=tenant.id,
        slug=tenant.slug,
        name=tenant.name,
        settings=JSON(tenant.settings),
        stripe_customer=None,
        prefect_admin_settings=JSON({}),
    )


def role_detail(rights: Rights) -> RoleDetail:
    """A role by name and id."""
    return RoleDetail(id=rights.id, name=rights.name)


def reference(user_id: UUID, people: People) -> UserReference:
    """A user as the tenant calls them."""
    known = people.get(user_id)
    name = known.name if known else NAMELESS.get(user_id, str(user_id))
    return UserReference(id=user_id, username=name, email=known.email if known else None)
