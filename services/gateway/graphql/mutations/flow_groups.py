"""Flow groups: what overrides all versions of a flow (reference/registration.md)."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from libs.contracts import registry
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import Success, success_of
from services.gateway.graphql.scalars import JSON


@dataclass
class FlowGroupInput:
    """A flow group by its id."""

    flow_group_id: UUID


@mutation("delete_flow_group")
async def delete_flow_group(context: Context, input: FlowGroupInput) -> Success:
    """Delete a group with all versions and their runs."""
    reply = await context.ask(
        registry.DELETE_FLOW_GROUP,
        registry.DeleteFlowGroup(tenant_id=context.tenant_id, flow_group_id=input.flow_group_id),
    )
    return success_of("flow group", input.flow_group_id, success=reply.success)


@dataclass
class SetDefaultParameters:
    """Replaces all default parameters."""

    flow_group_id: UUID
    parameters: JSON


@mutation("set_flow_group_default_parameters")
async def set_flow_group_default_parameters(
    context: Context, input: SetDefaultParameters
) -> Success:
    """Set the parameters that runs of the group start from."""
    return await _update(context, input.flow_group_id, {"default_parameters": input.parameters})


@dataclass
class SetLabels:
    """null: the versions' own labels apply; an empty list: no labels."""

    flow_group_id: UUID
    labels: list[str] | None = None


@mutation("set_flow_group_labels")
async def set_flow_group_labels(context: Context, input: SetLabels) -> Success:
    """Override the labels of the group's runs."""
    return await _update(context, input.flow_group_id, {"labels": input.labels})


@dataclass
class SetDescription:
    """null clears it."""

    flow_group_id: UUID
    description: str | None = None


@mutation("set_flow_group_description")
async def set_flow_group_description(context: Context, input: SetDescription) -> Success:
    """Describe the group."""
    return await _update(context, input.flow_group_id, {"description": input.description})


@dataclass
class SetRunConfig:
    """null: the versions' own run configs apply."""

    flow_group_id: UUID
    run_config: JSON | None = None


@mutation("set_flow_group_run_config")
async def set_flow_group_run_config(context: Context, input: SetRunConfig) -> Success:
    """Override the run config of the group's runs."""
    return await _update(context, input.flow_group_id, {"run_config": input.run_config})


@dataclass
class CronClock:
    """A cron expression with the parameters and labels of its runs."""

    cron: str
    parameter_defaults: JSON | None = None
    labels: list[str] | None = None
    timezone: str | None = None
    start_date: str | None = None


@dataclass
class IntervalClock:
    """An interval in seconds (at least 60) with the parameters and labels of its runs."""

    interval: int
    parameter_defaults: JSON | None = None
    labels: list[str] | None = None
    timezone: str | None = None
    start_date: str | None = None


@dataclass
class RRuleClock:
    """A recurrence rule as iCalendar writes it (`FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9`); from today on by default."""

    rrule: str
    parameter_defaults: JSON | None = None
    labels: list[str] | None = None
    timezone: str | None = None
    start_date: str | None = None


@dataclass
class DatesClock:
    """Dates and times in ISO 8601; those without an offset are in the zone."""

    dates: list[str]
    parameter_defaults: JSON | None = None
    labels: list[str] | None = None
    timezone: str | None = None


@dataclass
class SetSchedule:
    """Replaces the group's schedule; clocks follow the wall clock of `timezone`, or of their own."""

    flow_group_id: UUID
    cron_clocks: list[CronClock] | None = None
    interval_clocks: list[IntervalClock] | None = None
    rrule_clocks: list[RRuleClock] | None = None
    dates_clocks: list[DatesClock] | None = None
    timezone: str | None = None


@mutation("set_flow_group_schedule")
async def set_flow_group_schedule(context: Context, input: SetSchedule) -> Success:
    """Override the schedule of all versions of the group."""
    schedule: dict[str, Any] = {
        "cron_clocks": [vars(clock) for clock in input.cron_clocks or []],
        "interval_clocks": [vars(clock) for clock in input.interval_clocks or []],
        "rrule_clocks": [vars(clock) for clock in input.rrule_clocks or []],
        "dates_clocks": [vars(clock) for clock in input.dates_clocks or []],
        "timezone": input.timezone,
    }
    return await _update(context, input.flow_group_id, {"schedule": schedule})


@mutation("delete_flow_group_schedule")
async def delete_flow_group_schedule(context: Context, input: FlowGroupInput) -> Success:
    """Let the versions' own schedules apply again."""
    return await _update(context, input.flow_group_id, {"schedule": None})


async def _update(context: Context, flow_group_id: UUID, changes: dict[str, Any]) -> Success:
    reply = await context.ask(
        registry.UPDATE_FLOW_GROUP,
        registry.UpdateFlowGroup(
            tenant_id=context.tenant_id, flow_group_id=flow_group_id, changes=changes
        ),
    )
    return success_of("flow group", flow_group_id, success=reply.success)
