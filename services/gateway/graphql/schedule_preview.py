"""The next instants of clocks that need not be saved, with the reason why they are refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import strawberry

from libs.contracts import registry, scheduler
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql.scalars import JSON

MOST = 100


@strawberry.input(name="preview_clock_input")
@dataclass
class PreviewClock:
    """A clock as `set_flow_group_schedule` takes it: with one of cron, interval (in seconds), rrule and dates."""

    cron: str | None = None
    interval: int | None = None
    rrule: str | None = None
    dates: list[str] | None = None
    parameter_defaults: JSON | None = None
    labels: list[str] | None = None
    timezone: str | None = None
    start_date: str | None = None


_KINDS = ("cron", "interval", "rrule", "dates")


@strawberry.type(name="schedule_instant")
@dataclass
class ScheduleInstant:
    """A run that would be made; `local` is its time on the wall clock of its clock's zone."""

    start_time: datetime
    local: str
    parameters: JSON
    labels: list[str] | None


@strawberry.type(name="schedule_preview")
@dataclass
class SchedulePreview:
    """The instants, or the reason why the schedule is refused, as its mutation would say it."""

    instants: list[ScheduleInstant]
    reason: str | None


async def preview(
    context: Context,
    clocks: Sequence[PreviewClock],
    *,
    timezone: str | None,
    count: int,
    after: datetime | None,
) -> SchedulePreview:
    """Ask the registry whether the clocks can be stored, and the scheduler what they yield."""
    if not 1 <= count <= MOST:
        reason = f"count: 1 to {MOST} instants can be asked for, not {count}"
        return SchedulePreview(instants=[], reason=reason)
    asked: dict[str, Any] = {"timezone": timezone}
    for number, clock in enumerate(clocks, start=1):
        kinds = [kind for kind in _KINDS if getattr(clock, kind) is not None]
        if len(kinds) != 1:
            reason = (
                f"clocks: clock {number} must have exactly one of cron, interval, rrule and dates"
            )
            return SchedulePreview(instants=[], reason=reason)
        asked.setdefault(f"{kinds[0]}_clocks", []).append(vars(clock))
    checked = await context.answer(
        registry.CHECK_SCHEDULE, registry.CheckSchedule(tenant_id=context.tenant_id, asked=asked)
    )
    if isinstance(checked, Refused):
        return _refused(checked)
    found = await context.answer(
        scheduler.PREVIEW_SCHEDULE,
        scheduler.PreviewSchedule(schedule=checked.schedule, count=count, after=after),
    )
    if isinstance(found, Refused):
        return _refused(found)
    return SchedulePreview(
        instants=[
            ScheduleInstant(
                start_time=instant.start_time,
                local=instant.local,
                parameters=JSON(instant.parameters),
                labels=instant.labels,
            )
            for instant in found.instants
        ],
        reason=None,
    )


_ABOUT_THE_SCHEDULE = (Code.INVALID, Code.CLOCK_INVALID, Code.TIMEZONE_INVALID)


def _refused(refused: Refused) -> SchedulePreview:
    error = compat.error_of(refused)
    if refused.code not in _ABOUT_THE_SCHEDULE:  # a service is away
        raise error
    return SchedulePreview(instants=[], reason=error.message)
