"""Agents and the queue (reference/runs.md)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.contracts import agent_configs, runs
from libs.contracts.base import JsonObject, Refused
from libs.contracts.errors import Code
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import Id, Success, success_of
from services.gateway.graphql.scalars import JSON


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
class CreateAgentConfig:
    """Settings that agents fetch by id; `tenant_id` null is the tenant of the credentials."""

    tenant_id: UUID | None = None
    name: str | None = None
    settings: JSON | None = None


@mutation("create_agent_config")
async def create_agent_config(context: Context, input: CreateAgentConfig) -> Id:
    """Make settings that agents share: `prefect agent ... --agent-config-id`."""
    reply = await context.ask(
        agent_configs.CREATE_AGENT_CONFIG,
        agent_configs.CreateAgentConfig(
            tenant_id=await context.tenant_for(input.tenant_id),
            name=input.name,
            settings=_object_of("settings", input.settings),
        ),
    )
    return Id(id=reply.id)


@dataclass
class UpdateAgentConfig:
    """What is left out stays."""

    agent_config_id: UUID
    name: str | None = None
    settings: JSON | None = None


@mutation("update_agent_config")
async def update_agent_config(context: Context, input: UpdateAgentConfig) -> Success:
    """Replace the name or the settings; agents fetch them at their next start."""
    reply = await context.ask(
        agent_configs.UPDATE_AGENT_CONFIG,
        agent_configs.UpdateAgentConfig(
            tenant_id=context.tenant_id,
            agent_config_id=input.agent_config_id,
            name=input.name,
            settings=_object_of("settings", input.settings),
        ),
    )
    return success_of("agent config", input.agent_config_id, success=reply.success)


@dataclass
class AgentConfigInput:
    """An agent config by its id."""

    agent_config_id: UUID


@mutation("delete_agent_config")
async def delete_agent_config(context: Context, input: AgentConfigInput) -> Success:
    """Delete settings that no agent uses any more."""
    reply = await context.ask(
        agent_configs.DELETE_AGENT_CONFIG,
        agent_configs.DeleteAgentConfig(
            tenant_id=context.tenant_id, agent_config_id=input.agent_config_id
        ),
    )
    return success_of("agent config", input.agent_config_id, success=reply.success)


def _object_of(field: str, value: Any) -> JsonObject | None:
    if value is not None and not isinstance(value, dict):
        reason = f"{field} must be an object"
        raise compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))
    return value


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
