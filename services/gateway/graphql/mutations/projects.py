"""Projects (reference/registration.md)."""

from dataclasses import dataclass
from uuid import UUID

from libs.contracts import registry
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import Id, IdAndSuccess, success_with_id


@dataclass
class CreateProject:
    """`tenant_id` is what Core >= 0.13 sends; older clients leave it to the credentials."""

    name: str
    description: str | None = None
    tenant_id: UUID | None = None


@mutation("create_project")
async def create_project(context: Context, input: CreateProject) -> Id:
    """Create a project. `Uniqueness violation.` when the tenant has one of this name."""
    reply = await context.ask(
        registry.CREATE_PROJECT,
        registry.CreateProject(
            tenant_id=await context.tenant_for(input.tenant_id),
            name=input.name,
            description=input.description,
        ),
    )
    return Id(id=reply.id)


@dataclass
class ProjectInput:
    """A project by its id."""

    project_id: UUID


@mutation("delete_project")
async def delete_project(context: Context, input: ProjectInput) -> IdAndSuccess:
    """Delete a project with its flows and all their runs."""
    reply = await context.ask(
        registry.DELETE_PROJECT,
        registry.DeleteProject(tenant_id=context.tenant_id, project_id=input.project_id),
    )
    return success_with_id("project", input.project_id, success=reply.success)


@dataclass
class SetProjectName:
    """A new name."""

    project_id: UUID
    name: str


@mutation("set_project_name")
async def set_project_name(context: Context, input: SetProjectName) -> Id:
    """Rename a project."""
    return await _update(context, input.project_id, {"name": input.name})


@dataclass
class SetProjectDescription:
    """A new description; null or left out clears it."""

    project_id: UUID
    description: str | None = None


@mutation("set_project_description")
async def set_project_description(context: Context, input: SetProjectDescription) -> Id:
    """Describe a project."""
    return await _update(context, input.project_id, {"description": input.description})


async def _update(context: Context, project_id: UUID, changes: dict[str, str | None]) -> Id:
    reply = await context.ask(
        registry.UPDATE_PROJECT,
        registry.UpdateProject(tenant_id=context.tenant_id, project_id=project_id, changes=changes),
    )
    return Id(id=reply.id or project_id)
