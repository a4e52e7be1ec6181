"""Cloud hooks: what is called when runs change state (reference/automations.md)."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, cast
from uuid import UUID

import strawberry

from libs.contracts import deliveries
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway import cloud_hooks, compat
from services.gateway.cloud_hooks import NAME_LIMIT, CloudHookType
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import Id, Success, success_of
from services.gateway.graphql.scalars import JSON
from services.gateway.reads.values import json_value
from services.gateway.store import CloudHookChanges, NewCloudHook

cloud_hook_type = strawberry.enum(
    CloudHookType, name="cloud_hook_type", description="What a cloud hook calls."
)


@strawberry.enum(
    name="test_cloud_hook_state_type", description="The state that a cloud hook is tried with."
)
class TriedState(Enum):
    """In the spelling of clients; the values are the names of the states."""

    SCHEDULED = "Scheduled"
    SUBMITTED = "Submitted"
    SUCCESS = "Success"
    RUNNING = "Running"
    FAILED = "Failed"


@dataclass
class CreateCloudHook:
    """`config` has the fields of its type: `url`; `to` (addresses with commas between them); `account_sid`,
    `auth_token`, `messaging_service_sid`, `to`; `api_token`, `routing_key`, `severity`. Null ones are as if left out.

    Without `version_group_id` it is for every flow. A hidden value that was read from here stands for what it hides.
    """

    type: CloudHookType
    states: list[str]
    config: JSON | None = None
    name: str | None = None
    version_group_id: str | None = None
    tenant_id: UUID | None = None


@mutation("create_cloud_hook", camel=None)
async def create_cloud_hook(context: Context, input: CreateCloudHook) -> Id:
    """Call something when runs enter one of these states. Exact states: FAILED does not mean TriggerFailed."""
    tenant_id = await context.tenant_for(input.tenant_id)
    _check_name(input.name)
    kind = CloudHookType(input.type)
    config = await _config(context, tenant_id, kind, input.config)
    made = await context.shared.store.create_cloud_hook(
        NewCloudHook(
            id=context.shared.ids(),
            tenant_id=tenant_id,
            name=input.name,
            type=kind,
            states=_states(input.states),
            config=config,
            version_group_id=input.version_group_id or None,
        )
    )
    if isinstance(made, Refused):
        raise compat.error_of(made)
    return Id(id=made)


@dataclass
class UpdateCloudHook:
    """What is left out or null stays; an empty `version_group_id` makes it one for every flow. Its type stays.

    `config` is a whole one. A hidden value that was read from this hook stays what it was.
    """

    cloud_hook_id: UUID
    name: str | None = None
    states: list[str] | None = None
    config: JSON | None = None
    version_group_id: str | None = None


@mutation("update_cloud_hook", camel=None)
async def update_cloud_hook(context: Context, input: UpdateCloudHook) -> Success:
    """Change a cloud hook in its place: no state change is missed in between, and a refusal leaves it as it was."""
    if all(
        each is None for each in (input.name, input.states, input.config, input.version_group_id)
    ):
        raise _invalid("update_cloud_hook: give one of name, states, config, version_group_id")
    _check_name(input.name)
    states = None if input.states is None else _states(input.states)
    store, tenant_id, hook_id = context.shared.store, context.tenant_id, input.cloud_hook_id
    hook = await store.cloud_hook(tenant_id, hook_id)
    if hook is None:
        return success_of("cloud hook", hook_id, success=False)
    kind, whole, shown = hook
    config = None
    if input.config is not None:
        if kind not in set(CloudHookType):
            raise _invalid(
                f"config: nothing sends cloud hooks of the type {kind}: make another one"
            )
        own = (whole, shown)
        config = await _config(context, tenant_id, CloudHookType(kind), input.config, own=own)
    changes = CloudHookChanges(
        name=input.name,
        states=states,
        config=config,
        version_group_id=input.version_group_id,
        seen=whole,
    )
    if await store.update_cloud_hook(tenant_id, hook_id, changes):
        return Success(success=True)
    if await store.has_cloud_hook(tenant_id, hook_id):
        error = (
            "Somebody else changed this cloud hook at the same time: read it, and change it again."
        )
        return Success(success=False, error=error)
    return success_of("cloud hook", hook_id, success=False)


def _check_name(name: str | None) -> None:
    if name is not None and len(name) > NAME_LIMIT:
        raise _invalid(f"name must be a text of at most {NAME_LIMIT} characters")


def _states(given: list[str]) -> list[str]:
    states = cloud_hooks.states_of(given)
    if isinstance(states, str):
        raise _invalid(states)
    return states


async def _config(
    context: Context,
    tenant_id: UUID,
    kind: CloudHookType,
    given: JSON | None,
    *,
    own: tuple[dict[str, Any], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """The whole configuration that is meant; `own` is that of the hook which is changed, and how it is shown."""
    config = cloud_hooks.without_nulls(cast("object", given))
    if isinstance(config, str):
        raise _invalid(config)
    if own is not None:
        config = cloud_hooks.kept(config, *own)
    if cloud_hooks.is_masked(config):
        known = await context.shared.store.cloud_hook_configs(tenant_id, kind)
        whole = cloud_hooks.unmasked(config, known)
        if isinstance(whole, str):
            raise _invalid(whole)
        config = whole
    fault = cloud_hooks.fault_of(kind, config)
    if fault is not None:
        raise _invalid(fault)
    # Raises for what PostgreSQL cannot keep.
    json_value(config)
    return config


@dataclass
class CloudHookInput:
    """A cloud hook by its id."""

    cloud_hook_id: UUID


@mutation("delete_cloud_hook", camel=None)
async def delete_cloud_hook(context: Context, input: CloudHookInput) -> Success:
    """Delete a cloud hook. What is still to be sent for it is not sent."""
    done = await context.shared.store.delete_cloud_hook(context.tenant_id, input.cloud_hook_id)
    return success_of("cloud hook", input.cloud_hook_id, success=done)


@mutation("set_cloud_hook_active", camel=None)
async def set_cloud_hook_active(context: Context, input: CloudHookInput) -> Success:
    """Switch a cloud hook on."""
    return await _switch(context, input.cloud_hook_id, active=True)


@mutation("set_cloud_hook_inactive", camel=None)
async def set_cloud_hook_inactive(context: Context, input: CloudHookInput) -> Success:
    """Switch a cloud hook off."""
    return await _switch(context, input.cloud_hook_id, active=False)


@dataclass
class TestCloudHook:
    """Without `flow_run_id` it is about an invented run. `state_type` left out is SUCCESS."""

    __test__ = False  # for pytest, which takes it for a class of tests

    cloud_hook_id: UUID
    flow_run_id: UUID | None = None
    state_type: TriedState | None = None


@mutation("test_cloud_hook", camel=None)
async def test_cloud_hook(context: Context, input: TestCloudHook) -> Success:
    """Send it now, once, on the way that deliveries take. `error` says what came of it."""
    if not await context.shared.store.has_cloud_hook(context.tenant_id, input.cloud_hook_id):
        return Success(
            success=False, error=f"Invalid ID: there is no cloud hook {input.cloud_hook_id}."
        )
    state = input.state_type or TriedState.SUCCESS
    answer = await context.answer(
        deliveries.TEST_CLOUD_HOOK,
        deliveries.TestCloudHook(
            tenant_id=context.tenant_id,
            cloud_hook_id=input.cloud_hook_id,
            state=state.value,
            flow_run_id=input.flow_run_id,
            user_id=context.identity.user_id,
        ),
    )
    if isinstance(answer, Refused):
        return Success(success=False, error=compat.error_of(answer).message)
    return Success(success=answer.succeeded, error=answer.error)


async def _switch(context: Context, hook_id: UUID, *, active: bool) -> Success:
    done = await context.shared.store.set_cloud_hook_active(
        context.tenant_id, hook_id, active=active
    )
    return success_of("cloud hook", hook_id, success=done)


def _invalid(reason: str) -> Exception:
    return compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))
