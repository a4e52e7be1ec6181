"""Which role a caller may give: nobody gives more than they hold."""

from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.roles import BY_ID, RIGHTS, Rights, Role
from services.gateway.store import role_not_found, too_far


async def granted(
    context: Context, *, role: str | None, role_id: UUID | None, tenant_id: UUID, default: Rights
) -> Rights:
    """The role of this tenant that is meant, by a built-in role's name or by any role's id.

    GraphQLError where there is none, where both mean different ones, or where it may do more than the caller.
    """
    named = None if role is None else _built_in(role)
    chosen = named if role_id is None else await _by_id(context, role_id, tenant_id)
    if named is not None and chosen is not named:
        raise refusal("role: it is not the role of role_id; give one of them")
    rights = default if chosen is None else chosen
    require_as_much(context, rights, field="role" if role_id is None else "role_id")
    return rights


def require_as_much(context: Context, rights: Rights, *, field: str) -> None:
    """Raise unless the caller holds all that a role allows."""
    refused = too_far(field, rights.permissions, context.identity.rights.permissions)
    if refused is not None:
        raise compat.error_of(refused)


async def _by_id(context: Context, role_id: UUID, tenant_id: UUID) -> Rights:
    if role_id in BY_ID:
        return RIGHTS[BY_ID[role_id]]
    found = (await context.shared.store.custom_roles(tenant_id, role_id)).get(role_id)
    if found is None:
        raise compat.error_of(role_not_found(role_id))
    return found.rights


def _built_in(role: str) -> Rights:
    try:
        return RIGHTS[Role(role)]
    except ValueError:
        names = ", ".join(each.value for each in Role)
        raise refusal(f"role must be one of {names}, not {role!r}") from None


def refusal(reason: str) -> Exception:
    """The sentence as an error of the input."""
    return compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))
