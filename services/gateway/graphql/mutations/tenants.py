"""Tenants (backend.md section 1.2)."""

import re
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from libs.contracts import registry, runs
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway.context import Context
from services.gateway.graphql import compat
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import Id, Success
from services.gateway.graphql.scalars import JSON
from services.gateway.keys import Guard
from services.gateway.store import tenant_not_found

_SLUG_LIMIT = 255  # it is part of addresses
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass
class CreateTenant:
    """The slug is lowercase words joined by single hyphens."""

    name: str
    slug: str


@mutation("create_tenant", guard=Guard.ADMIN)
async def create_tenant(context: Context, input: CreateTenant) -> Id:
    """Create a tenant with a slug that no other has."""
    if not context.identity.any_tenant:
        raise compat.error_of(Refused(code=Code.FORBIDDEN))
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


@mutation("delete_tenant", guard=Guard.ADMIN)
async def delete_tenant(context: Context, input: DeleteTenant) -> Success:
    """Delete a tenant with everything in it. Cut short, it finishes when it is asked again."""
    if not input.confirm:
        raise compat.error_of(Refused(code=Code.NOT_CONFIRMED))
    if input.tenant_id != context.tenant_id and not context.identity.any_tenant:
        fields = {"field": "tenant_id"}
        raise compat.error_of(Refused(code=Code.TENANT_FORBIDDEN, fields=fields))
    if not await context.shared.tenants.exists(input.tenant_id):
        return Success(success=False)
    store, tenant_id = context.shared.store, input.tenant_id
    for project_id in await store.ids_of("registry.project", tenant_id):
        await context.ask(
            registry.DELETE_PROJECT,
            registry.DeleteProject(tenant_id=tenant_id, project_id=project_id),
        )
    for flow_group_id in await store.ids_of("registry.flow_group", tenant_id):
        await context.ask(
            registry.DELETE_FLOW_GROUP,
            registry.DeleteFlowGroup(tenant_id=tenant_id, flow_group_id=flow_group_id),
        )
    for agent_id in await store.ids_of("runs.agent", tenant_id):
        await context.ask(
            runs.DELETE_AGENT, runs.DeleteAgent(tenant_id=tenant_id, agent_id=agent_id)
        )
    await store.delete_tenant(tenant_id)
    context.shared.tenants.forget()
    return Success(success=True)


@dataclass
class UpdateTenantName:
    """A new name. `tenant_id` left out is the caller's tenant, as the web UI means it."""

    name: str
    tenant_id: UUID | None = None


@mutation("update_tenant_name", guard=Guard.ADMIN)
async def update_tenant_name(context: Context, input: UpdateTenantName) -> Id:
    """Rename a tenant."""
    tenant_id = await context.tenant_for(input.tenant_id)
    return _id(await context.shared.store.update_tenant(tenant_id, name=input.name, slug=None))


@dataclass
class UpdateTenantSlug:
    """A new slug. `tenant_id` left out is the caller's tenant, as the web UI means it."""

    slug: str
    tenant_id: UUID | None = None


@mutation("update_tenant_slug", guard=Guard.ADMIN)
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


@mutation("update_tenant_settings", guard=Guard.ADMIN)
async def update_tenant_settings(context: Context, input: UpdateTenantSettings) -> Id:
    """Merge settings of a tenant."""
    if input.settings is not None and not isinstance(input.settings, dict):
        reason = "settings must be a JSON object"
        raise compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))
    tenant_id = await context.tenant_for(input.tenant_id)
    settings = cast("dict[str, Any]", input.settings or {})
    if not await context.shared.store.merge_tenant_settings(tenant_id, settings):
        raise compat.error_of(tenant_not_found(tenant_id))
    return Id(id=tenant_id)


def _slug(slug: str) -> str:
    if not _SLUG.fullmatch(slug):
        raise compat.error_of(Refused(code=Code.SLUG_NOT_SLUGIFIED))
    if len(slug) > _SLUG_LIMIT:
        fields = {"reason": f"slug has {len(slug)} characters; at most {_SLUG_LIMIT} are taken"}
        raise compat.error_of(Refused(code=Code.INVALID, fields=fields))
    return slug


def _id(made: UUID | Refused) -> Id:
    if isinstance(made, Refused):
        raise compat.error_of(made)
    return Id(id=made)
