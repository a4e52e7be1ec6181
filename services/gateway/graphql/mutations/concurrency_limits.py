"""Concurrency limits: flow runs by label, task runs by tag (reference/runs.md).

Core's clients know limits of task tags, Cloud's web UI both kinds under names of its own; all are the same two tables.
"""

from dataclasses import dataclass
from uuid import UUID

from libs.contracts import runs
from libs.contracts.runs import RunKind
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import Id, Success, success_of


@dataclass
class LabelLimit:
    """At most `limit` flow runs with the label at once; not negative, and zero lets none start."""

    label: str
    limit: int


@dataclass
class TagLimit:
    """At most `limit` Running task runs with the tag."""

    tag: str
    limit: int


@dataclass
class NamedLimit:
    """The same, as the web UI names it."""

    name: str
    limit: int


@dataclass
class LimitInput:
    """A limit by its id."""

    limit_id: UUID


@mutation("update_flow_concurrency_limit", camel=None)
async def update_flow_concurrency_limit(context: Context, input: LabelLimit) -> Id:
    """Make or change the limit of a label."""
    return await _set(context, RunKind.FLOW_RUN, input.label, input.limit)


@mutation("delete_flow_concurrency_limit", camel=None)
async def delete_flow_concurrency_limit(context: Context, input: LimitInput) -> Success:
    """Lift the limit of a label."""
    return await _delete(context, RunKind.FLOW_RUN, input.limit_id)


@mutation("update_task_tag_limit")
async def update_task_tag_limit(context: Context, input: TagLimit) -> Id:
    """Make or change the limit of a task tag."""
    return await _set(context, RunKind.TASK_RUN, input.tag, input.limit)


@mutation("delete_task_tag_limit")
async def delete_task_tag_limit(context: Context, input: LimitInput) -> Success:
    """Lift the limit of a task tag."""
    return await _delete(context, RunKind.TASK_RUN, input.limit_id)


@mutation("update_task_concurrency_limit", camel=None)
async def update_task_concurrency_limit(context: Context, input: NamedLimit) -> Id:
    """Make or change the limit of a task tag."""
    return await _set(context, RunKind.TASK_RUN, input.name, input.limit)


@mutation("delete_task_concurrency_limit", camel=None)
async def delete_task_concurrency_limit(context: Context, input: LimitInput) -> Success:
    """Lift the limit of a task tag."""
    return await _delete(context, RunKind.TASK_RUN, input.limit_id)


async def _set(context: Context, kind: RunKind, name: str, limit: int) -> Id:
    reply = await context.ask(
        runs.SET_CONCURRENCY_LIMIT,
        runs.SetConcurrencyLimit(
            tenant_id=context.tenant_id, run_kind=kind, name=name, limit=limit
        ),
    )
    return Id(id=reply.id)


async def _delete(context: Context, kind: RunKind, limit_id: UUID) -> Success:
    reply = await context.ask(
        runs.DELETE_CONCURRENCY_LIMIT,
        runs.DeleteConcurrencyLimit(tenant_id=context.tenant_id, run_kind=kind, limit_id=limit_id),
    )
    return success_of("limit", limit_id, success=reply.success)
