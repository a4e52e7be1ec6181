"""Projects."""

from libs.contracts.base import Applied, Refused
from libs.contracts.errors import Code
from libs.contracts.registry import (
    CreateProject,
    DeleteProject,
    ProjectChanged,
    ProjectCreated,
    ProjectDeleted,
    UpdateProject,
)
from services.registry import project_store, store
from services.registry.domain import registration
from services.registry.domain.documents import invalid
from services.registry.handlers.deletion import delete_flows_and
from services.registry.unit_of_work import NOT_FOUND, UnitsOfWork


class Projects:
    """The verbs on projects."""

    def __init__(self, units: UnitsOfWork) -> None:
        self._units = units

    async def create_project(self, command: CreateProject) -> Applied | Refused:
        """Make a project."""
        if refused := registration.project_name_refusal(command.name):
            return refused
        if refused := registration.text_refusal(("description", command.description, None)):
            return refused
        async with self._units.begin(command.tenant_id) as work:
            if not await project_store.has_tenant(work.connection, work.tenant_id):
                fields = {"tenant_id": str(work.tenant_id)}
                return Refused(code=Code.TENANT_NOT_FOUND, fields=fields)
            project_id = work.ids()
            if not await project_store.insert_project(
                work.connection,
                work.tenant_id,
                project_id,
                name=command.name,
                description=command.description,
            ):
                return Refused(code=Code.UNIQUENESS_VIOLATION)
            work.record(ProjectCreated, project_id=project_id)
        return Applied(id=project_id)

    async def update_project(self, command: UpdateProject) -> Applied | Refused:
        """Rename or describe a project."""
        if unknown := set(command.changes) - {"name", "description"}:
            return invalid(f"{min(unknown)}: a project has no such field")
        if "name" in command.changes and (
            refused := registration.project_name_refusal(command.changes["name"])
        ):
            return refused
        text = ("description", command.changes.get("description"), None)
        if refused := registration.text_refusal(text):
            return refused
        try:
            async with self._units.begin(command.tenant_id) as work:
                if not await project_store.update_project(
                    work.connection, work.tenant_id, command.project_id, command.changes
                ):
                    fields = {"project_id": str(command.project_id)}
                    return Refused(code=Code.UPDATE_FAILED, fields=fields)
                work.record(ProjectChanged, project_id=command.project_id)
        except project_store.UniqueViolation:
            fields = {"name": str(command.changes["name"])}
            return Refused(code=Code.PROJECT_NAME_TAKEN, fields=fields)
        return Applied(id=command.project_id)

    async def delete_project(self, command: DeleteProject) -> Applied | Refused:
        """Delete a project with its flows. Groups stay, with their settings and version numbers."""
        async with self._units.begin(command.tenant_id) as work:
            if not await project_store.has_project(
                work.connection, work.tenant_id, command.project_id
            ):
                return NOT_FOUND
        return await delete_flows_and(
            self._units,
            command.tenant_id,
            command.project_id,
            some_flows=lambda work: store.delete_some_flows(
                work.connection, work.tenant_id, of_project=command.project_id
            ),
            last=lambda work: project_store.delete_empty_project(
                work.connection, work.tenant_id, command.project_id
            ),
            gone=(ProjectDeleted, {"project_id": command.project_id}),
            still_there=lambda work: project_store.has_project(
                work.connection, work.tenant_id, command.project_id
            ),
        )
