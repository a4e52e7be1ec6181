"""Task runs: getting or creating, naming, pinging, artifacts (reference/runs.md)."""

from dataclasses import dataclass
from uuid import UUID

from libs.contracts import runs, subjects
from libs.contracts.runs import RunKind
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import (
    Id,
    IdAndSuccess,
    Success,
    success_of,
    success_with_id,
)
from services.gateway.graphql.scalars import JSON


@dataclass
class TaskRunKey:
    """`map_index` null or left out means the unmapped run, -1."""

    flow_run_id: UUID
    task_id: UUID
    map_index: int | None = None


@dataclass(frozen=True, slots=True)
class TaskRunPayload:
    """The row as it is; Core 0.8-0.9 reads it below `task_run`."""

    id: UUID
    version: int
    state: str
    serialized_state: JSON


@mutation("get_or_create_task_run_info", camel=None, audited=False, reports=True)
async def get_or_create_task_run_info(context: Context, input: TaskRunKey) -> TaskRunPayload:
    """The task run of (flow run, task, map index), made if it is not there."""
    return await _get_or_create(context, input)


@mutation(
    "get_or_create_task_run",
    relations={"task_run": ("task_run", "id")},
    audited=False,
    reports=True,
)
async def get_or_create_task_run(context: Context, input: TaskRunKey) -> TaskRunPayload:
    """The same, as Core before 0.13.18 asks for it."""
    return await _get_or_create(context, input)


async def _get_or_create(context: Context, key: TaskRunKey) -> TaskRunPayload:
    reply = await context.ask(
        runs.GET_OR_CREATE_TASK_RUN,
        runs.GetOrCreateTaskRun(
            tenant_id=context.tenant_id,
            flow_run_id=key.flow_run_id,
            task_id=key.task_id,
            map_index=-1 if key.map_index is None else key.map_index,
        ),
    )
    return TaskRunPayload(
        id=reply.id,
        version=reply.version,
        state=reply.state,
        serialized_state=JSON(reply.serialized_state),
    )


@dataclass
class SetTaskRunName:
    """A name that is not empty."""

    task_run_id: UUID
    name: str


@mutation("set_task_run_name", audited=False, reports=True)
async def set_task_run_name(context: Context, input: SetTaskRunName) -> Success:
    """Rename a task run."""
    reply = await context.ask(
        runs.UPDATE_RUN,
        runs.UpdateRun(
            tenant_id=context.tenant_id,
            run_kind=RunKind.TASK_RUN,
            run_id=input.task_run_id,
            name=input.name,
        ),
    )
    return success_of("task run", input.task_run_id, success=reply.success)


@dataclass
class TaskRunInput:
    """A task run by its id."""

    task_run_id: UUID


@mutation("update_task_run_heartbeat", audited=False, reports=True)
async def update_task_run_heartbeat(context: Context, input: TaskRunInput) -> Success:
    """A task's sign of life (Core <= 0.15.3); shown, never judged. Always true."""
    await context.shared.bus.signal(
        subjects.SIG_TASK_BEAT.at(tenant_id=context.tenant_id, task_run_id=input.task_run_id)
    )
    return Success(success=True)


@dataclass
class CreateArtifact:
    """`kind` is `link` or `markdown`; `data` holds at most 1,000,000 bytes of JSON."""

    task_run_id: UUID
    kind: str
    data: JSON
    tenant_id: UUID | None = None


@mutation("create_task_run_artifact", audited=False, reports=True)
async def create_task_run_artifact(context: Context, input: CreateArtifact) -> Id:
    """Leave a link or a piece of markdown on a task run."""
    reply = await context.ask(
        runs.WRITE_ARTIFACT,
        runs.WriteArtifact(
            tenant_id=await context.tenant_for(input.tenant_id),
            task_run_id=input.task_run_id,
            artifact_kind=input.kind,
            data=input.data,
        ),
    )
    return Id(id=reply.id)


@dataclass
class UpdateArtifact:
    """Replaces the artifact's data."""

    task_run_artifact_id: UUID
    data: JSON


@mutation("update_task_run_artifact", audited=False, reports=True)
async def update_task_run_artifact(context: Context, input: UpdateArtifact) -> IdAndSuccess:
    """Replace an artifact."""
    reply = await context.ask(
        runs.WRITE_ARTIFACT,
        runs.WriteArtifact(
            tenant_id=context.tenant_id, artifact_id=input.task_run_artifact_id, data=input.data
        ),
    )
    return success_with_id("artifact", input.task_run_artifact_id, success=reply.success)


@dataclass
class ArtifactInput:
    """An artifact by its id."""

    task_run_artifact_id: UUID


@mutation("delete_task_run_artifact", audited=False)
async def delete_task_run_artifact(context: Context, input: ArtifactInput) -> Success:
    """Delete an artifact."""
    reply = await context.ask(
        runs.WRITE_ARTIFACT,
        runs.WriteArtifact(tenant_id=context.tenant_id, artifact_id=input.task_run_artifact_id),
    )
    return success_of("artifact", input.task_run_artifact_id, success=reply.success)
