"""Tenants (reference/people.md)."""

from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from libs.contracts import subjects
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import Id, Success
from services.gateway.graphql.scalars import JSON
from services.gateway.keys import slug_refusal
from services.gateway.store import PAUSED, tenant_not_found


@dataclass
class CreateTenant:
    """The slug is lowercase words joined by single hyphens."""

    name: str
    slug: str


@mutation("create_tenant")
async def create_tenant(context: Context, input: CreateTenant) -> Id:
    """Create a tenant with a slug that no other has."""
    if not context.identity.any_tenant:
        raise compat.error_of(Refused(code=Code.FORBIDDEN))
    context.require_name("name", input.name)
    made = await context.shared.store.create_tenant(
        context.shared.ids(), name=input.name, slug=_slug(input.slug)
    )
    context.shared.tenants.forget()
    return _id(made)


@dataclass
class DeleteTenant:
    """`confirm` must be true."""

    tenant_id: UUID
    confirm: bool = False


@mutation("delete_tenant")
async def delete_tenant(context: Context, input: DeleteTenant) -> Success:
    """Delete a tenant: its keys end at once, and everything in it is gone soon after."""
    if not input.confirm:
        raise compat.error_of(Refused(code=Code.NOT_CONFIRMED))
    if input.tenant_id != context.tenant_id and not context.identity.any_tenant:
        fields = {"field": "tenant_id"}
        raise compat.error_of(Refused(code=Code.TENANT_FORBIDDEN, fields=fields))
    ended = await context.shared.store.delete_tenant(input.tenant_id)
    context.shared.tenants.forget()
    await context.shared.forget_keys(ended or ())
    error = None if ended is not None else f"There is no tenant {input.tenant_id}: it was deleted."
    return Success(success=ended is not None, error=error)


@dataclass
class UpdateTenantName:
    """A new name. `tenant_id` left out is the caller's tenant, as the web UI means it."""

    name: str
    tenant_id: UUID | None = None


@mutation("update_tenant_name")
async def update_tenant_name(context: Context, input: UpdateTenantName) -> Id:
    """Rename a tenant."""
    context.require_name("name", input.name)
    tenant_id = await context.tenant_for(input.tenant_id)
    return _id(await context.shared.store.update_tenant(tenant_id, name=input.name, slug=None))


@dataclass
class UpdateTenantSlug:
    """A new slug. `tenant_id` left out is the caller's tenant, as the web UI means it."""

    slug: str
    tenant_id: UUID | None = None


@mutation("update_tenant_slug")
async def update_tenant_slug(context: Context, input: UpdateTenantSlug) -> Id:
    """Change a tenant's slug."""
    tenant_id = await context.tenant_for(input.tenant_id)
    slug = _slug(input.slug)
    return _id(await context.shared.store.update_tenant(tenant_id, name=None, slug=slug))


@dataclass
class UpdateTenantSettings:
    """Merged into what is there. `tenant_id` left out is the caller's tenant, as the web UI means it."""

    tenant_id: UUID | None = None
    settings: JSON | None = None


@mutation("update_tenant_settings")
async def update_tenant_settings(context: Context, input: UpdateTenantSettings) -> Id:
    """Merge settings of a tenant."""
    if input.settings is not None and not isinstance(input.settings, dict):
        reason = "settings must be a JSON object"
        raise compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))
    tenant_id = await context.tenant_for(input.tenant_id)
    settings = cast("dict[str, Any]", input.settings or {})
    if PAUSED in settings:
        await _check_pause(context, tenant_id, settings[PAUSED])
    if not await context.shared.store.merge_tenant_settings(tenant_id, settings):
        raise compat.error_of(tenant_not_found(tenant_id))
    return Id(id=tenant_id)


async def _check_pause(context: Context, tenant_id: UUID, given: object) -> None:
    """Clients may send all settings back as they read them; a pause is written by its own mutations."""
    found = (await context.shared.store.tenants([tenant_id])).get(tenant_id)
    if found is not None and bool(given) != bool(found.settings.get(PAUSED)):
        reason = (
            f"settings.{PAUSED} is changed by pause_tenant_work_queue and resume_tenant_work_queue; leave it out"
            " here"
        )
        raise compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))


@dataclass
class PauseTenantWorkQueue:
    """`tenant_id` left out is the caller's tenant."""

    tenant_id: UUID | None = None


@mutation("pause_tenant_work_queue", camel=None)
async def pause_tenant_work_queue(context: Context, input: PauseTenantWorkQueue) -> Success:
    """Give no run of the tenant to agents until the queue is resumed. Runs that have begun go on."""
    tenant_id = await context.tenant_for(input.tenant_id)
    if not await context.shared.store.pause_work_queue(tenant_id):
        raise compat.error_of(tenant_not_found(tenant_id))
    return Success(success=True)


@mutation("resume_tenant_work_queue", camel=None)
async def resume_tenant_work_queue(context: Context, input: PauseTenantWorkQueue) -> Success:
    """Give runs to agents again: what waited goes out oldest first, so many a second."""
    tenant_id = await context.tenant_for(input.tenant_id)
    if not await context.shared.store.resume_work_queue(tenant_id):
        raise compat.error_of(tenant_not_found(tenant_id))
    await context.shared.bus.signal(subjects.SIG_RUN_DUE.at(tenant_id=tenant_id))
    return Success(success=True)


def _slug(slug: str) -> str:
    reason = slug_refusal(slug)
    if reason is not None:
        raise compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))
    return slug


def _id(made: UUID | Refused) -> Id:
    if isinstance(made, Refused):
        raise compat.error_of(made)
    return Id(id=made)
