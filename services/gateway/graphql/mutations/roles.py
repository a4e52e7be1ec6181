"""Custom roles (reference/people.md): names for sets of permissions; nobody makes a greater one than their own."""

from dataclasses import dataclass
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.grants import refusal
from services.gateway.graphql.mutations.payloads import Id, Success, success_of
from services.gateway.roles import BY_ID, NAMES, Role, known_permissions, refused_permissions
from services.gateway.store import too_far


@dataclass
class CreateCustomRole:
    """`permissions` are words of `permissions_info`, such as `read:run`."""

    name: str
    permissions: list[str]


@mutation("create_custom_role")
async def create_custom_role(context: Context, input: CreateCustomRole) -> Id:
    """Make a role of the tenant, with at most what the caller holds."""
    context.require_name("name", input.name)
    if input.name.lower() in _NAMES_OF_OURS:
        raise refusal(f"name: {input.name} is a built-in role; choose another name")
    made = await context.shared.store.create_role(
        context.shared.ids(), context.tenant_id, input.name, _checked(context, input.permissions)
    )
    if isinstance(made, Refused):
        raise compat.error_of(made)
    return Id(id=made)


@dataclass
class UpdateCustomRolePermissions:
    """`permissions` replace those that the role has."""

    role_id: UUID
    permissions: list[str]


@mutation("update_custom_role_permissions")
async def update_custom_role_permissions(
    context: Context, input: UpdateCustomRolePermissions
) -> Success:
    """Change what a custom role allows, for all who have it, within a second. Built-in roles are fixed."""
    _check_custom(input.role_id)
    done = await context.shared.store.update_role(
        context.tenant_id,
        input.role_id,
        _checked(context, input.permissions),
        held=context.identity.rights.permissions,
    )
    if isinstance(done, Refused):
        raise compat.error_of(done)
    return success_of("role", input.role_id, success=done)


@dataclass
class DeleteCustomRole:
    """A custom role by its id."""

    role_id: UUID


@mutation("delete_custom_role")
async def delete_custom_role(context: Context, input: DeleteCustomRole) -> Success:
    """Delete a custom role that nobody has."""
    _check_custom(input.role_id)
    done = await context.shared.store.delete_role(
        context.tenant_id, input.role_id, held=context.identity.rights.permissions
    )
    if isinstance(done, Refused):
        raise compat.error_of(done)
    return success_of("role", input.role_id, success=done)


_NAMES_OF_OURS = {role.value for role in Role} | {name.lower() for name in NAMES.values()}


def _check_custom(role_id: UUID) -> None:
    if role_id in BY_ID:
        raise refusal(f"role_id: {NAMES[BY_ID[role_id]]} is a built-in role, which nobody changes")


def _checked(context: Context, given: list[str]) -> tuple[str, ...]:
    permissions = known_permissions(given)
    reason = refused_permissions(permissions)
    if reason is not None:
        raise compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))
    beyond = too_far("permissions", frozenset(permissions), context.identity.rights.permissions)
    if beyond is not None:
        raise compat.error_of(beyond)
    return permissions
