"""Who may enter a tenant with the keys of another one."""

from dataclasses import dataclass
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import Id, Success, success_of
from services.gateway.keys import Guard, Membership, Role


@dataclass
class CreateMembership:
    """A user of another tenant, as `auth_info { user_id tenant_id }` tells them; `role` as for keys.

    `name` is what this tenant calls them: nobody here reads what they are called at home.
    """

    user_id: UUID
    home_tenant_id: UUID
    role: str = Role.USER.value
    name: str | None = None


@mutation("create_membership", camel=None, guard=Guard.ADMIN)
async def create_membership(context: Context, input: CreateMembership) -> Id:
    """Let a user of another tenant into this one, or give them another role; it trusts that tenant's administrators."""
    try:
        role = Role(input.role)
    except ValueError:
        names = ", ".join(role.value for role in Role)
        reason = f"role must be one of {names}, not {input.role!r}"
        raise compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason})) from None
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
            role=role,
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


@mutation("delete_membership", camel=None, guard=Guard.ADMIN)
async def delete_membership(context: Context, input: MembershipInput) -> Success:
    """Let them in no longer; their tokens, and the keys that they made here, are refused within a second."""
    deleted, ended = await context.shared.store.delete_membership(
        context.tenant_id, input.membership_id
    )
    await context.shared.forget_keys(ended)
    return success_of("membership", input.membership_id, success=deleted)
