"""Who may enter a tenant with the keys of another one."""

from dataclasses import dataclass
from enum import Enum
from uuid import UUID

import strawberry

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.grants import granted, refusal
from services.gateway.graphql.mutations.payloads import Id, Success, success_of
from services.gateway.keys import Membership
from services.gateway.roles import RIGHTS, Role


@dataclass
class CreateMembership:
    """A user of another tenant, as `auth_info { user_id tenant_id }` tells them; `role` or `role_id` as for keys.

    `name` is what this tenant calls them: nobody here reads what they are called at home.
    """

    user_id: UUID
    home_tenant_id: UUID
    role: str | None = None
    name: str | None = None
    role_id: UUID | None = None


@mutation("create_membership", camel=None)
async def create_membership(context: Context, input: CreateMembership) -> Id:
    """Let a user of another tenant into this one, or give them another role; it trusts that tenant's administrators."""
    rights = await granted(
        context,
        role=input.role,
        role_id=input.role_id,
        tenant_id=context.tenant_id,
        default=RIGHTS[Role.USER],
    )
    if input.home_tenant_id == context.tenant_id:
        reason = "home_tenant_id: users of this tenant need no membership in it"
        raise compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))
    if input.name is not None:
        context.require_name("name", input.name)
    made = await context.shared.store.create_membership(
        context.shared.ids(),
        Membership(
            tenant_id=context.tenant_id,
            user_id=input.user_id,
            home_tenant_id=input.home_tenant_id,
            rights=rights,
        ),
        name=input.name,
    )
    if isinstance(made, Refused):
        raise compat.error_of(made)
    membership_id, ended = made
    await context.shared.forget_keys(ended)
    return Id(id=membership_id)


@dataclass
class MembershipInput:
    """A membership by its id."""

    membership_id: UUID


@mutation("delete_membership", camel=None)
async def delete_membership(context: Context, input: MembershipInput) -> Success:
    """Let them in no longer; their tokens, and the keys that they made here, are refused within a second."""
    deleted, ended = await context.shared.store.delete_membership(
        context.tenant_id, input.membership_id
    )
    if not deleted:
        # Of who logs in with a provider there is no row of a membership: the id is the person's, as in lists.
        found = await context.shared.store.end_sign_in(context.tenant_id, input.membership_id)
        if isinstance(found, Refused):
            raise compat.error_of(found)
        deleted, ended = bool(found), found
    await context.shared.forget_keys(ended)
    return success_of("membership", input.membership_id, success=deleted)


@strawberry.enum(
    name="membership_role", description="A role as Cloud's provider of Terraform names it."
)
class MembershipRole(Enum):
    """The roles that people have."""

    READ_ONLY_USER = Role.READ_ONLY
    USER = Role.USER
    TENANT_ADMIN = Role.TENANT_ADMIN


@dataclass
class SetMembershipRole:
    """A membership by its id, as `user_view_same_tenant` and `membership` show it, and one of `role_id` and `role`."""

    membership_id: UUID
    role_id: UUID | None = None
    role: MembershipRole | None = None


@mutation("set_membership_role")
async def set_membership_role(context: Context, input: SetMembershipRole) -> Id:
    """Say what a guest, or a member with all their keys, may do at most. The last administrator stays one."""
    if (input.role_id is None) == (input.role is None):
        raise refusal("role_id: give either role_id or role")
    rights = await granted(
        context,
        role=None if input.role is None else input.role.value.value,
        role_id=input.role_id,
        tenant_id=context.tenant_id,
        default=RIGHTS[Role.USER],
    )
    changed = await context.shared.store.set_membership_role(
        context.tenant_id, input.membership_id, rights, held=context.identity.rights.permissions
    )
    if isinstance(changed, Refused):
        raise compat.error_of(changed)
    if changed is None:
        raise refusal(f"membership_id: this tenant has no membership {input.membership_id}")
    await context.shared.forget_keys(changed)
    return Id(id=input.membership_id)
