"""Flow runs: creating, cancelling, naming, deleting, pinging (reference/runs.md)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from libs.contracts import runs, subjects
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.runs import RunKind
from libs.runtime import metrics
from libs.runtime.failures import is_outage
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import (
    IdAndSuccess,
    Success,
    success_of,
    success_with_id,
)
from services.gateway.graphql.scalars import JSON
from services.gateway.lease_checks import LeaseClaim


@dataclass
class CreateFlowRun:
    """One of `flow_id` and `version_group_id` is needed; `flow_id` wins."""

    flow_id: UUID | None = None
    version_group_id: str | None = None
    parameters: JSON | None = None
    labels: list[str] | None = None
    run_config: JSON | None = None
    context: JSON | None = None
    scheduled_start_time: datetime | None = None
    idempotency_key: str | None = None
    flow_run_name: str | None = None


@dataclass(frozen=True, slots=True)
class FlowRunPayload:
    """`{id}`; Core 0.8-0.9 reads `{flow_run{id}}`."""

    id: UUID | None


@mutation("create_flow_run", relations={"flow_run": ("flow_run", "id")}, audited=False)
async def create_flow_run(context: Context, input: CreateFlowRun) -> FlowRunPayload:
    """Create a run in state Scheduled; the same idempotency key names the same run for ever."""
    reply = await context.ask(
        runs.CREATE_FLOW_RUN,
        runs.CreateFlowRun(
            tenant_id=context.tenant_id,
            flow_id=input.flow_id,
            version_group_id=input.version_group_id,
            parameters=_object(input.parameters, "parameters"),
            labels=input.labels,
            run_config=_object(input.run_config, "run_config"),
            context=_object(input.context, "context"),
            scheduled_start_time=input.scheduled_start_time,
            idempotency_key=input.idempotency_key,
            flow_run_name=input.flow_run_name,
            created_by=context.identity.user_id,
        ),
    )
    return FlowRunPayload(id=reply.id)


def _object(value: object, name: str) -> dict[str, Any] | None:
    if value is None or isinstance(value, dict):
        return cast("dict[str, Any] | None", value)
    reason = f"{name} must be a JSON object, not {type(value).__name__}"
    raise compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))


@dataclass
class FlowRunInput:
    """A flow run by its id."""

    flow_run_id: UUID


@dataclass(frozen=True, slots=True)
class CancelPayload:
    """The state that the run is in now."""

    state: str
    id: UUID | None = None


@mutation("cancel_flow_run", audited=False)
async def cancel_flow_run(context: Context, input: FlowRunInput) -> CancelPayload:
    """Cancel a run: what works becomes Cancelling, what waits Cancelled, what is finished stays."""
    reply = await context.ask(
        runs.CANCEL_FLOW_RUN,
        runs.CancelFlowRun(
            tenant_id=context.tenant_id, flow_run_id=input.flow_run_id, actor=context.actor_id
        ),
    )
    return CancelPayload(state=reply.state, id=reply.id)


@mutation("delete_flow_run")
async def delete_flow_run(context: Context, input: FlowRunInput) -> IdAndSuccess:
    """Delete a run with its task runs, histories, logs and artifacts."""
    reply = await context.ask(
        runs.DELETE_FLOW_RUN,
        runs.DeleteFlowRun(tenant_id=context.tenant_id, flow_run_id=input.flow_run_id),
    )
    return success_with_id("flow run", input.flow_run_id, success=reply.success)


@dataclass
class SetFlowRunLabels:
    """The labels replace those of the run."""

    flow_run_id: UUID
    labels: list[str]


@mutation("set_flow_run_labels", audited=False)
async def set_flow_run_labels(context: Context, input: SetFlowRunLabels) -> Success:
    """Set a run's labels."""
    return await _update(context, input.flow_run_id, labels=input.labels)


@dataclass
class SetFlowRunName:
    """A name that is not empty."""

    flow_run_id: UUID
    name: str


@mutation("set_flow_run_name", audited=False, reports=True)
async def set_flow_run_name(context: Context, input: SetFlowRunName) -> Success:
    """Rename a run."""
    return await _update(context, input.flow_run_id, name=input.name)


async def _update(
    context: Context, run_id: UUID, *, name: str | None = None, labels: list[str] | None = None
) -> Success:
    reply = await context.ask(
        runs.UPDATE_RUN,
        runs.UpdateRun(
            tenant_id=context.tenant_id,
            run_kind=RunKind.FLOW_RUN,
            run_id=run_id,
            name=name,
            labels=labels,
        ),
    )
    return success_of("flow run", run_id, success=reply.success)


async def _is_fenced(context: Context, run_id: UUID) -> bool:
    """Whether the caller's process has lost this run: its ping must not vouch for the attempt that has it now.

    Asked of leased processes only, for the others carry no token. When PostgreSQL does not say, the ping counts:
    a wrong one is a delay of one silence, a missing one costs a run its life.
    """
    lease = context.lease
    if lease is None or lease.flow_run_id != run_id:
        return False
    try:
        return not await context.shared.leases.holds(
            LeaseClaim(context.tenant_id, run_id, lease.token)
        )
    except Exception as error:
        if not is_outage(error):
            raise
        return False


@mutation("update_flow_run_heartbeat", audited=False, reports=True)
async def update_flow_run_heartbeat(context: Context, input: FlowRunInput) -> Success:
    """A sign of life. Always true, for unknown and finished runs too: orphaned pingers must stay harmless."""
    if await _is_fenced(context, input.flow_run_id):
        return Success(success=True)
    subject = subjects.BEAT.at(tenant_id=context.tenant_id, flow_run_id=input.flow_run_id)
    await context.shared.bus.client.publish(subject)
    metrics.PINGS_ACCEPTED.inc()
    return Success(success=True)
