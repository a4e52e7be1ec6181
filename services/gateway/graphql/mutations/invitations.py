"""Invitations (reference/people.md): an address, a role, and a link that lets in who shows it first."""

import re
import secrets
from dataclasses import dataclass
from uuid import UUID

from libs.contracts.base import Refused
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.grants import granted, refusal
from services.gateway.graphql.mutations.payloads import Id, Success, success_of
from services.gateway.permissions import needs
from services.gateway.roles import RIGHTS, Role

_LONGEST_ADDRESS = 254
_ADDRESS = re.compile(r"[^\s@<>\",;]+@[^\s@<>\",;]+")
_TAKES_BACK = needs("delete:membership-invitation")


@dataclass
class CreateMembershipInvitation:
    """The address to invite, and the role to give: `role_id` is an id of `auth_role`."""

    email: str
    role_id: UUID


@mutation("create_membership_invitation", makes_secret=True)
async def create_membership_invitation(context: Context, input: CreateMembershipInvitation) -> Id:
    """Invite somebody by an address; who shows the id first, within 14 days, enters. Nothing is mailed: send it."""
    email = input.email.strip()
    context.require_name("email", email)
    if len(email) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(email):
        raise refusal(f"email: {email[:64]!r} is not one address, such as ann@example.org")
    rights = await granted(
        context,
        role=None,
        role_id=input.role_id,
        tenant_id=context.tenant_id,
        default=RIGHTS[Role.USER],
    )
    made = await context.shared.store.create_invitation(
        # Nobody guesses it; a UUIDv7 tells when it was made.
        UUID(bytes=secrets.token_bytes(16), version=4),
        context.tenant_id,
        email,
        rights,
        created_by=context.identity.user_id if context.identity.key else None,
    )
    if isinstance(made, Refused):
        raise compat.error_of(made)
    return Id(id=made)


@dataclass
class InvitationInput:
    """An invitation by its id, which the link has."""

    invitation_id: UUID


@mutation("accept_membership_invitation")
async def accept_membership_invitation(context: Context, input: InvitationInput) -> Id:
    """Enter the tenant that invites, as `switch_tenant` does from then on. An invitation is good once."""
    key = context.identity.key
    if key is None:
        raise refusal("invitation_id: keys are off here, so everybody is in every tenant")
    done = await context.shared.store.accept_invitation(
        input.invitation_id, context.shared.ids(), user_id=key.user_id, home_tenant_id=key.tenant_id
    )
    if isinstance(done, Refused):
        raise compat.error_of(done)
    # So that they may enter at once.
    await context.shared.forget_keys([key.id])
    await context.record_abroad(
        "accept_membership_invitation",
        tenant_id=done.tenant_id,
        object_id=done.membership_id,
        info={
            "email": done.email,
            "user_id": str(key.user_id),
            "home_tenant_id": str(key.tenant_id),
        },
    )
    return Id(id=done.membership_id)


@mutation("delete_membership_invitation")
async def delete_membership_invitation(context: Context, input: InvitationInput) -> Success:
    """Take an invitation of the tenant back, or decline one of another tenant, whose link is known."""
    found = await context.shared.store.invitation(input.invitation_id)
    if found is not None and found.tenant_id == context.tenant_id:
        context.require(_TAKES_BACK)
    tenant_id = await context.shared.store.delete_invitation(input.invitation_id)
    if tenant_id is not None and tenant_id != context.tenant_id:
        await context.record_abroad(
            "decline_membership_invitation",
            tenant_id=tenant_id,
            object_id=input.invitation_id,
            info={},
        )
    return success_of("invitation", input.invitation_id, success=tenant_id is not None)
