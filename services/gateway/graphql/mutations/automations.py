"""Hooks, actions and SLAs, as Cloud's web UI and scripts make them (reference/automations.md)."""

import base64
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from graphql import GraphQLError

from libs.contracts import automations
from libs.contracts.automations import EventType, SlaKind
from libs.contracts.base import JsonObject, Refused
from libs.contracts.errors import Code
from services.gateway import compat
from services.gateway.action_secrets import named_secrets, sealed_name, without_address
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.action_configs import ActionConfig, document
from services.gateway.graphql.mutations.payloads import Id, Success, success_of
from services.gateway.graphql.scalars import JSON, SlaKindName


@dataclass
class CreateAction:
    """`name` need not be unique."""

    config: ActionConfig
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ActionPayload:
    """`warning` names variables in its templates that no event has: they stay as they are written."""

    id: UUID
    warning: str | None = None


@mutation("create_action", camel=None)
async def create_action(context: Context, input: CreateAction) -> ActionPayload:
    """Make an action, for hooks to name."""
    config = document(input.config)
    await _require_secrets(context, config)
    config, address = without_address(config)
    action_id = context.shared.ids()
    sealed = None
    if address is not None:
        name = sealed_name(action_id)
        sealed = base64.b64encode(context.shared.vault.seal(address, context.tenant_id, name))
    reply = await context.ask(
        automations.CREATE_ACTION,
        automations.CreateAction(
            tenant_id=context.tenant_id,
            action_id=action_id,
            name=input.name,
            config=config,
            sealed=None if sealed is None else sealed.decode(),
            created_by=context.creator_id,
        ),
    )
    warning = None
    if reply.unknown_names:
        names = ", ".join(f"{{{name}}}" for name in reply.unknown_names)
        warning = f"No event has these variables, so they stay as they are written: {names}"
    return ActionPayload(id=reply.id, warning=warning)


@dataclass
class ActionInput:
    """An action by its id."""

    action_id: UUID


@mutation("delete_action", camel=None)
async def delete_action(context: Context, input: ActionInput) -> Success:
    """Delete an action with its hooks."""
    reply = await context.ask(
        automations.DELETE_ACTION,
        automations.DeleteAction(tenant_id=context.tenant_id, action_id=input.action_id),
    )
    return success_of("action", input.action_id, success=reply.success)


@dataclass
class StateHook:
    """`states` are compared without regard to case; without `flow_group_ids` every flow counts."""

    action_id: UUID
    states: list[str]
    flow_group_ids: list[UUID] | None = None
    name: str | None = None
    conditions: JSON | None = None
    throttle: JSON | None = None


@mutation("create_flow_run_state_changed_hook", camel=None)
async def create_flow_run_state_changed_hook(context: Context, input: StateHook) -> Id:
    """Do something each time a run enters one of these states."""
    tags = {
        "state": input.states,
        "flow_group_id": [str(each) for each in input.flow_group_ids or ()],
    }
    return await _create_hook(context, input, EventType.STATE_CHANGED, tags)


@dataclass
class FlowSlaHook:
    """SLA configs by their ids."""

    action_id: UUID
    sla_config_ids: list[UUID] | None = None
    name: str | None = None
    conditions: JSON | None = None
    throttle: JSON | None = None


@mutation("create_flow_sla_failed_hook", camel=None)
async def create_flow_sla_failed_hook(context: Context, input: FlowSlaHook) -> Id:
    """Do something when a run breaks one of these SLAs."""
    tags = {"flow_sla_config_id": [str(each) for each in input.sla_config_ids or ()]}
    return await _create_hook(context, input, EventType.FLOW_SLA_FAILED, tags)


@dataclass
class AgentSlaHook:
    """Agent configs by their ids."""

    action_id: UUID
    agent_config_ids: list[UUID] | None = None
    name: str | None = None
    throttle: JSON | None = None


@mutation("create_agent_sla_failed_hook", camel=None)
async def create_agent_sla_failed_hook(context: Context, input: AgentSlaHook) -> Id:
    """Do something when no agent of one of these configs asks for work any more."""
    tags = {"agent_config_id": [str(each) for each in input.agent_config_ids or ()]}
    return await _create_hook(context, input, EventType.AGENT_SLA_FAILED, tags)


async def _create_hook(
    context: Context,
    input: StateHook | FlowSlaHook | AgentSlaHook,
    event_type: EventType,
    tags: dict[str, list[str]],
) -> Id:
    reply = await context.ask(
        automations.CREATE_HOOK,
        automations.CreateHook(
            tenant_id=context.tenant_id,
            action_id=input.action_id,
            event_type=event_type,
            event_tags=tags,
            name=input.name,
            conditions=_object("conditions", getattr(input, "conditions", None)),
            throttle=_object("throttle", input.throttle),
            created_by=context.creator_id,
        ),
    )
    return Id(id=reply.id)


@dataclass
class UpdateHook:
    """What is left out or null stays; an empty object takes the conditions, or the throttle, away."""

    hook_id: UUID
    name: str | None = None
    is_active: bool | None = None
    conditions: JSON | None = None
    throttle: JSON | None = None


@mutation("update_hook", camel=None)
async def update_hook(context: Context, input: UpdateHook) -> Success:
    """Name a hook, switch it on or off, or set its conditions or its throttle."""
    changes: JsonObject = {
        name: value
        for name, value in (("name", input.name), ("is_active", input.is_active))
        if value is not None
    }
    if input.conditions is not None:
        changes["conditions"] = _object("conditions", input.conditions)
    if input.throttle is not None:
        changes["throttle"] = _object("throttle", input.throttle)
    reply = await context.ask(
        automations.UPDATE_HOOK,
        automations.UpdateHook(tenant_id=context.tenant_id, hook_id=input.hook_id, changes=changes),
    )
    return success_of("hook", input.hook_id, success=reply.success)


@dataclass
class HookInput:
    """A hook by its id."""

    hook_id: UUID


@mutation("delete_hook", camel=None)
async def delete_hook(context: Context, input: HookInput) -> Success:
    """Delete a hook; its action stays."""
    reply = await context.ask(
        automations.DELETE_HOOK,
        automations.DeleteHook(tenant_id=context.tenant_id, hook_id=input.hook_id),
    )
    return success_of("hook", input.hook_id, success=reply.success)


@dataclass
class CreateSlaConfig:
    """`kind` is SCHEDULED_NOT_STARTED (since the scheduled start) or STARTED_NOT_FINISHED (since the start)."""

    kind: SlaKindName
    duration_seconds: int


@mutation("create_flow_sla_config", camel=None)
async def create_flow_sla_config(context: Context, input: CreateSlaConfig) -> Id:
    """Promise that runs start, or finish, in so many seconds; create_flow_group_sla says whose."""
    try:
        kind = SlaKind(input.kind)
    except ValueError:
        kinds = " or ".join(SlaKind)
        raise _invalid(f"kind must be {kinds}, not {input.kind!r}") from None
    reply = await context.ask(
        automations.CREATE_FLOW_SLA_CONFIG,
        automations.CreateFlowSlaConfig(
            tenant_id=context.tenant_id, sla_kind=kind, duration_seconds=input.duration_seconds
        ),
    )
    return Id(id=reply.id)


@dataclass
class GroupSla:
    """An SLA config and a flow group by their ids."""

    flow_sla_config_id: UUID
    flow_group_id: UUID


@mutation("create_flow_group_sla", camel=None)
async def create_flow_group_sla(context: Context, input: GroupSla) -> Id:
    """Let an SLA hold for the runs of a flow group, from now on."""
    reply = await context.ask(
        automations.CREATE_FLOW_GROUP_SLA,
        automations.CreateFlowGroupSla(
            tenant_id=context.tenant_id,
            flow_sla_config_id=input.flow_sla_config_id,
            flow_group_id=input.flow_group_id,
        ),
    )
    return Id(id=reply.id)


async def _require_secrets(context: Context, config: JsonObject) -> None:
    """Raise for the name of a secret that the tenant does not have: it would fail when something happens."""
    wanted = named_secrets(config)
    if not wanted:
        return
    known = set(await context.shared.store.secret_names(context.tenant_id))
    for path, name in wanted.items():
        if name not in known:
            raise _invalid(
                f"{path}: this tenant has no secret {name!r}; set it first (set_secret), or choose one of secret_names"
            )


def _object(field: str, value: Any) -> JsonObject | None:
    if value is not None and not isinstance(value, dict):
        raise _invalid(f"{field} must be an object")
    return value


def _invalid(reason: str) -> GraphQLError:
    return compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))
