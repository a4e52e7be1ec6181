"""What the scheduler listens to: the registry's events about flows."""

from libs.contracts import registry, streams
from libs.contracts.registry import FlowEvent
from libs.runtime.bus import Router
from libs.runtime.loop import Loop
from services.scheduler.planner import Planner

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


def router(service: str, planner: Planner, ticks: Loop) -> Router:
    """What is heard makes the next tick come at once."""
    router = Router(service)
    router.publishes(streams.WORK)

    @router.durable(FLOWS, streams.EVENTS, {event.subject: event for event in FLOW_EVENTS})
    async def on_flow_event(event: FlowEvent) -> None:
        await planner.on_flow_event(event)
        ticks.poke()

    return router
