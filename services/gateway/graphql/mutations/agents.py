"""Agents and the queue (reference/runs.md)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.contracts import runs
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import Id, Success, success_of


@dataclass
class RegisterAgent:
    """Any of the nullable fields may be null; `tenant_id` null is the tenant of the credentials."""

    type: str
    name: str | None = None
    labels: list[str] | None = None
    tenant_id: UUID | None = None
    agent_config_id: UUID | None = None


@mutation("register_agent", audited=False)
async def register_agent(context: Context, input: RegisterAgent) -> Id:
    """Register an agent, or find it again by name, type, core version and labels."""
    reply = await context.ask(
        runs.REGISTER_AGENT,
        runs.RegisterAgent(
            tenant_id=await context.tenant_for(input.tenant_id),
            type=input.type,
            name=input.name,
            labels=input.labels or [],
            core_version=context.core_version,
            agent_config_id=input.agent_config_id,
        ),
    )
    return Id(id=reply.id)


@dataclass
class AgentInput:
    """An agent by its id."""

    agent_id: UUID


@mutation("delete_agent")
async def delete_agent(context: Context, input: AgentInput) -> Success:
    """Forget an agent."""
    reply = await context.ask(
        runs.DELETE_AGENT,
        runs.DeleteAgent(tenant_id=context.tenant_id, agent_id=input.agent_id),
    )
    return success_of("agent", input.agent_id, success=reply.success)


@dataclass
class GetRunsInQueue:
    """`before` is now when left out; Core >= 0.14.20 asks ten seconds ahead."""

    tenant_id: UUID | None = None
    before: datetime | None = None
    labels: list[str] | None = None


@dataclass(frozen=True, slots=True)
class QueuePayload:
    """Ids of due runs, oldest first."""

    flow_run_ids: list[str]


@mutation("get_runs_in_queue", audited=False)
async def get_runs_in_queue(context: Context, input: GetRunsInQueue) -> QueuePayload:
    """Due runs whose labels the agent has; also the agent's sign of life."""
    reply = await context.ask(
        runs.GET_RUNS_IN_QUEUE,
        runs.GetRunsInQueue(
            tenant_id=await context.tenant_for(input.tenant_id),
            labels=input.labels or [],
            before=input.before,
            agent_id=context.agent_id,
            limit=context.shared.settings.queue_limit,
        ),
    )
    return QueuePayload(flow_run_ids=[str(run_id) for run_id in reply.flow_run_ids])
