"""The scheduler's subscriptions: the registry's events about flows, and requests for a preview."""

from libs.contracts import registry, scheduler, streams
from libs.contracts.base import Refused
from libs.contracts.registry import FlowEvent
from libs.runtime.bus import Router
from libs.runtime.clock import Clock
from libs.runtime.loop import Loop
from services.scheduler.planner import Planner
from services.scheduler.preview import preview

FLOWS = streams.durable("scheduler__flows")

FLOW_EVENTS: tuple[type[FlowEvent], ...] = (
    registry.FlowRegistered,
    registry.FlowPieceRegistered,
    registry.FlowArchived,
    registry.FlowUnarchived,
    registry.FlowScheduleChanged,
    registry.FlowDeleted,
)
"""The others change no schedule."""


def router(service: str, planner: Planner, ticks: Loop, clock: Clock) -> Router:
    """A message makes the next tick come at once."""
    router = Router(service)
    router.publishes(streams.WORK)

    @router.durable(FLOWS, streams.EVENTS, {event.subject: event for event in FLOW_EVENTS})
    async def on_flow_event(event: FlowEvent) -> None:
        await planner.on_flow_event(event)
        ticks.poke()

    @router.verb(scheduler.PREVIEW_SCHEDULE)
    async def preview_schedule(
        command: scheduler.PreviewSchedule,
    ) -> scheduler.Instants | Refused:
        return await preview(command, now=clock())

    return router
