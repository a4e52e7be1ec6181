"""People and service accounts: what a tenant calls them (reference/people.md)."""

from dataclasses import dataclass
from uuid import UUID

from libs.contracts.base import Refused
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.grants import granted
from services.gateway.graphql.mutations.payloads import Id, Success, success_of
from services.gateway.roles import RIGHTS, Role


@dataclass
class SetUserName:
    """Somebody of the tenant, or a guest of it, by the id of `user_view_same_tenant`."""

    user_id: UUID
    name: str


@mutation("set_user_name", camel=None)
async def set_user_name(context: Context, input: SetUserName) -> Success:
    """Call somebody so from now on, in histories too. Names are the tenant's own: others do not see them."""
    context.require_name("name", input.name)
    renamed = await context.shared.store.rename_person(context.tenant_id, input.user_id, input.name)
    return success_of("user", input.user_id, success=renamed)


@dataclass
class CreateServiceAccount:
    """What a program is to be called, and the most that its keys may do: all without `role_id`, which administrators
    alone can give. `tenant_id` is the caller's unless keys are off.
    """

    name: str
    tenant_id: UUID | None = None
    role_id: UUID | None = None


@mutation("create_service_account", camel=None)
async def create_service_account(context: Context, input: CreateServiceAccount) -> Id:
    """Make an account for a program; `create_api_key` makes keys for its id (`user_id`), which may do no more."""
    context.require_name("name", input.name)
    tenant_id = await context.tenant_for(input.tenant_id)
    rights = await granted(
        context,
        role=None,
        role_id=input.role_id,
        tenant_id=tenant_id,
        default=RIGHTS[Role.TENANT_ADMIN],
    )
    made = await context.shared.store.create_service_account(
        context.shared.ids(), tenant_id, input.name, rights
    )
    if isinstance(made, Refused):
        raise compat.error_of(made)
    return Id(id=made)


@dataclass
class ServiceAccountInput:
    """A service account by its id."""

    user_id: UUID


@mutation("delete_service_account", camel=None)
async def delete_service_account(context: Context, input: ServiceAccountInput) -> Success:
    """End a service account and its keys, within a second on every gateway. Its name stays in histories."""
    done = await context.shared.store.delete_service_account(context.tenant_id, input.user_id)
    if isinstance(done, Refused):
        raise compat.error_of(done)
    deleted, ended = done
    await context.shared.forget_keys(ended)
    return success_of("service account", input.user_id, success=deleted)
